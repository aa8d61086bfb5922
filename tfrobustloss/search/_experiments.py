"""Names that a search takes or gives and that `experiments` and `losses` define."""

from tfrobustloss.experiments import Task, make_tasks
from tfrobustloss.experiments.trainer import Halving, Score, Trainer
from tfrobustloss.losses.families import LossFamily

__all__ = ["Halving", "LossFamily", "Score", "Task", "Trainer", "make_tasks"]
