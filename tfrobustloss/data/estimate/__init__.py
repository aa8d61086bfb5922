"""Label noise estimated from noisy labels alone, with recommended losses.

The functions take labels, some of them wrong, and a model's probabilities for the
classes. The model must not have been trained on those labels, or it has learnt the
wrong ones: `tfrobustloss.experiments.cross_validation` makes out-of-fold probabilities.
Clean labels are not needed. The matrix is identifiable only if every class has
examples that are clearly of it, and if a wrong label depends on the clean class alone.
"""

from tfrobustloss.data.estimate.methods import METHODS
from tfrobustloss.data.estimate.report import (
    check_options,
    confused_pairs,
    noise_rate,
    report,
    transition_matrix,
    wrong_labels,
)
from tfrobustloss.data.estimate.results import (
    ClassRate,
    ConfusedPair,
    NoiseRate,
    Report,
    WrongLabels,
)

__all__ = [
    "METHODS",
    "ClassRate",
    "ConfusedPair",
    "NoiseRate",
    "Report",
    "WrongLabels",
    "check_options",
    "confused_pairs",
    "noise_rate",
    "report",
    "transition_matrix",
    "wrong_labels",
]
