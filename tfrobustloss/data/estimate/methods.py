"""An estimate of the noise by one of the methods, and its bootstrap interval."""

from statistics import NormalDist

import numpy as np

from tfrobustloss.data.estimate import matrices
from tfrobustloss.data.estimate.likelihood import Likelihood

METHODS = ("likelihood", "confident", "anchor", "percentile")
_PERCENTILE = 97
_RESAMPLED = 5_000  # examples, at most
_TINY = 1e-300
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

    def refit(self, chosen):
        """Matrix and shares of the classes from the examples at `chosen` alone."""
        labels = self.labels[chosen]
        if self._fit is None:
            return _simple(labels, self._given[chosen], self._method)
        weights = np.bincount(chosen, minlength=len(self.labels)).astype(np.float64)
        matrix, clean = self._fit.again(weights)
        matrix = matrices.known_rows(matrix, labels)
        return matrix, weights @ clean / weights.sum()


def intervals(estimate, confidence, resamples, seed):
    """Shares of wrong labels, of all examples and by class, with intervals.

    The quantiles of the shares of resampled sets of examples are taken relative to
    their median, so that the estimate is always inside. In a class with few examples
    the resampled ones may all be right by chance, so an interval of a class is at least
    as wide as Wilson's for a share of as many examples.

    Args:
        estimate: `Estimate`.
        confidence: Float in (0, 1).
        resamples: How many times examples are drawn with replacement.
        seed: Of the draws.

    Returns:
        Float64 array, shape `(3, 1 + 2 * classes)`: estimates, lower and upper ends of
        the rate, of the share of wrong ones among the labels of each class, and of the
        share of wrongly labelled ones among the examples of each class.
    """
    examples = len(estimate.labels)
    drawn = min(examples, _RESAMPLED)
    generator = np.random.default_rng(seed)
    found = _shares(estimate.matrix, estimate.prior)
    resampled = [
        _shares(*estimate.refit(generator.integers(examples, size=drawn)))
        for _ in range(resamples)
    ]
    tail = 100 * (1 - confidence) / 2
    low, middle, high = np.percentile(resampled, [tail, 50, 100 - tail], axis=0)
    scale = np.sqrt(drawn / examples)
    low, high = found - scale * (middle - low), found + scale * (high - middle)
    labelled = np.bincount(estimate.labels, minlength=len(estimate.prior))
    trials = np.concatenate([labelled, examples * estimate.prior])
    at_least = _wilson(found[1:], trials, confidence)
    low[1:] = np.minimum(low[1:], at_least[0])
    high[1:] = np.maximum(high[1:], at_least[1])
    return np.stack([found, np.clip(low, 0, 1), np.clip(high, 0, 1)])


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


def _shares(matrix, prior):
    """The rate, the wrong share of each label and the lost share of each class."""
    right = np.diag(matrix)
    labels = prior @ matrix
    wrong = np.where(labels > 0, 1 - prior * right / np.maximum(labels, _TINY), 0)
    return np.clip(np.concatenate([[1 - prior @ right], wrong, 1 - right]), 0, 1)


def _wilson(shares, trials, confidence):
    """Ends of Wilson's intervals; 0 and 1 without trials."""
    square = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (trials * shares + square / 2) / (trials + square)
    width = np.sqrt(square * (trials * shares * (1 - shares) + square / 4))
    width /= trials + square
    return np.stack([centre - width, centre + width])
