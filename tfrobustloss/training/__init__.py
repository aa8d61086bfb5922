"""What training needs beyond a loss of `(y_true, y_pred)`."""

from tfrobustloss.training.crowd import CrowdModel
from tfrobustloss.training.gradient_penalty import gradient_penalty
from tfrobustloss.training.learned_correction import LearnedCorrection
from tfrobustloss.training.schedules import ShiftToBoundary, SwitchAfterWarmUp
from tfrobustloss.training.stopping import LabelWave, StopOnNoisyValidation

__all__ = [
    "CrowdModel",
    "LabelWave",
    "LearnedCorrection",
    "ShiftToBoundary",
    "StopOnNoisyValidation",
    "SwitchAfterWarmUp",
    "gradient_penalty",
]
