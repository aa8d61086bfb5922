"""Stateless seeds: all draws of a batch from one pair of integers."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.validation import ParameterError, Range, check

_LIMITS = {"seed": Range(low=0, high=2**64 - 1, integer=True)}
# Two large primes. The first keeps the draws of a batch apart, the second the pairs
# (a, b) and (b, a): PyTorch's generators are started from the sum of a pair.
_STEP, _SECOND = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)


class SeedStream(keras.random.SeedGenerator):
    """Gives `keras.random` a new seed for each draw, by counting from a fixed pair.

    It holds no variable: the n-th draw of the same pair is the same in every run, in
    any order of the batches, and in a graph that is stored.

    Args:
        seed: Int in [0, 2 ** 64); an integer tensor, a scalar or a pair; a
            `keras.random.SeedGenerator`, which is asked once; or None for Keras'
            global generator.

    Raises:
        TypeError: `seed` is none of these.
        ValueError: `seed` is an int out of range, or a tensor of another shape.
    """

    def __init__(self, seed):
        # no super().__init__(): it would create the variable
        dtype = "uint32" if keras.backend.backend() == "jax" else "int32"
        if seed is None:
            seed = keras.random.randint((2,), 0, 2**31 - 1)
        elif isinstance(seed, keras.random.SeedGenerator):
            seed = seed.next()
        elif not hasattr(seed, "shape"):
            check("Recipe", _LIMITS, seed=seed)
            words = [int(seed) % 2**32, int(seed) // 2**32]
            seed = np.array(words, "uint32").astype(dtype)
        seed = ops.cast(ops.convert_to_tensor(seed), dtype)
        if len(seed.shape) == 0:
            seed = ops.stack([seed, ops.zeros_like(seed)])
        if tuple(seed.shape) != (2,):
            shape = tuple(seed.shape)
            hint = "A tensor is one number, or two."
            raise ParameterError("Recipe", "seed.shape", shape, "() or (2,)", hint)
        self._dtype = dtype
        self._pair = seed * self._constant([1, _SECOND])
        self._drawn = 0

    def _constant(self, words):
        # in unsigned arithmetic first: what is above the type wraps around in it
        return ops.convert_to_tensor(np.array(words, "uint32").astype(self._dtype))

    def next(self, ordered=True):
        """The seed of the next draw, shape `(2,)`."""
        self._drawn += 1
        offset = (self._drawn * int(_STEP)) % 2**32
        return self._pair + self._constant([offset, 0])
