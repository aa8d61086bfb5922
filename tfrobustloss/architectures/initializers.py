"""Initializers of a network's layers, derived from one seed."""

import keras
import numpy as np

from tfrobustloss._core.validation import Range, check

_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "seed": Range(low=0, integer=True, optional=True),
}


def initializers(owner, num_layers, num_classes, seed):
    """Checks the arguments of an architecture; returns an initializer for each layer.

    Args:
        owner: Name of the architecture.
        num_layers: Number of layers with weights.
        num_classes: Int >= 2.
        seed: Int >= 0, or None for different weights each time.

    Returns:
        List of `keras.initializers.GlorotUniform`, each with its own seed, so that
        layers of the same shape get different weights.

    Raises:
        ValueError: `num_classes` is below 2 or `seed` is negative.
    """
    check(owner, _LIMITS, num_classes=num_classes, seed=seed)
    if seed is None:
        return [keras.initializers.GlorotUniform() for _ in range(num_layers)]
    states = np.random.SeedSequence(seed).generate_state(num_layers)
    # 31 bits: a seed of that size is accepted by every backend
    return [keras.initializers.GlorotUniform(int(state >> 1)) for state in states]
