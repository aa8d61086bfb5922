"""One initialiser a layer, all drawn from one seed."""

import keras
import numpy as np

from tfrobustloss._core.validation import Range, check

_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "seed": Range(low=0, integer=True, optional=True),
}


def initializers(owner, num_layers, num_classes, seed):
    """A Glorot initialiser for each layer, after a check of the arguments.

    Args:
        owner: Name of the architecture.
        num_layers: Number of layers with weights.
        num_classes: Int >= 2.
        seed: Int >= 0, or None for other weights each time.

    Returns:
        List of `keras.initializers.GlorotUniform`, each with a seed of its own, so
        that layers of one shape do not get the same weights.

    Raises:
        ValueError: `num_classes` is below 2 or `seed` is negative.
    """
    check(owner, _LIMITS, num_classes=num_classes, seed=seed)
    if seed is None:
        return [keras.initializers.GlorotUniform() for _ in range(num_layers)]
    states = np.random.SeedSequence(seed).generate_state(num_layers)
    # 31 bits: every backend takes such a seed
    return [keras.initializers.GlorotUniform(int(state >> 1)) for state in states]
