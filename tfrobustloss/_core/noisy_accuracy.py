"""Accuracy estimated from noisy labels, with or without a transition matrix.

With `T[i, j] = P(noisy label j | class i)` and `W = inverse(T)`, the value of an
example of class `y`, noisy label `n` and prediction `c` is `W[n, c]`. For a prediction
that does not depend on the noise of its own label,

    E[W[n, c] | y, c] = sum over j of T[y, j] * W[j, c] = (T W)[y, c] = [y = c],

so that the mean over examples is an unbiased estimate of the accuracy on clean labels.
"""

import math
import statistics

import numpy as np
from keras import ops

from tfrobustloss._core.labels import flat_class_ids, integers, stochastic_matrix
from tfrobustloss._core.shapes import agree, check_rank
from tfrobustloss._core.tensors import current_value, visible
from tfrobustloss._core.validation import ParameterError, Range, check

# Beyond it, 10,000 labels leave a standard error of up to 25 points.
_LARGEST_SPREAD = 50.0
THRESHOLD = {"threshold": Range()}
_CONFIDENCE = {"confidence": Range(0, 1, open_low=True, open_high=True)}


def values_of_pairs(owner, transition_matrix):
    """`inverse(T)`, whose entry at noisy label and prediction an example counts.

    Args:
        owner: Name of the class or function that took the matrix.
        transition_matrix: Row-stochastic, shape `(classes, classes)`.

    Returns:
        Float64 array, shape `(classes, classes)`.

    Raises:
        ValueError: The matrix is not row-stochastic; or the entries of its inverse
            span more than 50, and so multiply the standard error by as much.
    """
    name = "transition_matrix"
    matrix = stochastic_matrix(owner, name, transition_matrix)
    spread, inverse = math.inf, None
    if np.linalg.cond(matrix) < 1e12:
        inverse = np.linalg.inv(matrix)
        spread = np.ptp(inverse)
    if spread > _LARGEST_SPREAD:
        value = f"one that multiplies the standard error by {spread:.3g}"
        constraint = (
            f"a matrix whose inverse multiplies the standard error of an accuracy by "
            f"{_LARGEST_SPREAD:g} at most"
        )
        hint = (
            "This noise makes classes alike. Leave the matrix out: plain accuracy on "
            "noisy labels still ranks models."
        )
        raise ParameterError(owner, name, value, constraint, hint)
    return inverse


def spread_of(values):
    """Largest less smallest value of an example; 1 without a matrix.

    It is the factor between the largest possible standard errors of the estimate and
    of plain accuracy.
    """
    return 1.0 if values is None else float(np.ptp(values))


def from_sums(total, squares, first, second, second_squared):
    """Weighted mean of values and its standard error, from sums over examples.

    Args:
        total: Sum of weights `w`.
        squares: Sum of `w²`.
        first: Sum of `w v`.
        second: Sum of `w² v`.
        second_squared: Sum of `w² v²`.

    Returns:
        `(mean, standard_error)`, two floats; NaN if all weights are 0.
    """
    total, squares, first, second, second_squared = map(
        float, (total, squares, first, second, second_squared)
    )
    if not total > 0:
        return math.nan, math.nan
    mean = first / total
    variance = second_squared - 2 * mean * second + mean**2 * squares
    return mean, math.sqrt(max(variance, 0.0)) / total


def interval(estimate, standard_error, count, values=None, confidence=0.95):
    """Confidence interval of an accuracy, clipped to [0, 1].

    Wilson's interval on the scale from the smallest to the largest value of an
    example, where every estimate is a mean of numbers in [0, 1]. For plain accuracy and
    symmetric noise, where there are two values, it is exact Wilson, whose width is not
    0 where all labels agree. Elsewhere the variance is smaller than that of two values;
    as few examples may agree by chance, `z²` more at the two ends count in it.

    Args:
        estimate: Mean of values.
        standard_error: Of the mean.
        count: Effective number of examples, `(sum w)² / sum w²`.
        values: As `values_of_pairs` returns them, or None for plain accuracy.
        confidence: Float in (0, 1).

    Returns:
        `(low, high)`, two floats; NaN without examples.

    Raises:
        ValueError: `confidence` is out of range.
    """
    check("interval", _CONFIDENCE, confidence=confidence)
    if not count > 0:
        return math.nan, math.nan
    low = 0.0 if values is None else float(np.min(values))
    spread = spread_of(values)
    share = min(max((estimate - low) / spread, 0.0), 1.0)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    variance = count * (standard_error / spread) ** 2  # of one example
    at_the_ends = (share**2 + (1 - share) ** 2) / 2
    variance = (count * variance + z**2 * at_the_ends) / (count + z**2)
    trials = count * max(1.0, share * (1 - share) / variance)
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    width = z / (1 + z**2 / trials)
    width *= math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    ends = (low + spread * (centre + sign * width) for sign in (-1, 1))
    first, last = (min(max(end, 0.0), 1.0) for end in ends)
    return first, last


