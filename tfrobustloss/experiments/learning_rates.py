"""Accuracy of losses on one task, each at its own learning rates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.experiments.task import Prepared, Task, prepare
from tfrobustloss.experiments.trainer import Trainer
from tfrobustloss.losses import families

__all__ = ["best_rates", "score_losses"]


def score_losses(
    task: Task | Prepared,
    losses: Sequence[Any],
    seeds: Sequence[int],
    learning_rates: Any,
    split: str = "validation",
    **training: Any,
) -> np.ndarray:
    """Accuracy of each loss at each learning rate after training on wrong labels.

    A seed determines the wrong labels, the initial weights and the order of batches,
    for every loss alike.

    Args:
        task: A `Task`.
        losses: Sequence of `keras.losses.Loss` on logits.
        seeds: Sequence of ints >= 0.
        learning_rates: List of floats > 0 for all, or a list of such lists, as many
            for each loss.
        split: `"validation"` or `"test"`, the data on which to measure.
        **training: Other arguments of `Trainer`: `epochs`, `batch_size`, `momentum`.

    Returns:
        Float array, shape `(losses, learning rates, seeds)`; where a training diverged
        the lowest possible value, see `Score`.

    Raises:
        ValueError: The task has no such data, or learning rates do not fit.

    Example:
        >>> from tfrobustloss.losses import Adma, CrossEntropy
        >>> from tfrobustloss.experiments import Task
        >>> rivals = [Adma(from_logits=True), CrossEntropy(from_logits=True)]
        >>> task = Task("digits", train_size=200)
        >>> score_losses(task, rivals, seeds=[0], learning_rates=[0.1], epochs=1).shape
        (2, 1, 1)
    """
    prepared = task if isinstance(task, Prepared) else prepare(task)
    known = {"validation": prepared.validation, "test": prepared.test}.get(split)
    if known is None:
        has = [name for name in ("validation", "test") if getattr(prepared, name)]
        constraint = f"a split that the task has: {', '.join(has)}"
        raise ParameterError("score_losses", "split", split, constraint)
    rates = np.array(learning_rates, "float64")
    if rates.ndim == 1:
        rates = np.tile(rates, (len(losses), 1))
    if rates.ndim != 2 or len(rates) != len(losses):
        constraint = f"a list of numbers, or {len(losses)} such lists"
        raise ParameterError(
            "score_losses", "learning_rates", learning_rates, constraint
        )
    matrix = prepared.validation_matrix if split == "validation" else None
    train = prepared.train(seeds)
    accuracy = np.zeros((len(losses), rates.shape[1], len(seeds)))
    for row, loss in enumerate(losses):
        trainer = Trainer(
            prepared.network,
            family_of_one(loss),
            train,
            known,
            label_draws=True,
            validation_matrix=matrix,
            **training,
        )
        for column, seed in enumerate(seeds):
            scores = trainer.score_many(
                [[]] * rates.shape[1],
                [seed],
                rates[row].tolist(),
                draw=prepared.draw(column),
            )
            accuracy[row, :, column] = [one[0].accuracy for one in scores]
    return accuracy


def best_rates(accuracy: np.ndarray, learning_rates: Sequence[float]) -> list[float]:
    """The learning rate of each loss at which its mean accuracy is the highest.

    Args:
        accuracy: Result of `score_losses`.
        learning_rates: List of the learning rates.

    Returns:
        List of floats, one a loss.
    """
    return [float(learning_rates[one.mean(axis=-1).argmax()]) for one in accuracy]


def family_of_one(loss: Any) -> families.LossFamily:
    """A family without parameters, whose only member is the loss."""
    return families.LossFamily(
        name=loss.name,
        function=lambda y_true, y_pred, vector: loss.call(y_true, y_pred),
        names=(),
        initial=(),
        low=(),
        high=(),
        make=lambda vector: loss,
    )
