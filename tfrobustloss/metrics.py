"""Keras metrics that judge a model by noisy labels."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import noisy_accuracy as core
from tfrobustloss._core.backend import get_keras_mask
from tfrobustloss._core.noisy_accuracy import estimated_accuracy
from tfrobustloss._core.tensors import current_value
from tfrobustloss._core.validation import check

__all__ = ["NoisyAccuracy", "estimated_accuracy", "noisy_accuracy"]

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
            rows of zeros are no label. For one unit, floats are the probability of
            class 1, which is the label above 0.5.
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
    check(owner, core.THRESHOLD, threshold=threshold)
    values = core.values_or_none(owner, transition_matrix)
    return core.judged(owner, y_true, y_pred, values, threshold)[0]


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
        check(owner, core.THRESHOLD, threshold=threshold)
        self._values = core.values_or_none(owner, transition_matrix)
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
        values, weight = core.judged(
            owner, y_true, y_pred, self._values, self.threshold
        )
        shape = tuple(values.shape)
        for factor in (mask, sample_weight):
            if factor is not None:
                factor = ops.cast(ops.convert_to_tensor(factor), weight.dtype)
                weight = weight * core.aligned(owner, factor, shape)
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
