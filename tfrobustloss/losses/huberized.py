"""Losses continued as a straight line below a probability (Menon et al. 2020)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.generalized import power_loss
from tfrobustloss.losses.labels import decode

_TAU = Range(1, 1e12)
_CROSS_ENTROPY = {"tau": _TAU}
_GENERALIZED = {"q": Range(0, 1), "tau": _TAU}


@keras_function
def partially_huberized_cross_entropy(y_true, y_pred, tau=10.0, from_logits=False):
    """Cross-entropy whose slope stays at `-tau` below `p = 1 / tau`: bounded.

        loss = sum over classes of label * l(p)
        l(p) = -log(p)                      where p > 1 / tau
        l(p) = 1 + log(tau) - tau * p       elsewhere

    `tau` at 1 is `1 - p`; large `tau` is cross-entropy. A public reproduction takes 10
    for MNIST and CIFAR-100 and 2 for CIFAR-10.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        tau: Float in [1, 1e12], the largest slope in `p`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 + log(tau)].

    Raises:
        ValueError: `tau` is outside its range, or labels do not fit.

    Example:
        >>> loss = partially_huberized_cross_entropy([1], [[0.7, 0.2, 0.1]], tau=2.0)
        >>> round(float(loss[0]), 4)
        1.2931

    Reference:
        Menon et al., "Can Gradient Clipping Mitigate Label Noise?", ICLR 2020.
        Formula and values checked against its reproduction, dmizr/phuber.
    """
    check("partially_huberized_cross_entropy", _CROSS_ENTROPY, tau=tau)
    labels, prediction = decode(y_true, y_pred, from_logits)
    log_tau = ops.log(tau) if is_variable(tau) else math.log(tau)

    def huberized(log_p):
        line = 1 + log_tau - tau * ops.exp(log_p)
        return ops.where(log_p > -log_tau, -log_p, line)

    return prediction.pick_of_log(labels, huberized)


@keras_function
def partially_huberized_generalized_cross_entropy(
    y_true, y_pred, q=0.7, tau=10.0, from_logits=False
):
    """Generalized cross-entropy whose slope stays at `-tau` for small `p`.

        loss = sum over classes of label * l(p),   c = tau ** (1 / (q - 1))
        l(p) = (1 - p ** q) / q                     where p > c
        l(p) = (1 - c ** q) / q + tau * (c - p)     elsewhere

    `q` at 0 is `partially_huberized_cross_entropy`, at 1 it is `1 - p`; large `tau`
    is `generalized_cross_entropy`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        q: Float in [0, 1].
        tau: Float in [1, 1e12], the largest slope in `p`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, (1 - c ** q) / q + tau * c].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = partially_huberized_generalized_cross_entropy(
        ...     [1], [[0.7, 0.2, 0.1]]
        ... )
        >>> round(float(loss[0]), 4)
        0.9655

    Reference:
        Menon et al., "Can Gradient Clipping Mitigate Label Noise?", ICLR 2020.
    """
    owner = "partially_huberized_generalized_cross_entropy"
    check(owner, _GENERALIZED, q=q, tau=tau)
    labels, prediction = decode(y_true, y_pred, from_logits)
    # as tensors, because either may be a variable; a few numbers, not one a class
    q, tau = (_tensor(value, prediction.scores.dtype) for value in (q, tau))
    q = ops.maximum(q, 1e-12)
    log_tau = ops.log(tau)
    log_c = -log_tau / ops.maximum(1 - q, 1e-12)  # -1e12 or so at q = 1: never below
    level = -ops.expm1(q * log_c) / q + ops.exp(log_tau + log_c)

    def huberized(log_p):
        power = -ops.expm1(q * log_p) / q
        return ops.where(log_p > log_c, power, level - tau * ops.exp(log_p))

    return prediction.pick_of_log(labels, huberized)


def _tensor(value, dtype):
    if is_variable(value):
        return ops.cast(value, dtype)
    return ops.convert_to_tensor(value, dtype)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class PartiallyHuberizedCrossEntropy(FunctionLoss):
    """`partially_huberized_cross_entropy` as a `Loss`, with the same arguments."""

    function = staticmethod(partially_huberized_cross_entropy)
    limits = _CROSS_ENTROPY
    purpose = "label noise, bounded: a line below `p = 1 / tau`"
    paper = "Menon et al. 2020"

    def __init__(self, tau=10.0, from_logits=False, **options):
        super().__init__(tau=tau, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 1 + math.log(self.tau)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class PartiallyHuberizedGeneralizedCrossEntropy(FunctionLoss):
    """`partially_huberized_generalized_cross_entropy` as a `Loss`; arguments there."""

    function = staticmethod(partially_huberized_generalized_cross_entropy)
    limits = _GENERALIZED
    purpose = "label noise, bounded: a line for small `p`"
    paper = "Menon et al. 2020"

    def __init__(self, q=0.7, tau=10.0, from_logits=False, **options):
        super().__init__(q=q, tau=tau, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        if self.q == 1:
            return 0, 1
        corner = self.tau ** (-1 / (1 - self.q))
        return 0, power_loss(corner, self.q) + corner**self.q
