"""What training needs beyond a loss of `(y_true, y_pred)`."""

from tfrobustloss.training.adaptive_robust import AdaptiveRobust
from tfrobustloss.training.crowd import CrowdModel
from tfrobustloss.training.gradient_clipping import OptimizedGradientClipping
from tfrobustloss.training.gradient_penalty import gradient_penalty
from tfrobustloss.training.learned_correction import LearnedCorrection
from tfrobustloss.training.learned_t_loss import LearnedTLoss
from tfrobustloss.training.schedules import ParameterScheduler, ShiftToBoundary
from tfrobustloss.training.stopping import LabelWave, StopOnNoisyValidation

__all__ = [
    "AdaptiveRobust",
    "CrowdModel",
    "LabelWave",
    "LearnedCorrection",
    "LearnedTLoss",
    "OptimizedGradientClipping",
    "ParameterScheduler",
    "ShiftToBoundary",
    "StopOnNoisyValidation",
    "gradient_penalty",
]
