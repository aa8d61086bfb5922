"""One estimate of the noise: a matrix, shares of the classes, clean probabilities."""

import numpy as np

from tfrobustloss.data.estimate import _estimate_matrix as matrices
from tfrobustloss.data.estimate.likelihood import Likelihood
from tfrobustloss.data.estimate.matrices import (
    calibrate,
    clean_probabilities,
    given_label,
)

METHODS = ("likelihood", "confident", "anchor", "percentile")
_PERCENTILE = 97
_ROUNDING = 1e-9  # of the mean of a column of equal probabilities


class Estimate:
    """What a method finds in labels and probabilities that are already checked.

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
            self._fit = Likelihood(labels, calibrate(labels, probabilities)[0])
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
            calibrated, _ = calibrate(self.labels, self._given)
            clean = clean_probabilities(calibrated, self.matrix)
        return given_label(self.labels, clean, self.matrix)

    def rate_of(self, chosen):
        """The share of wrong labels as the examples at `chosen` alone tell it."""
        labels = self.labels[chosen]
        if self._fit is None:
            return _rate(*_simple(labels, self._given[chosen], self._method))
        weights = np.bincount(chosen, minlength=len(self.labels)).astype(np.float64)
        matrix, clean = self._fit.again(weights)
        matrix = matrices.known_rows(matrix, labels)
        return _rate(matrix, weights @ clean / weights.sum())


def follows_labels(labels, probabilities):
    """Whether labels get more probability than they would in another order.

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
