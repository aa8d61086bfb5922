"""Synthetic label noise: transition matrices, and labels drawn from them.

A transition matrix `T` holds in `T[i, j]` the probability that an example of class
`i` is labelled `j`. `corrupt` draws one noisy label for each clean one, independently,
so that the noise of an example does not depend on the rest of the data.
"""

from tfrobustloss.data.noise import tensor_draws
from tfrobustloss.data.noise.class_maps import CLASS_MAPS
from tfrobustloss.data.noise.draws import SEED, stream_seed, uniform_draws
from tfrobustloss.data.noise.features import feature_noise, open_set
from tfrobustloss.data.noise.instance_dependent import instance_dependent
from tfrobustloss.data.noise.matrices import (
    asymmetric,
    class_thresholds,
    corrupt,
    pair_flip,
    realized_matrix,
    realized_rate,
    symmetric,
)
from tfrobustloss.data.noise.multi_hot import (
    corrupt_multi_hot,
    flip_thresholds,
    realized_flip_rates,
)

__all__ = [
    "CLASS_MAPS",
    "SEED",
    "asymmetric",
    "class_thresholds",
    "corrupt",
    "corrupt_multi_hot",
    "feature_noise",
    "flip_thresholds",
    "instance_dependent",
    "open_set",
    "pair_flip",
    "realized_flip_rates",
    "realized_matrix",
    "realized_rate",
    "stream_seed",
    "symmetric",
    "tensor_draws",
    "uniform_draws",
]
