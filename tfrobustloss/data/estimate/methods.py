"""An estimate of the noise by one of the methods, and its bootstrap interval."""

import numpy as np

from tfrobustloss.data.estimate import matrices
from tfrobustloss.data.estimate.likelihood import Likelihood

METHODS = ("likelihood", "confident", "anchor", "percentile")
_PERCENTILE = 97
_RESAMPLED = 5_000  # examples, at most
_ROUNDING = 1e-9  # of the mean of a column of equal probabilities


class Estimate:
    """Noise estimate by one method, from labels and probabilities that are checked.

    Args:
        labels: Class ids, shape `(examples,)`.
        probabilities: Shape `(examples, classes)`.
        method: One of `METHODS`.

    Attributes:
        labels: As given.
        matrix: Transition matrix, shape `(classes, classes)`.
        prior: Shares of the clean classes, shape `(classes,)`.
        rate: Share of wrong labels.
    """

    def __init__(self, labels, probabilities, method):
        self.labels, self._method, self._given = labels, method, probabilities
        self._fit = None
        if method == "likelihood":
            self._fit = Likelihood(labels, matrices.calibrate(labels, probabilities)[0])
            self.matrix = matrices.known_rows(self._fit.matrix, labels)
            self.prior = self._fit.clean.mean(axis=0)
        else:
            self.matrix, self.prior = _simple(labels, probabilities, method)
        self.rate = _rate(self.matrix, self.prior)

    def follows_labels(self):
        """Whether the probabilities tell labels apart, more than by chance."""
        return follows_labels(self.labels, self._given)

    def class_given_label(self):
        """Probabilities of the clean class, the label known, `(examples, classes)`."""
        if self._fit is not None:
            clean = self._fit.clean
        else:
            calibrated, _ = matrices.calibrate(self.labels, self._given)
            clean = matrices.clean_probabilities(calibrated, self.matrix)
        return matrices.given_label(self.labels, clean, self.matrix)

    def rate_of(self, chosen):
        """Share of wrong labels estimated from the examples at `chosen` alone."""
        labels = self.labels[chosen]
        if self._fit is None:
            return _rate(*_simple(labels, self._given[chosen], self._method))
        weights = np.bincount(chosen, minlength=len(self.labels)).astype(np.float64)
        matrix, clean = self._fit.again(weights)
        matrix = matrices.known_rows(matrix, labels)
        return _rate(matrix, weights @ clean / weights.sum())


def interval(estimate, confidence, resamples, seed):
    """The rate of an estimate with its bootstrap interval.

    Args:
        estimate: `Estimate`.
        confidence: Float in (0, 1).
        resamples: How many times examples are drawn with replacement.
        seed: Of the draws.

    Returns:
        Rate, lower and upper end. The quantiles of the resampled rates are taken
        relative to their median, so that the estimate is always inside.
    """
    examples = len(estimate.labels)
    drawn = min(examples, _RESAMPLED)
    generator = np.random.default_rng(seed)
    rates = [
        estimate.rate_of(generator.integers(examples, size=drawn))
        for _ in range(resamples)
    ]
    tail = 100 * (1 - confidence) / 2
    low, middle, high = np.percentile(rates, [tail, 50, 100 - tail])
    scale = np.sqrt(drawn / examples)
    low = max(0.0, estimate.rate - scale * (middle - low))
    high = min(1.0, estimate.rate + scale * (high - middle))
    return estimate.rate, float(low), float(high)


def follows_labels(labels, probabilities):
    """Whether probabilities predict the labels better than chance.

    Over all orders of the labels, the sum of their probabilities has a mean and a
    standard deviation in closed form; the sum must be two deviations above the mean.

    Args:
        labels: Int64 class ids, shape `(examples,)`.
        probabilities: Float64 array, shape `(examples, classes)`.

    Returns:
        Bool.

    Reference:
        Hoeffding, "A Combinatorial Central Limit Theorem", Annals of Mathematical
        Statistics 1951.
    """
    examples, num_classes = probabilities.shape
    counts = np.bincount(labels, minlength=num_classes)
    centred = probabilities - probabilities.mean(axis=0)
    gain = centred[np.arange(examples), labels].sum()
    apart = centred - (centred @ counts / examples)[:, np.newaxis]
    spread = np.sqrt((np.square(apart) @ counts).sum() / max(examples - 1, 1))
    return bool(gain > 2 * spread + _ROUNDING * examples)


def _simple(labels, probabilities, method):
    """Matrix and shares of the classes by a method that needs no fit."""
    if method == "confident":
        joint = matrices.confident_joint(labels, probabilities)
        return matrices.confident(labels, probabilities), joint.sum(axis=1)
    percentile = _PERCENTILE if method == "percentile" else 100
    matrix = matrices.anchor(labels, probabilities, percentile)
    shares = np.bincount(labels, minlength=len(matrix)) / len(labels)
    return matrix, matrices.class_shares(matrix, shares)


def _rate(matrix, prior):
    return float(np.clip(1 - prior @ np.diag(matrix), 0, 1))
