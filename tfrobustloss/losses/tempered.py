"""Bi-tempered logistic loss (Amid et al., NeurIPS 2019)."""

import keras
from keras import ops

from tfrobustloss import _limits
from tfrobustloss._tempered import Tempered, tempered_softmax, with_closed_gradient
from tfrobustloss.losses._base import FunctionLoss, as_labels, decode, to_float

_LIMITS = {
    "t1": _limits.Range(0, 1),
    "t2": _limits.Range(0, 5, open_low=True),
    "label_smoothing": _limits.Range(0, 1),
}
_SMALL = 1e-12  # stands for 1 - t = 0, where expm1(x) is x: the limit


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
    x = to_float(x)
    power = _away_from_zero(1 - ops.cast(temperature, x.dtype))
    return ops.expm1(power * ops.log(x)) / power


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
    x = to_float(x)
    power = _away_from_zero(1 - ops.cast(temperature, x.dtype))
    return ops.exp(ops.log1p(ops.maximum(power * x, -1.0)) / power)


def _away_from_zero(x):
    return ops.where(ops.abs(x) < _SMALL, _SMALL, x)


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
            shape `(..., classes)`.
        t1: Float in [0, 1].
        t2: Float in (0, 5]. Below `t1` the gradient at a class of probability 0,
            infinite in theory, is taken as 0.
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
    _limits.check(
        "bi_tempered_logistic",
        _LIMITS,
        t1=t1,
        t2=t2,
        label_smoothing=label_smoothing,
    )
    if not from_logits:
        labels, log_p = decode(y_true, y_pred, from_logits)
        target = _Target(labels, label_smoothing, log_p.dtype)
        p_power = ops.exp((2 - t1) * log_p)
        return target.divergence(log_p, p_power, t1)
    logits = to_float(y_pred)
    target = _Target(as_labels(y_true, logits), label_smoothing, logits.dtype)

    def loss_and_gradient(logits, t1, t2):
        tempered = Tempered(logits, t2)
        p, p_to_t = tempered.p, tempered.p_to_t
        slope = tempered.to_power(t2 - t1)
        # p ** (2 - t1), from powers that are there: p ** t2 is p_to_t
        p_power = tempered.to_power(2 - t1)
        value = target.divergence(tempered.log_p(), p_power, t1)

        def gradient(upstream):
            direction = target.minus_label(p) * slope
            total = ops.sum(direction, axis=-1, keepdims=True)
            escort = p_to_t / ops.sum(p_to_t, axis=-1, keepdims=True)
            return (direction - escort * total) * ops.expand_dims(upstream, -1)

        return value, gradient

    return with_closed_gradient(loss_and_gradient, logits, t1, t2)


class _Target:
    """Smoothed labels: class ids stay ids unless smoothing makes them rows."""

    def __init__(self, labels, label_smoothing, dtype):
        smooth = _limits.is_variable(label_smoothing) or label_smoothing != 0
        self._labels = labels
        self._rows = labels.rows
        if smooth:
            rows = labels.dense(dtype)
            self._rows = (1 - label_smoothing) * rows
            self._rows = self._rows + label_smoothing / labels.num_classes

    def divergence(self, log_p, p_power, t1):
        """The loss per example, from `log(p)` and `p ** (2 - t1)`."""
        power = _away_from_zero(1 - ops.cast(t1, log_p.dtype))
        spread = ops.sum(p_power, axis=-1)
        if self._rows is None:
            gain = ops.expm1(power * self._labels.pick(log_p)) / power
            return (spread - 1) / (2 - t1) - gain
        rows = self._rows
        log_rows = ops.log(ops.where(rows > 0, rows, 1))
        own = ops.expm1(power * log_rows) / power
        gain = ops.expm1(power * log_p) / power
        rows_power = rows * ops.exp(power * log_rows)
        spread = spread - ops.sum(rows_power, axis=-1)
        return ops.sum(rows * (own - gain), axis=-1) + spread / (2 - t1)

    def minus_label(self, p):
        """`p - label`, shape `(..., classes)`."""
        if self._rows is None:
            return p - ops.cast(self._labels.hot(), p.dtype)
        return p - self._rows


@keras.saving.register_keras_serializable(package="tfrobustloss")
class BiTemperedLogistic(FunctionLoss):
    """`bi_tempered_logistic` as a `keras.losses.Loss`; arguments as there."""

    function = staticmethod(bi_tempered_logistic)
    limits = _LIMITS

    def __init__(
        self,
        t1=0.8,
        t2=1.2,
        label_smoothing=0.0,
        from_logits=False,
        ignore_class=None,
        **keras_options,
    ):
        parameters = {
            "t1": t1,
            "t2": t2,
            "label_smoothing": label_smoothing,
            "from_logits": from_logits,
        }
        super().__init__(parameters, ignore_class, **keras_options)

    def activation(self, logits):
        """The tempered softmax of the loss' own temperature `t2`."""
        return tempered_softmax(logits, self.t2)