def estimated_accuracy(
    labels, predicted, transition_matrix=None, owner="estimated_accuracy"
):
    """Accuracy of predictions, judged by noisy labels: NumPy alone.

    Without a matrix it is the share of predictions that agree with the noisy labels,
    which ranks models as clean accuracy does where noise depends on the class alone
    and keeps the right label likeliest (Chen et al.). With a matrix it is an unbiased
    estimate of accuracy on clean labels, the mean of
    `inverse(transition_matrix)[label, prediction]`; see `NoisyAccuracy`. It may lie
    outside [0, 1].

    Args:
        labels: Noisy class ids, shape `(examples,)` or `(examples, 1)`, or one-hot
            rows, shape `(examples, classes)`. Examples with the id -1 are left out.
        predicted: Predicted class ids, shape `(examples,)`.
        transition_matrix: `T[i, j] = P(noisy label j | class i)`, shape `(classes,
            classes)`, or None.
        owner: Name of the function or class that judges, for errors.

    Returns:
        `(estimate, standard_error)`, two floats; NaN if no example has a label.

    Raises:
        ValueError: The matrix is not row-stochastic, or its noise makes classes too
            much alike; labels or predictions are no class ids, or differ in number.

    Example:
        >>> labels, predicted = [0, 0, 1, 1, 1], [0, 0, 1, 1, 0]
        >>> estimate, error = estimated_accuracy(labels, predicted)
        >>> round(estimate, 3), round(error, 3)
        (0.8, 0.179)
        >>> matrix = [[0.9, 0.1], [0.2, 0.8]]
        >>> round(estimated_accuracy(labels, predicted, matrix)[0], 3)
        0.914

    Reference:
        Chen et al., "Robustness of Accuracy Metric and its Inspirations in Learning
        with Noisy Labels", AAAI 2021 (arXiv 2012.04193), for the use without a matrix.
    """
    values = None
    if transition_matrix is not None:
        values = values_of_pairs(owner, transition_matrix)
    classes = None if values is None else len(values)
    high = np.inf if values is None else classes - 1
    labels = _ids(owner, labels, classes, high)
    predicted = integers(owner, "predicted", predicted, 0, high).reshape(-1)
    if len(labels) != len(predicted):
        constraint = f"{len(labels)}, the number of labels"
        raise ParameterError(owner, "len(predicted)", len(predicted), constraint)
    known = labels >= 0
    if values is None:
        worth = labels == predicted
    else:
        worth = values[np.where(known, labels, 0), predicted]
    mean, error, _ = weighted_mean(worth, known)
    return mean, error


def weighted_mean(values, weights):
    """Mean of the examples' values, its standard error and the effective number.

    Args:
        values: Floats, shape `(examples,)`.
        weights: Floats, same shape.

    Returns:
        `(estimate, standard_error, count)`, three floats.
    """
    v, w = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    sums = w.sum(), (w**2).sum(), (w * v).sum(), (w**2 * v).sum(), (w**2 * v**2).sum()
    count = float(sums[0] ** 2 / sums[1]) if sums[1] > 0 else 0.0
    return (*from_sums(*sums), count)


def smoothed(estimates, window):
    """Centred means over `window` epochs, of fewer epochs at either end.

    Args:
        estimates: Floats, shape `(epochs, ...)`.
        window: Odd int >= 1.

    Returns:
        Float64 array of the same shape.
    """
    values, half = np.asarray(estimates, np.float64), window // 2
    return np.stack(
        [
            values[max(0, epoch - half) : epoch + half + 1].mean(axis=0)
            for epoch in range(len(values))
        ]
    )


def values_or_none(owner, transition_matrix):
    """`values_of_pairs` of a matrix, or None without one."""
    if transition_matrix is None:
        return None
    return values_of_pairs(owner, current_value(transition_matrix))


