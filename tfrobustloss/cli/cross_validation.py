"""The cross-validation of `audit` and `estimate`: options, progress, the run."""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrobustloss.cli import console

NAMES = ("model", "folds", "epochs", "batch_size", "learning_rate")


def add_options(option: Callable[..., None]) -> None:
    """Adds the options of `NAMES`.

    Args:
        option: `console.adder(parser)`.
    """
    count: dict[str, Any] = {"type": int, "metavar": "N"}
    option("model", "mlp2", "mlp2, mlp3 or cnn4; the last for images only")
    option("folds", 5, "parts of the cross-validation", **count)
    text = "longest training of a part; the best epoch is kept"
    option("epochs", 30, text, **count)
    option("batch_size", 128, "examples a step", **count)
    option("learning_rate", 0.001, "of Adam", type=float, metavar="RATE")


def description(arguments: argparse.Namespace) -> str:
    """The line that says where probabilities come from."""
    return (
        f"Probabilities by {arguments.model}, {arguments.folds} folds, at most "
        f"{arguments.epochs} epochs each"
    )


def probabilities(
    features: Any, labels: Any, num_classes: int | None, arguments: argparse.Namespace
) -> np.ndarray:
    """Probabilities of networks that never saw the labels, with a line a fold.

    Args:
        features: Inputs of the networks.
        labels: Class ids.
        num_classes: Number of classes, or None to take it from the labels.
        arguments: Parsed options, with `seed`.

    Returns:
        Float64 array, shape `(examples, classes)`.
    """
    from tfrobustloss.experiments import cross_validation

    with console.progress(arguments.folds * arguments.epochs) as progress:
        return cross_validation.out_of_fold_probabilities(
            features,
            labels,
            num_classes,
            seed=arguments.seed,
            on_epoch=_Reporter(arguments, progress).on_epoch,
            **{name: getattr(arguments, name) for name in NAMES},
        )


class _Reporter:
    """Prints a line a fold, and moves the bar with every epoch."""

    def __init__(
        self, arguments: argparse.Namespace, progress: console.Progress
    ) -> None:
        self._folds, self._epochs = arguments.folds, arguments.epochs
        self._progress = progress

    def on_epoch(self, fold: int, epoch: int, accuracy: float) -> None:
        """Takes the accuracy on the labels held out."""
        agreement = f"agrees with {console.percent(accuracy)} of the labels held out"
        self._progress.update(
            fold * self._epochs + epoch + 1,
            f"fold {fold + 1} of {self._folds}: {agreement}",
        )
        if epoch + 1 == self._epochs:
            self._progress.line(f"[{fold + 1}/{self._folds}] {agreement}")
