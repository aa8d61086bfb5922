"""How much label noise there is, where, and which losses suit it.

Everything here needs labels, some of them wrong, and the probabilities that a model
gives their classes. The model must never have seen those labels, or it has learnt the
wrong ones: `tfrobustloss.experiments.cross_validation` makes such probabilities.
Nothing here needs clean labels. The matrix can only be told where every class has
examples that are clearly of it, and a wrong label depends on the clean class alone.
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
    ConfusedPair,
    NoiseRate,
    Report,
    WrongLabels,
)

__all__ = [
    "METHODS",
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
