"""Selection without clean labels: of epochs, learning rates and losses.

An example of noisy label `n` that is predicted as class `c` is worth `[n = c]`, or,
with a transition matrix `T`, `inverse(T)[n, c]`, whose mean is an unbiased estimate of
the accuracy on clean labels (`tfrobustloss.metrics.NoisyAccuracy`).
"""

import dataclasses
import statistics
from typing import Any

import numpy as np

from tfrobustloss._core import noisy_accuracy

__all__ = [
    "Verdict",
    "Worth",
    "best_epoch",
    "classes",
    "compare_to_best",
    "cross_fitted",
    "worth_of",
    "worth_of_logits",
]

WINDOW = 5  # epochs that a score is the mean of, as in `StopOnNoisyValidation`


def worth_of(
    labels: np.ndarray, predicted: np.ndarray, values: np.ndarray | None
) -> np.ndarray:
    """Values of predictions, judged by noisy labels.

    Args:
        labels: Class ids, shape `(examples,)`.
        predicted: Class ids, shape `(..., examples)`.
        values: `inverse(T)`, shape `(classes, classes)`, or None.

    Returns:
        Float64 array of the shape of `predicted`.
    """
    if values is None:
        return (predicted == labels).astype(np.float64)
    return values[np.broadcast_to(labels, predicted.shape), predicted]


def classes(logits: np.ndarray) -> np.ndarray:
    """Predicted class ids, -1 where logits are not finite.

    Args:
        logits: Float array, shape `(examples, classes)`.
    """
    finite = np.isfinite(logits).all(axis=-1)
    return np.where(finite, np.argmax(logits, axis=-1), -1)


def worth_of_logits(
    labels: np.ndarray, logits: np.ndarray, values: np.ndarray | None
) -> np.ndarray:
    """Values of predictions; the lowest possible value where they are not finite.

    With a matrix, 0 may be more than a sound prediction is worth.

    Args:
        labels: Class ids, shape `(examples,)`.
        logits: Float array, shape `(examples, classes)`.
        values: As for `worth_of`.

    Returns:
        Float64 array, shape `(examples,)`.
    """
    predicted = classes(logits)
    worst = 0.0 if values is None else values.min()
    worth = worth_of(labels, np.maximum(predicted, 0), values)
    return np.where(predicted >= 0, worth, worst)


def best_epoch(worth: np.ndarray, window: int = WINDOW) -> int:
    """Index of the epoch whose smoothed estimate is the highest, the first of equals.

    Args:
        worth: Float array, shape `(epochs, examples)`.
        window: Odd int >= 1, epochs that a score is the mean of.

    Returns:
        Int.

    Example:
        >>> best_epoch(np.array([[0, 1], [1, 1], [0, 0]]), window=1)
        1
    """
    return int(noisy_accuracy.smoothed(worth.mean(axis=1), window).argmax())


def cross_fitted(worth: np.ndarray, seed: int = 0, window: int = WINDOW) -> np.ndarray:
    """Worth of each example at an epoch that was chosen without it.

    The accuracy of the best epoch on the labels that chose it is too high. Here one
    random half of the examples chooses the epoch at which the other is judged, and the
    other way round.

    Args:
        worth: Float array, shape `(epochs, examples)`.
        seed: Int >= 0, of the halves.
        window: Odd int >= 1, epochs that a score is the mean of.

    Returns:
        Float array, shape `(examples,)`.
    """
    examples = worth.shape[1]
    if examples < 2:
        return worth[best_epoch(worth, window)]
    halves = np.random.default_rng((seed, examples)).permutation(examples) % 2 == 0
    result = np.empty(examples)
    for judged in (halves, ~halves):
        result[judged] = worth[best_epoch(worth[:, ~judged], window)][judged]
    return result


class Worth:
    """Worth of the examples over several trainings, each with its validation part.

    An example that was held out several times counts as often, but as one draw of a
    noisy label in the standard error.

    Args:
        examples: Number of all examples.
    """

    def __init__(self, examples: int) -> None:
        self._sum = np.zeros(examples)
        self._count = np.zeros(examples)

    def add(self, indices: np.ndarray, worth: np.ndarray) -> None:
        """Adds a training.

        Args:
            indices: Int array of different examples, those held out.
            worth: Float array, one for each of them.
        """
        self._sum[indices] += worth
        self._count[indices] += 1

    def estimate(self) -> tuple[float, float, float]:
        """Estimated clean accuracy, its standard error and effective examples."""
        return _mean(self._sum, self._count)

    def less(self, other: "Worth") -> tuple[float, float]:
        """Difference of the estimates on the same examples, and its standard error.

        Of a loss that was interrupted, only the examples count that both have.
        """
        own, others = (each._sum / np.maximum(each._count, 1) for each in (self, other))
        both = np.minimum(self._count, other._count)
        return noisy_accuracy.weighted_mean(own - others, both)[:2]


def _mean(sums: np.ndarray, count: np.ndarray) -> tuple[float, float, float]:
    return noisy_accuracy.weighted_mean(sums / np.maximum(count, 1), count)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A loss next to the best one and to the baseline.

    Attributes:
        behind: Estimated accuracy that it lacks to the best, >= 0.
        behind_error: Standard error of that.
        near_best: Whether it cannot be told apart from the best.
        gain: Estimated accuracy above the baseline; negative below.
        gain_error: Standard error of that.
        beats_baseline: Whether it is better than the baseline beyond chance.
    """

    behind: float
    behind_error: float
    near_best: bool
    gain: float
    gain_error: float
    beats_baseline: bool

    def to_json(self) -> dict[str, Any]:
        """Dict of plain values, rounded."""
        return {
            name: value if isinstance(value, bool) else round(value, 6)
            for name, value in dataclasses.asdict(self).items()
        }


def compare_to_best(
    worths: dict[str, Worth], baseline: str, confidence: float = 0.95
) -> dict[str, Verdict]:
    """Which losses cannot be told apart from the best, and which beat the baseline.

    Differences are paired, on the same examples. The confidence holds for all losses
    at once (Bonferroni's inequality).

    Args:
        worths: Dict of names to `Worth`, all of the same examples.
        baseline: One of the names.
        confidence: Float in (0, 1).

    Returns:
        Dict of names to `Verdict`.
    """
    level = (1 - confidence) / 2 / max(1, len(worths) - 1)
    z = statistics.NormalDist().inv_cdf(1 - level)
    best = max(worths, key=lambda name: worths[name].estimate()[0])
    verdicts = {}
    for name, worth in worths.items():
        behind, behind_error = worths[best].less(worth)
        gain, gain_error = worth.less(worths[baseline])
        verdicts[name] = Verdict(
            behind=behind,
            behind_error=behind_error,
            near_best=bool(behind <= z * behind_error),
            gain=gain,
            gain_error=gain_error,
            beats_baseline=bool(name != baseline and gain > z * gain_error),
        )
    return verdicts
