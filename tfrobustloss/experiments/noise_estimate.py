"""Estimate of the noise of labels by the cross-validation of a network."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfrobustloss import data
from tfrobustloss.experiments.cross_validation import out_of_fold_probabilities

__all__ = ["estimate_noise"]


def estimate_noise(
    inputs: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    model: Any = "mlp2",
    seed: int = 0,
    on_epoch: Callable[[int, int, float], Any] | None = None,
) -> Any:
    """The report of `data.estimate` on labels that no network has seen.

    Args:
        inputs: Images of bytes, or numbers, shape `(examples, ...)`.
        labels: Class ids, some of them wrong, shape `(examples,)`.
        num_classes: Int >= 2.
        model: As for `out_of_fold_probabilities`.
        seed: Int >= 0.
        on_epoch: As for `out_of_fold_probabilities`.

    Returns:
        `data.estimate.Report`.

    Raises:
        ValueError: The data do not fit, or training diverged.

    Example:
        >>> inputs = np.repeat(np.eye(2), 20, axis=0)
        >>> report = estimate_noise(inputs, np.repeat([0, 1], 20), 2)
        >>> report.transition_matrix.shape
        (2, 2)
    """
    probabilities = out_of_fold_probabilities(
        inputs, labels, num_classes, model=model, seed=seed, on_epoch=on_epoch
    )
    return data.estimate.report(labels, probabilities)