def judged(owner, y_true, y_pred, values, threshold):
    """Values of the examples of a batch, of any format, on every backend.

    Args:
        owner: Name of the class or function that judges, for errors.
        y_true: Class ids, shape `(...)` or `(..., 1)`, or rows, shape `(..., classes)`.
        y_pred: Probabilities or logits, shape `(..., classes)` or `(..., 1)`.
        values: As `values_of_pairs` returns them, or None for plain accuracy.
        threshold: Float; one unit above it predicts class 1.

    Returns:
        Float32 values, and weights, 1 or 0 where there is no label, shape `(...)`.

    Raises:
        ValueError: Shapes or numbers of classes do not fit, or an id is out of range.
    """
    check_rank(owner, y_true=y_true, y_pred=y_pred)
    y_pred = ops.convert_to_tensor(y_pred)
    shape = tuple(y_pred.shape)
    classes = None if not shape else 2 if shape[-1] == 1 else shape[-1]
    if classes is None:
        constraint = "of a known number of classes on its last axis"
        raise ParameterError(owner, "y_pred.shape", shape, constraint)
    if values is not None and len(values) != classes:
        constraint = f"a matrix of {classes} classes, as many as `y_pred` has"
        received = np.shape(values)
        raise ParameterError(owner, "transition_matrix.shape", received, constraint)
    predicted = predicted_classes(y_pred, threshold)
    labels, known = _labels(owner, y_true, shape, classes)
    if values is None:
        worth = ops.cast(ops.equal(labels, predicted), "float32")
    else:
        table = ops.convert_to_tensor(np.float32(values.reshape(-1)))
        worth = ops.take(table, labels * classes + predicted)
    known = ops.cast(known, "float32")
    return worth * known, known


def predicted_classes(y_pred, threshold):
    """Predicted class ids as int32, shape `y_pred.shape[:-1]`.

    Args:
        y_pred: Probabilities or logits, shape `(..., classes)` or `(..., 1)`.
        threshold: Float; one unit above it predicts class 1.
    """
    if y_pred.shape[-1] == 1:
        return ops.cast(ops.squeeze(y_pred, -1) > threshold, "int32")
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32")


def _labels(owner, y_true, shape, classes):
    """Class ids as int32, 0 where there is no label, and where there is one."""
    seen = visible(y_true)
    y_true = ops.convert_to_tensor(y_true)
    received = tuple(y_true.shape)
    are_rows = len(received) == len(shape) and received[-1] != 1
    column = len(received) == len(shape) and not are_rows
    expected = (*shape[:-1], classes) if are_rows else shape[:-1]
    if not agree(received[:-1] if column else received, expected):
        constraint = (
            f"`y_pred.shape[:-1]`, with or without a last axis of 1, or rows of "
            f"{classes} classes, for y_pred of shape {shape}"
        )
        raise ParameterError(owner, "y_true.shape", received, constraint)
    if are_rows:
        known = ops.any(ops.not_equal(y_true, 0), axis=-1)
        return ops.cast(ops.argmax(y_true, axis=-1), "int32"), known
    soft = shape[-1] == 1 and "float" in str(y_true.dtype)  # of class 1, or negative
    if seen is not None and seen.size:
        fits = seen <= 1 if soft else (seen < classes) & (seen == np.floor(seen))
        if not fits.all():  # NaN is neither
            constraint = f"class ids below {classes}, or negative where there is none"
            raise ParameterError(owner, "y_true", seen[~fits][0].item(), constraint)
    if column:
        y_true = ops.squeeze(y_true, -1)
    if soft:
        known = ops.logical_and(y_true >= 0, y_true <= 1)
        return ops.cast(ops.logical_and(known, y_true > 0.5), "int32"), known
    labels = ops.cast(y_true, "int32")
    known = ops.logical_and(labels >= 0, labels < classes)
    return ops.where(known, labels, 0), known


def aligned(owner, weight, shape):
    """Weights of the values' rank: missing last axes are added, one too many goes.

    Args:
        owner: Name of the class or function that judges, for errors.
        weight: Tensor of sample weights.
        shape: Static shape of the values.

    Returns:
        Tensor that broadcasts with the values.

    Raises:
        ValueError: The weights have too many axes.
    """
    given = tuple(weight.shape)
    if len(given) == len(shape) + 1 and given[-1] == 1:
        weight = ops.squeeze(weight, -1)
    elif len(given) > len(shape):
        constraint = f"of shape {shape}, or leading dimensions of it"
        raise ParameterError(owner, "sample_weight.shape", given, constraint)
    for _ in range(len(shape) - len(tuple(weight.shape))):
        weight = ops.expand_dims(weight, -1)
    return weight


def _ids(owner, labels, classes, high):
    labels = np.asarray(labels)
    width = labels.shape[-1] if labels.ndim == 2 else 1
    if width > 1:
        return flat_class_ids(owner, labels, classes)[0]
    return integers(owner, "labels", labels, -1, high).reshape(-1)
