"""Bi-tempered logistic loss (Amid et al., NeurIPS 2019)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable, with_closed_gradient
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import Labels, decode, to_float
from tfrobustloss.losses.rows import quick_sum
from tfrobustloss.losses.tempered_softmax import (
    Tempered,
    tempered_softmax,
    two_logits,
)

_LIMITS = {
    "t1": Range(0, 1),
    "t2": Range(0, 5, open_low=True),
    "label_smoothing": Range(0, 1),
}
_ANY = {"temperature": Range()}
_SMALL = 1e-12  # stands for 1 - t = 0, where expm1(x) is x: the limit


@keras_function
def log_t(x, temperature):
    """Tempered logarithm: `(x ** (1 - t) - 1) / (1 - t)`, the logarithm at t = 1.

    Args:
        x: Tensor of any shape, entries >= 0.
        temperature: Float, `t` in the paper.

    Returns:
        Tensor of the shape of `x`; bounded below by `-1 / (1 - t)` for t < 1.

    Example:
        >>> round(float(log_t(0.5, 0.8)), 4)
        -0.6472
    """
    check("log_t", _ANY, temperature=temperature)
    return _log_t(ops.log(to_float(x)), temperature)


def _log_t(log_x, temperature):
    power = _one_minus(temperature, log_x.dtype)
    return ops.expm1(power * log_x) / power


@keras_function
def exp_t(x, temperature):
    """Tempered exponential: the inverse of `log_t`, the exponential at t = 1.

        exp_t(x) = max(0, 1 + (1 - t) * x) ** (1 / (1 - t))

    Args:
        x: Tensor of any shape.
        temperature: Float, `t` in the paper.

    Returns:
        Tensor of the shape of `x`; 0 left of `-1 / (1 - t)` for t < 1, infinite
        right of `1 / (t - 1)` for t > 1.

    Example:
        >>> round(float(exp_t(-1.0, 1.2)), 4)
        0.4019
    """
    check("exp_t", _ANY, temperature=temperature)
    x = to_float(x)
    power = _one_minus(temperature, x.dtype)
    return ops.exp(ops.log1p(ops.maximum(power * x, -1.0)) / power)


def _one_minus(temperature, dtype):
    """`1 - temperature`, or a number at the limit of every formula for 0."""
    if not is_variable(temperature):
        power = 1 - temperature
        return power if abs(power) >= _SMALL else _SMALL
    power = 1 - ops.cast(temperature, dtype)
    return ops.where(ops.abs(power) < _SMALL, _SMALL, power)


@keras_function
def bi_tempered_logistic(
    y_true, y_pred, t1=0.8, t2=1.2, label_smoothing=0.0, from_logits=False
):
    """Logistic loss with a bounded logarithm and a heavy-tailed softmax.

        loss = sum over classes of label * (log_t1(label) - log_t1(p))
               - (label ** (2 - t1) - p ** (2 - t1)) / (2 - t1)
        p = tempered_softmax(logits, t2)

    `t1` < 1 bounds the loss of an outlier far from the boundary, `t2` > 1 lets a
    wrong label near it be outvoted. Both at 1 is cross-entropy (for soft labels,
    less the entropy of the label). Published settings (t1, t2): MNIST (0.5, 4.0),
    CIFAR-100 (0.8, 1.2). The gradient with respect to logits is in closed form and
    holds `y_true`, `t1` and `t2` constant.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities from `tempered_softmax(logits, t2)`, or the logits,
            shape `(..., classes)`, or `(..., 1)` of one unit.
        t1: Float in [0, 1].
        t2: Float in (0, 5]. Below 1 far classes have probability 0, whose logarithm
            counts as -1e4: this matters for `t1` above 0.99 alone. Below `t1` the
            gradient at these classes, infinite in theory, is taken as 0.
        label_smoothing: Float in [0, 1], mass spread over all classes, Keras'
            convention. The authors' code spreads over the wrong classes only: its
            value `e` is `e * classes / (classes - 1)` here.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0; for `t1` < 1 and one-hot labels
        at most `1 / (1 - t1)`.

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = bi_tempered_logistic([0], [[2.0, 0.0, -1.0]], from_logits=True)
        >>> round(float(loss[0]), 4)
        0.16

    Reference:
        Amid, Warmuth, Anil, Koren, "Robust Bi-Tempered Logistic Loss Based on
        Bregman Divergences", NeurIPS 2019.
    """
    check(
        "bi_tempered_logistic",
        _LIMITS,
        t1=t1,
        t2=t2,
        label_smoothing=label_smoothing,
    )
    if not from_logits:
        labels, prediction = decode(y_true, y_pred, from_logits)
        log_p = prediction.log()
        target = _Target(labels, label_smoothing, log_p.dtype)
        power = ops.exp((1 - t1) * log_p)

        def log_of(pick=None):
            return log_p if pick is None else pick(log_p)

        return target.divergence(ops.exp(log_p), log_of, power, t1)
    logits = to_float(y_pred)
    labels = y_true if isinstance(y_true, Labels) else Labels(y_true, logits)
    logits = two_logits(logits)
    target = _Target(labels, label_smoothing, logits.dtype, constant=True)

    def loss_and_gradient(logits, t1, t2):
        tempered = Tempered(logits, t2)
        slope = tempered.to_power(t2 - t1)
        power = slope * tempered.x  # p ** (1 - t1)
        value = target.divergence(tempered.p, tempered.log_p, power, t1)

        def slope_of_loss():
            direction = target.minus_label(tempered.p) * slope
            ratio = quick_sum(direction) / quick_sum(tempered.p_to_t)
            return direction - tempered.p_to_t * ratio

        def gradient(upstream):
            return slope_of_loss() * ops.expand_dims(upstream, -1)

        def change(direction):
            return ops.sum(slope_of_loss() * direction, axis=-1)

        return value, gradient, change

    return with_closed_gradient(loss_and_gradient, logits, t1, t2)


class _Target:
    """Smoothed labels: class ids stay ids unless smoothing makes them rows."""

    def __init__(self, labels, label_smoothing, dtype, constant=False):
        smooth = is_variable(label_smoothing) or label_smoothing != 0
        self._labels = labels
        self._rows = labels.rows
        if smooth:
            rows = (1 - label_smoothing) * labels.dense(dtype)
            self._rows = rows + label_smoothing / labels.num_classes
        if constant and self._rows is not None:
            self._rows = ops.stop_gradient(self._rows)

    def divergence(self, p, log_p, power, t1):
        """The loss per example, from `p`, a function for `log(p)`, `p ** (1 - t1)`."""
        spread = ops.sum(p * power, axis=-1)
        if self._rows is None:
            gain = _log_t(log_p(self._labels.pick), t1)
            return (spread - 1) / (2 - t1) - gain
        far = not is_variable(t1) and t1 < 0.95
        gain = (power - 1) / (1 - t1) if far else _log_t(log_p(), t1)
        return self._entropy(t1) - ops.sum(self._rows * gain, -1) + spread / (2 - t1)

    def _entropy(self, t1):
        """Sum of `label * log_t(label) - label ** (2 - t1) / (2 - t1)`."""
        rows = self._rows
        log_t = _log_t(ops.log(ops.where(rows > 0, rows, 1)), t1)
        # label ** (2 - t1) is label * (1 + (1 - t1) * log_t(label))
        return ops.sum(rows * (log_t - 1), axis=-1) / (2 - t1)

    def minus_label(self, p):
        """`p - label`, shape `(..., classes)`."""
        if self._rows is None:
            return p - ops.cast(self._labels.hot(), p.dtype)
        return p - self._rows


@keras.saving.register_keras_serializable(package="tfrobustloss")
class BiTemperedLogistic(FunctionLoss):
    """`bi_tempered_logistic` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(bi_tempered_logistic)
    limits = _LIMITS
    purpose = "outliers far off (`t1` < 1), wrong labels near the border (`t2` > 1)"
    paper = "Amid et al. 2019"
    paper_url = "https://arxiv.org/abs/1906.03361"

    def __init__(
        self, t1=0.8, t2=1.2, label_smoothing=0.0, from_logits=False, **options
    ):
        super().__init__(
            t1=t1,
            t2=t2,
            label_smoothing=label_smoothing,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        if self.t1 == 1:
            return 0, math.inf
        spread = 1 / (2 - self.t1) if self.label_smoothing else 0
        return 0, 1 / (1 - self.t1) + spread

    def activation(self, logits):
        """The tempered softmax of the loss' own temperature `t2`."""
        return tempered_softmax(logits, self.t2)
