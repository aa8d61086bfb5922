"""Many losses trained in one compiled program."""

from tfrobustloss.experiments.trainer._trainer_options import LIMITS, check
from tfrobustloss.experiments.trainer.options import Halving, Score
from tfrobustloss.experiments.trainer.trainer import Trainer

__all__ = ["LIMITS", "Halving", "Score", "Trainer", "check"]
