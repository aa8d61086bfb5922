"""Keras metrics that judge a model by noisy labels."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import noisy_accuracy as core
from tfrobustloss._core.backend import get_keras_mask
from tfrobustloss._core.noisy_accuracy import estimated_accuracy
from tfrobustloss._core.shapes import agree, check_rank
from tfrobustloss._core.tensors import current_value, visible
from tfrobustloss._core.validation import ParameterError, Range, check

__all__ = ["NoisyAccuracy", "estimated_accuracy", "noisy_accuracy"]

_LIMITS = {"threshold": Range()}
_SUMS = ("total", "squares", "first", "second", "second_squared")


def noisy_accuracy(y_true, y_pred, transition_matrix=None, threshold=0.5):
    """Value of each example for the accuracy that is judged by noisy labels.

        value = [label = prediction],             without a matrix
        value = inverse(T)[label, prediction],    with `transition_matrix` T

    The mean of the first is plain accuracy on noisy labels, that of the second an
    unbiased estimate of accuracy on clean labels; `NoisyAccuracy` says why.

    Args:
        y_true: Noisy class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, of which the largest entry counts. Negative ids and
            rows of zeros are no label.
        y_pred: Probabilities or logits, shape `(..., classes)`, of which the largest
            counts; or of one sigmoid unit, shape `(..., 1)`.
        transition_matrix: `T[i, j] = P(noisy label j | class i)`, shape `(classes,
            classes)`, or None.
        threshold: Float; one unit above it predicts class 1. 0.5 for probabilities, 0
            for logits.

    Returns:
        Float32 values, shape `(...)`; 0 where there is no label.

    Raises:
        ValueError: The matrix is not row-stochastic, its noise makes classes too much
            alike, or its number of classes, or the labels, do not fit `y_pred`.

    Example:
        >>> matrix = [[0.9, 0.1], [0.2, 0.8]]
        >>> values = noisy_accuracy([0, 1], [[0.7, 0.3], [0.6, 0.4]], matrix)
        >>> [round(float(value), 3) for value in values]
        [1.143, -0.286]

    Reference:
        Chen et al., "Robustness of Accuracy Metric and its Inspirations in Learning
        with Noisy Labels", AAAI 2021 (arXiv 2012.04193), for the use without a matrix.
    """
    owner = "noisy_accuracy"
    check(owner, _LIMITS, threshold=threshold)
    values = _values(owner, transition_matrix)
    return _judged(owner, y_true, y_pred, values, threshold)[0]


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NoisyAccuracy(keras.metrics.Metric):
    """Accuracy judged by noisy labels: plain, or corrected by a transition matrix.

        estimate = weighted mean of [label = prediction],             without a matrix
        estimate = weighted mean of inverse(T)[label, prediction],    with a matrix T

    Without a matrix it is plain accuracy. Under noise that depends on the class alone
    and leaves the right label the likeliest, it ranks models as accuracy on clean
    labels does (Chen et al.), so that it serves for early stopping and tuning.

    With a matrix it estimates the accuracy on clean labels without bias: for an
    example of class y with noisy label n and prediction c,

        E[inverse(T)[n, c]] = sum over j of T[y, j] * inverse(T)[j, c] = [y = c],

    where the prediction must not depend on the noise of this label: use examples that
    the model was not trained on. A single estimate may lie outside [0, 1]. Its
    standard error is at most the span of the entries of `inverse(T)` times that of
    plain accuracy: for symmetric noise of rate r in K classes
    `1 / (1 - r - r / (K - 1))`, 3 for a rate of 0.6 in 10 classes, so that 9 times as
    many examples are needed.

    Args:
        transition_matrix: `T[i, j] = P(noisy label j | class i)`, shape `(classes,
            classes)`, rows summing to 1, for example `report.transition_matrix` of
            `data.estimate.report`; or None.
        threshold: Float; a model of one sigmoid unit predicts class 1 above it. 0.5
            for probabilities, 0 for logits.
        name: Name of the metric.
        dtype: Dtype of the metric; sums are kept in float32 at least.

    Raises:
        ValueError: The matrix is not row-stochastic, or its inverse multiplies the
            standard error by more than 50. In `update_state`: labels, matrix and
            predictions do not fit each other.

    Example:
        >>> metric = NoisyAccuracy([[0.9, 0.1], [0.2, 0.8]])
        >>> metric.update_state([0, 0, 1], [[0.7, 0.3], [0.8, 0.2], [0.4, 0.6]])
        >>> round(float(metric.result()), 4)
        1.1905
        >>> round(metric.standard_error(), 3)
        0.039
        >>> low, high = metric.interval()
        >>> round(low, 2), high
        (0.32, 1.0)

        In training:

        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("sgd", loss, metrics=[NoisyAccuracy()])

    Reference:
        Chen et al., "Robustness of Accuracy Metric and its Inspirations in Learning
        with Noisy Labels", AAAI 2021 (arXiv 2012.04193), for the use without a matrix.
    """

    def __init__(
        self, transition_matrix=None, threshold=0.5, name="noisy_accuracy", dtype=None
    ):
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        check(owner, _LIMITS, threshold=threshold)
        self._values = _values(owner, transition_matrix)
        if transition_matrix is not None:
            transition_matrix = np.asarray(current_value(transition_matrix)).tolist()
        # not as an attribute: Keras would wrap the list
        vars(self)["transition_matrix"] = transition_matrix
        self.threshold = threshold
        narrow = self.dtype in ("float16", "bfloat16")
        for each in _SUMS:
            variable = self.add_variable(
                shape=(),
                initializer="zeros",
                dtype="float32" if narrow else self.dtype,
                name=each,
            )
            setattr(self, f"_{each}", variable)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: As for `noisy_accuracy`.
            y_pred: As for `noisy_accuracy`. Positions that its mask leaves out do not
                count.
            sample_weight: Weights, shape `(...)`, or leading dimensions of it, or None.

        Raises:
            ValueError: As for `noisy_accuracy`.
        """
        owner = type(self).__name__
        mask = get_keras_mask(y_pred)
        values, weight = _judged(owner, y_true, y_pred, self._values, self.threshold)
        shape = tuple(values.shape)
        for factor in (mask, sample_weight):
            if factor is not None:
                factor = ops.cast(ops.convert_to_tensor(factor), weight.dtype)
                weight = weight * _aligned(owner, factor, shape)
        first, second = weight * values, weight * weight * values
        terms = weight, weight * weight, first, second, second * values
        for name, term in zip(_SUMS, terms, strict=True):
            variable = getattr(self, f"_{name}")
            variable.assign_add(ops.cast(ops.sum(term), variable.dtype))

    def result(self):
        """The estimate, a scalar tensor; 0 before there is an example."""
        return ops.divide_no_nan(self._first, self._total)

    def standard_error(self):
        """Standard error of the estimate, a float; NaN before there is an example."""
        return core.from_sums(*self._sums())[1]

    def interval(self, confidence=0.95):
        """Confidence interval of the accuracy, clipped to [0, 1].

        Args:
            confidence: Float in (0, 1).

        Returns:
            `(low, high)`, two floats: Wilson's interval, on the scale of the smallest
            and largest value that an example can have.

        Raises:
            ValueError: `confidence` is out of range.
        """
        total, squares, *_ = sums = self._sums()
        count = total**2 / squares if squares > 0 else 0
        estimate, error = core.from_sums(*sums)
        return core.interval(estimate, error, count, self._values, confidence)

    def get_config(self):
        """The metric's arguments as plain JSON values."""
        own = {
            "transition_matrix": self.transition_matrix,
            "threshold": current_value(self.threshold),
        }
        return {**super().get_config(), **own}

    def _sums(self):
        return [float(current_value(getattr(self, f"_{name}"))) for name in _SUMS]


