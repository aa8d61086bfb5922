"""Public functions that estimate label noise."""

import numpy as np

from tfrobustloss._core.labels import labels_and_probabilities
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.data.estimate.methods import METHODS, Estimate, intervals
from tfrobustloss.data.estimate.recommendation import recommend
from tfrobustloss.data.estimate.results import (
    ClassRate,
    ConfusedPair,
    NoiseRate,
    Report,
    WrongLabels,
)
from tfrobustloss.data.noise import SEED

_LIMITS = {
    "confidence": Range(0, 1, open_low=True, open_high=True),
    "resamples": Range(low=20, integer=True),
    "seed": SEED,
    "top": Range(low=1, integer=True),
}
_NO_INFORMATION = (
    "The probabilities say no more about the labels than chance: rate, interval, "
    "matrix and losses mean nothing. Give those of a model that has learnt the task, "
    "as `experiments.cross_validation` makes them."
)


def transition_matrix(labels, probabilities, method="likelihood"):
    """Estimates `T[i, j]`, the probability that class `i` has label `j`.

    - `"likelihood"`: the matrix under which the labels are likeliest, for clean
      probabilities that the predicted ones give after calibration. Of several
      starts, the likeliest end. The default: the nearest to the truth in
      `benchmarks/noise_estimation.py`.
    - `"confident"`: counts, per label, of the examples predicted with at least the
      mean confidence of a class (Northcutt et al.).
    - `"anchor"`: row `i` is what is predicted for the example surest to have label
      `i` (Patrini et al.). Takes the probabilities at their word.
    - `"percentile"`: as `"anchor"`, with the surest example below the 97th
      percentile, which is what Patrini et al. use for MNIST and CIFAR-10.

    Args:
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or one-hot rows,
            shape `(examples, classes)`; some may be wrong.
        probabilities: Of the classes, by a model that never saw these labels, shape
            `(examples, classes)`, rows summing to 1.
        method: One of the above.

    Returns:
        Row-stochastic float64 matrix, shape `(classes, classes)`. The row of a class
        without labels is that of the identity: nothing is known about it.

    Raises:
        ValueError: The labels are no class ids or one-hot rows, or are out of range;
            the probabilities are no such rows, hold NaN, or are not as many as the
            labels; there is no such method.

    Example:
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> transition_matrix(labels, probabilities, "confident").round(2).tolist()
        [[0.8, 0.2], [0.0, 1.0]]

    Reference:
        Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach", CVPR 2017. Northcutt, Jiang, Chuang, "Confident
        Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021.
    """
    return _estimate("transition_matrix", labels, probabilities, method).matrix


def noise_rate(
    labels,
    probabilities,
    method="likelihood",
    confidence=0.95,
    resamples=100,
    seed=0,
):
    """Estimates the share of wrong labels, with a bootstrap interval.

    Args:
        labels: As for `transition_matrix`.
        probabilities: As for `transition_matrix`.
        method: As for `transition_matrix`.
        confidence: Float in (0, 1), of the interval.
        resamples: Int >= 20, number of resampled sets of examples. Of more than
            5,000 examples 5,000 are drawn, and the spread is scaled to all.
        seed: Int in [0, 2 ** 64), of the resampling.

    Returns:
        `NoiseRate`.

    Raises:
        ValueError: As for `transition_matrix`, or another argument is outside its
            range.

    Example:
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> found = noise_rate(labels, probabilities, "confident")
        >>> round(found.rate, 3), found.low <= found.rate <= found.high
        (0.1, True)

    Reference:
        Efron, Tibshirani, "An Introduction to the Bootstrap", 1993; fewer than all:
        Bickel, Götze, van Zwet, Statistica Sinica 1997.
    """
    options = {"confidence": confidence, "resamples": resamples, "seed": seed}
    estimate = _estimate("noise_rate", labels, probabilities, method, **options)
    found = intervals(estimate, **_whole(options))
    return NoiseRate(*found[:, 0].tolist(), confidence)


def wrong_labels(labels, probabilities, method="likelihood"):
    """Finds the labels that are more likely wrong than right.

    By Bayes' rule, from what the probabilities say about the clean class and from how
    often the matrix turns each class into the label given.

    Args:
        labels: As for `transition_matrix`.
        probabilities: As for `transition_matrix`.
        method: As for `transition_matrix`.

    Returns:
        `WrongLabels`, the likeliest first.

    Raises:
        ValueError: As for `transition_matrix`.

    Example:
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> wrong_labels(labels, probabilities, "confident").indices.tolist()
        [8, 9]
    """
    estimate = _estimate("wrong_labels", labels, probabilities, method)
    return _wrong_labels(estimate)


