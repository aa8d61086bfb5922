"""Many losses trained in one compiled program."""

from tfrobustloss.experiments.trainer.options import (
    LIMITS,
    Halving,
    Score,
    check_options,
)
from tfrobustloss.experiments.trainer.trainer import Trainer

__all__ = ["LIMITS", "Halving", "Score", "Trainer", "check_options"]
