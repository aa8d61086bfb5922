"""Counter-based random numbers: a function of seed and index, without state."""

import numpy as np

from tfrobustloss._core.labels import integers
from tfrobustloss._core.validation import Range, check

SEED = Range(low=0, high=2**64 - 1, integer=True)

# SplitMix64: the step of its counter and the two multipliers of its mixing function.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniform_draws(indices, seed):
    """One uniform draw per index, computed from index and seed alone.

    The 64 bits of index `i` are output number `i + 1` of SplitMix64, started at the
    first output that SplitMix64 gives for `seed`: the seed is mixed first, so that
    no two seeds give shifted copies of each other's draws. The draw is the upper 53
    bits over 2 ** 53. All of it is unsigned 64-bit arithmetic, which any framework
    can repeat bit by bit.

    Args:
        indices: Integers >= 0, any shape.
        seed: Int in [0, 2 ** 64).

    Returns:
        Float64 array in [0, 1), of the shape of `indices`.

    Raises:
        ValueError: `indices` or `seed` are negative or not whole numbers.

    Example:
        >>> uniform_draws([0, 1, 2], seed=1).round(4).tolist()
        [0.3682, 0.9436, 0.0453]

    Reference:
        Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
        OOPSLA 2014.
    """
    check("uniform_draws", {"seed": SEED}, seed=seed)
    indices = integers("uniform_draws", "indices", indices, 0)
    counters = indices.reshape(-1).astype(np.uint64) + np.uint64(1)
    start = _mix(np.full(1, int(seed), np.uint64) + _STEP)
    bits = _mix(start + counters * _STEP)
    draws = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return draws.reshape(indices.shape)


def normal_draws(indices, seed):
    """One standard normal draw per index, by Box and Muller from two uniform ones.

    Args:
        indices: Integers >= 0, any shape.
        seed: Int in [0, 2 ** 64).

    Returns:
        Float64 array of the shape of `indices`. Sine and logarithm may differ in the
        last bit from machine to machine.
    """
    radius = 1 - uniform_draws(indices, stream_seed(seed, 0))  # in (0, 1]
    angle = uniform_draws(indices, stream_seed(seed, 1))
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)


def stream_seed(seed, stream):
    """Derives an independent seed for each purpose.

    Args:
        seed: Int in [0, 2 ** 64).
        stream: Int >= 0, number of the purpose.

    Returns:
        Int in [0, 2 ** 64).
    """
    purpose = _mix(np.full(1, int(stream), np.uint64) + _STEP)
    return int(_mix((np.full(1, int(seed), np.uint64) ^ purpose) + _STEP)[0])


def _mix(bits):
    """The mixing function of SplitMix64; `bits` is an array, which wraps silently."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))