def confused_pairs(labels, probabilities, method="likelihood", top=5):
    """Finds the most frequent pairs of a class and a wrong label.

    Args:
        labels: As for `transition_matrix`.
        probabilities: As for `transition_matrix`.
        method: As for `transition_matrix`.
        top: Int >= 1, how many pairs at most.

    Returns:
        List of `ConfusedPair`, the largest share first.

    Raises:
        ValueError: As for `transition_matrix`, or `top` is below 1.

    Example:
        >>> labels = [0] * 8 + [1] * 2 + [1] * 10
        >>> probabilities = [[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10
        >>> pair = confused_pairs(labels, probabilities, "confident")[0]
        >>> pair.clean, pair.noisy, round(pair.share, 2)
        (0, 1, 0.1)
    """
    found = _estimate("confused_pairs", labels, probabilities, method, top=top)
    return _confused_pairs(found, top)


def report(
    labels,
    probabilities,
    method="likelihood",
    confidence=0.95,
    resamples=100,
    seed=0,
    top=5,
    class_names=None,
):
    """All estimates in one `Report`, with recommended losses.

    Args:
        labels: As for `transition_matrix`.
        probabilities: As for `transition_matrix`.
        method: As for `transition_matrix`.
        confidence: As for `noise_rate`.
        resamples: As for `noise_rate`.
        seed: As for `noise_rate`.
        top: As for `confused_pairs`.
        class_names: Names of the classes for the warnings; None for their ids.

    Returns:
        `Report`.

    Raises:
        ValueError: As for `transition_matrix`, or another argument is outside its
            range.

    Example:
        >>> labels = [0] * 80 + [1] * 20 + [1] * 100
        >>> probabilities = [[0.8, 0.2]] * 100 + [[0.0, 1.0]] * 100
        >>> found = report(labels, probabilities, "confident")
        >>> len(found.wrong_labels.indices), found.recommendations[0]["loss"]
        (20, 'GeneralizedCrossEntropy')
    """
    options = {"confidence": confidence, "resamples": resamples, "seed": seed}
    estimate = _estimate("report", labels, probabilities, method, top=top, **options)
    num_classes = len(estimate.matrix)
    if class_names is not None and len(class_names) != num_classes:
        constraint = f"{num_classes}, the number of classes"
        value = len(class_names)
        raise ParameterError("report", "len(class_names)", value, constraint)
    found = intervals(estimate, **_whole(options))
    rate, *by_class = (NoiseRate(*ends, confidence) for ends in found.T.tolist())
    counts = np.bincount(estimate.labels, minlength=num_classes)
    wrong, lost = by_class[:num_classes], by_class[num_classes:]
    by_class = zip(range(num_classes), counts.tolist(), wrong, lost, strict=True)
    losses, warnings = recommend(
        estimate.matrix,
        estimate.prior,
        rate.rate,
        rate.low,
        counts,
        doubts=() if estimate.follows_labels() else (_NO_INFORMATION,),
        class_names=class_names,
    )
    return Report(
        method=method,
        num_examples=len(estimate.labels),
        transition_matrix=estimate.matrix,
        noise_rate=rate,
        class_rates=[ClassRate(*each) for each in by_class],
        confused_pairs=_confused_pairs(estimate, top),
        wrong_labels=_wrong_labels(estimate),
        recommendations=losses,
        warnings=warnings,
    )


def check_options(owner, method, **options):
    """Raises if a method does not exist or another argument is outside its range."""
    if method not in METHODS:
        constraint = f"one of {', '.join(METHODS)}"
        raise ParameterError(owner, "method", method, constraint)
    check(owner, _LIMITS, **options)


def _estimate(owner, labels, probabilities, method, **options):
    """The estimate, once all arguments are checked."""
    check_options(owner, method, **options)
    return Estimate(*labels_and_probabilities(owner, labels, probabilities), method)


def _whole(options):
    """Options of an interval with the whole numbers among them as ints."""
    whole = {name: int(options[name]) for name in ("resamples", "seed")}
    return {**options, **whole}


def _wrong_labels(estimate):
    likely = estimate.class_given_label()
    wrong = 1 - likely[np.arange(len(likely)), estimate.labels]
    order = np.argsort(-wrong, kind="stable")
    flagged = order[wrong[order] > 0.5]
    others = likely[flagged]
    others[np.arange(len(flagged)), estimate.labels[flagged]] = -1
    return WrongLabels(
        flagged, estimate.labels[flagged], others.argmax(axis=1), wrong[flagged]
    )


def _confused_pairs(estimate, top):
    shares = estimate.matrix * estimate.prior[:, np.newaxis]
    np.fill_diagonal(shares, 0)
    pairs = []
    for cell in np.argsort(-shares, axis=None, kind="stable")[: int(top)]:
        clean, noisy = np.unravel_index(cell, shares.shape)
        if shares[clean, noisy] > 0:
            entries = estimate.matrix[clean, noisy], shares[clean, noisy]
            pairs.append(ConfusedPair(int(clean), int(noisy), *map(float, entries)))
    return pairs
