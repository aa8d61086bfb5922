"""Parts of training beyond a loss of `(y_true, y_pred)`: penalties and callbacks."""

from tfrobustloss.training.crowd import CrowdModel
from tfrobustloss.training.gradient_penalty import gradient_penalty
from tfrobustloss.training.schedules import ShiftToBoundary

__all__ = ["CrowdModel", "ShiftToBoundary", "gradient_penalty"]
