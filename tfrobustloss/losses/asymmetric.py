"""Asymmetric losses: the most frequent label wins (Zhou et al., ICML 2021)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.rows import quick_sum

_GENERALIZED = {"a": Range(1e-6, 1e3), "q": Range(0, 10)}
_UNHINGED = {"a": Range(1, 1e3, open_low=True), "q": Range(0, 10)}
_EXPONENTIAL = {"a": Range(1e-3, 1e3)}
_SQUARED = {"a": Range(1, 1e3)}


@keras_function
def asymmetric_generalized_cross_entropy(
    y_true, y_pred, a=0.6, q=0.6, from_logits=False
):
    """A power of the label's probability plus `a`, AGCE in the paper.

        loss = sum over classes of label * ((a + 1) ** q - (a + p) ** q) / q

    `a` towards 0 is `generalized_cross_entropy`, whose slope at `p` = 0 has no
    bound; from `q` = 1 on the loss is asymmetric for every noise whose right label
    stays the most frequent. Published (a, q): MNIST (4, 0.2), CIFAR-10 (0.6, 0.6).

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        a: Float in [1e-6, 1000].
        q: Float in [0, 10]. 1 is `1 - p`, 0 the limit `log((a + 1) / (a + p))`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, ((a + 1) ** q - a ** q) / q].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = asymmetric_generalized_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.2588

    Reference:
        Zhou et al., "Asymmetric Loss Functions for Learning with Noisy Labels",
        ICML 2021. Defaults: CIFAR-10 in the authors' code (hitcszx/ALFs).
    """
    check("asymmetric_generalized_cross_entropy", _GENERALIZED, a=a, q=q)
    labels, prediction = decode(y_true, y_pred, from_logits)
    q = _not_zero(q, prediction)
    top = _exp(q * _log(a + 1))

    def loss(log_p):
        share = -ops.expm1(log_p) / (a + 1)  # (1 - p) / (1 + a), exact near p = 1
        near = ops.log1p(-ops.minimum(share, 0.5))
        far = ops.log((a + ops.exp(log_p)) / (a + 1))
        log_ratio = ops.where(share < 0.5, near, far)
        return -top * ops.expm1(q * log_ratio) / q

    return prediction.pick_of_log(labels, loss)


@keras_function
def asymmetric_unhinged(y_true, y_pred, a=5.5, q=3.0, from_logits=False):
    """A power of `a` less the label's probability, AUL in the paper.

        loss = sum over classes of label * ((a - p) ** q - (a - 1) ** q) / q

    Up to `q` = 1 the loss is asymmetric for every noise whose right label stays the
    most frequent; above, for `a` that is large enough. Published (a, q): MNIST
    (3, 0.1), CIFAR-10 (5.5, 3).

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        a: Float in (1, 1000].
        q: Float in [0, 10]. 1 is `1 - p`, 0 the limit `log((a - p) / (a - 1))`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, (a ** q - (a - 1) ** q) / q].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = asymmetric_unhinged([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        6.489

    Reference:
        Zhou et al., "Asymmetric Loss Functions for Learning with Noisy Labels",
        ICML 2021. Defaults: CIFAR-10 in the authors' code (hitcszx/ALFs).
    """
    check("asymmetric_unhinged", _UNHINGED, a=a, q=q)
    labels, prediction = decode(y_true, y_pred, from_logits)
    q = _not_zero(q, prediction)
    bottom = _log(a - 1)

    def loss(log_p):
        log_ratio = ops.log1p(-ops.expm1(log_p) / (a - 1))  # of a - p to a - 1
        top = ops.exp(q * (bottom + log_ratio))
        return -top * ops.expm1(-q * log_ratio) / q

    return prediction.pick_of_log(labels, loss)


@keras_function
def asymmetric_exponential(y_true, y_pred, a=2.5, from_logits=False):
    """An exponential of the label's probability, AEL in the paper.

        loss = sum over classes of label * exp(-p / a)

    Large `a` approaches `1 - p / a`, which is symmetric. Published: MNIST 3.5,
    CIFAR-10 2.5.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        a: Float in [0.001, 1000].
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [exp(-1 / a), 1].

    Raises:
        ValueError: `a` is outside its range, or labels do not fit.

    Example:
        >>> loss = asymmetric_exponential([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.7558

    Reference:
        Zhou et al., "Asymmetric Loss Functions for Learning with Noisy Labels",
        ICML 2021. Default: CIFAR-10 in the authors' code (hitcszx/ALFs).
    """
    check("asymmetric_exponential", _EXPONENTIAL, a=a)
    labels, prediction = decode(y_true, y_pred, from_logits)
    return prediction.pick_of_log(labels, lambda log_p: ops.exp(-ops.exp(log_p) / a))


@keras_function
def asymmetric_mean_squared_error(y_true, y_pred, a=30.0, from_logits=False):
    """Squared error to a label stretched by `a`, the passive part of JAL.

        loss = mean over classes of (p - a * label) ** 2

    At `a` = 1 it is the plain squared error; large `a` approaches
    `2 a (1 - p) / classes` and a constant, the absolute error, which is symmetric.
    Meant for a sum with an active loss: `joint_asymmetric`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        a: Float in [1, 1000].
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`; for one-hot labels in
        [(a - 1) ** 2, a ** 2 + 1] / classes.

    Raises:
        ValueError: `a` is outside its range, or labels do not fit.

    Example:
        >>> loss = asymmetric_mean_squared_error([0], [[0.7, 0.2, 0.1]], a=1.0)
        >>> round(float(loss[0]), 4)
        0.0467

    Reference:
        Wang et al., "Joint Asymmetric Loss for Learning with Noisy Labels", ICCV
        2025. Formula and default: the authors' code (cswjl/joint-asymmetric-loss).
    """
    check("asymmetric_mean_squared_error", _SQUARED, a=a)
    labels, prediction = decode(y_true, y_pred, from_logits)
    p = prediction.probabilities()
    if labels.rows is not None:
        total = quick_sum(ops.square(p - a * labels.rows))
        return ops.squeeze(total, -1) / labels.num_classes
    own = prediction.pick_probability(labels)
    others = ops.squeeze(quick_sum(ops.square(p)), -1) - ops.square(own)
    return (others + ops.square(a - own)) / labels.num_classes


def _not_zero(q, prediction):
    """`q`, or 1e-12 for 0: expm1(x) is x to rounding there, the loss at its limit."""
    if is_variable(q):
        return ops.maximum(ops.cast(q, prediction.scores.dtype), 1e-12)
    return max(q, 1e-12)


def _log(value):
    return ops.log(value) if is_variable(value) else math.log(value)


def _exp(value):
    return ops.exp(value) if is_variable(value) else math.exp(value)


def _between(high, low, q):
    """`(high ** q - low ** q) / q` of plain numbers; its limit at `q` = 0."""
    q = max(q, 1e-12)
    return low**q * math.expm1(q * math.log(high / low)) / q


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AsymmetricGeneralizedCrossEntropy(FunctionLoss):
    """`asymmetric_generalized_cross_entropy` as a `Loss`, with the same arguments."""

    function = staticmethod(asymmetric_generalized_cross_entropy)
    limits = _GENERALIZED
    purpose = "noise below which the right label stays the most frequent (`q` >= 1)"
    paper = "Zhou et al. 2021"
    paper_url = "https://arxiv.org/abs/2106.03110"

    def __init__(self, a=0.6, q=0.6, from_logits=False, **options):
        super().__init__(a=a, q=q, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, _between(self.a + 1, self.a, self.q)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AsymmetricUnhinged(FunctionLoss):
    """`asymmetric_unhinged` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(asymmetric_unhinged)
    limits = _UNHINGED
    purpose = "the same (`q` <= 1, or large `a`)"
    paper = "Zhou et al. 2021"
    paper_url = "https://arxiv.org/abs/2106.03110"

    def __init__(self, a=5.5, q=3.0, from_logits=False, **options):
        super().__init__(a=a, q=q, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, _between(self.a, self.a - 1, self.q)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AsymmetricExponential(FunctionLoss):
    """`asymmetric_exponential` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(asymmetric_exponential)
    limits = _EXPONENTIAL
    purpose = "the same (large `a`)"
    paper = "Zhou et al. 2021"
    paper_url = "https://arxiv.org/abs/2106.03110"

    def __init__(self, a=2.5, from_logits=False, **options):
        super().__init__(a=a, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return math.exp(-1 / self.a), 1


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AsymmetricMeanSquaredError(FunctionLoss):
    """`asymmetric_mean_squared_error` as a `Loss`, with the same arguments."""

    function = staticmethod(asymmetric_mean_squared_error)
    limits = _SQUARED
    purpose = "the same (large `a`); beside an active loss"
    paper = "Wang et al. 2025"
    paper_url = "https://arxiv.org/abs/2507.17692"

    def __init__(self, a=30.0, from_logits=False, **options):
        super().__init__(a=a, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return (self.a - 1) ** 2 / num_classes, (self.a**2 + 1) / num_classes
