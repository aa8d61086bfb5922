"""Parts of training beyond a loss of `(y_true, y_pred)`: penalties and callbacks."""

from tfrobustloss.training.gradient_penalty import gradient_penalty
from tfrobustloss.training.schedules import ShiftToBoundary
from tfrobustloss.training.stopping import LabelWave, StopOnNoisyValidation

__all__ = [
    "LabelWave",
    "ShiftToBoundary",
    "StopOnNoisyValidation",
    "gradient_penalty",
]