def _values(owner, transition_matrix):
    if transition_matrix is None:
        return None
    return core.values_of_pairs(owner, current_value(transition_matrix))


def _judged(owner, y_true, y_pred, values, threshold):
    """Value of each example and its weight, 1 or 0 where there is no label."""
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
    if shape[-1] == 1:
        predicted = ops.cast(ops.squeeze(y_pred, -1) > threshold, "int32")
    else:
        predicted = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
    labels, known = _labels(owner, y_true, shape, classes)
    if values is None:
        worth = ops.cast(ops.equal(labels, predicted), "float32")
    else:
        table = ops.convert_to_tensor(np.float32(values.reshape(-1)))
        worth = ops.take(table, labels * classes + predicted)
    known = ops.cast(known, "float32")
    return worth * known, known


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
    if seen is not None and seen.size:
        bad = ~((seen < classes) & (seen == np.floor(seen)))  # NaN is neither
        if bad.any():
            constraint = f"class ids below {classes}, or negative where there is none"
            raise ParameterError(owner, "y_true", seen[bad][0].item(), constraint)
    if column:
        y_true = ops.squeeze(y_true, -1)
    labels = ops.cast(y_true, "int32")
    known = ops.logical_and(labels >= 0, labels < classes)
    return ops.where(known, labels, 0), known


def _aligned(owner, weight, shape):
    """Weights of the values' rank: missing last axes are added, one too many goes."""
    given = tuple(weight.shape)
    if len(given) == len(shape) + 1 and given[-1] == 1:
        weight = ops.squeeze(weight, -1)
    elif len(given) > len(shape):
        constraint = f"of shape {shape}, or leading dimensions of it"
        raise ParameterError(owner, "sample_weight.shape", given, constraint)
    for _ in range(len(shape) - len(tuple(weight.shape))):
        weight = ops.expand_dims(weight, -1)
    return weight
