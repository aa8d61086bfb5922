"""Losses divided by their sum over all labels (Ma et al., ICML 2020)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.powers import power
from tfrobustloss.losses.rows import quick_sum

# at most 50: for two equal classes the sum over labels is about (1 / 2) ** gamma, whose
# square must not vanish in float32
_GAMMA = {"gamma": Range(0, 50)}
_Q = {"q": Range(0, 1)}
_LOG_HALF = math.log(0.5)
_SMALL_Q = 0.05


@keras_function
def normalized_cross_entropy(y_true, y_pred, from_logits=False):
    """Cross-entropy as a share of that of all labels: symmetric, so noise-tolerant.

        loss = sum over classes of label * log(p)  /  sum over classes of log(p)

    Alone it fits slowly; added to a passive loss (`ActivePassive`) it does not.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1].

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = normalized_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.0836

    Reference:
        Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels",
        ICML 2020.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    total = -labels.num_classes * prediction.mean_log()
    return -prediction.pick_log(labels) / ops.maximum(total, -_LOG_HALF)


@keras_function
def normalized_focal(y_true, y_pred, gamma=0.5, from_logits=False):
    """Focal loss as a share of that of all labels: symmetric, so noise-tolerant.

        loss = sum over classes of label * f(p)  /  sum over classes of f(p)
        f(p) = -(1 - p) ** gamma * log(p)

    The gradient is that of this formula. The authors' code holds `(1 - p) ** gamma`
    constant in it, so their training differs although the values agree.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        gamma: Float in [0, 50]. 0 is `normalized_cross_entropy`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1].

    Raises:
        ValueError: `gamma` is outside its range, or labels do not fit.

    Example:
        >>> loss = normalized_focal([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.0512

    Reference:
        Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels",
        ICML 2020.
    """
    check("normalized_focal", _GAMMA, gamma=gamma)
    labels, prediction = decode(y_true, y_pred, from_logits)
    every = focal_of(prediction.log(), 1 - prediction.probabilities(), gamma)

    def focal(log_p):
        return focal_of(log_p, -ops.expm1(log_p), gamma)

    return share(labels, prediction, focal, every)


def focal_of(log_p, miss, gamma):
    """`-(1 - p) ** gamma * log(p)`, with `miss` for `1 - p`."""
    # the floor keeps the slope of (1 - p) ** gamma finite at p = 1
    return -power(ops.maximum(miss, 1e-30), gamma) * log_p


@keras_function
def normalized_generalized_cross_entropy(y_true, y_pred, q=0.7, from_logits=False):
    """Generalized cross-entropy as a share of that of all labels: symmetric.

        loss = sum over classes of label * (1 - p ** q)  /  sum over classes of
               (1 - p ** q)

    `q` at 0 is `normalized_cross_entropy`, at 1 it is `(1 - p) / (classes - 1)`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        q: Float in [0, 1]. The authors take 0.1 for MNIST and CIFAR-10 and 0.7 for
            CIFAR-100, alone and in combinations.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 / (classes - 1)] at `q` = 1, in
        [0, 1] everywhere.

    Raises:
        ValueError: `q` is outside [0, 1], or labels do not fit.

    Example:
        >>> loss = normalized_generalized_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.1302

    Reference:
        Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels",
        ICML 2020.
    """
    check("normalized_generalized_cross_entropy", _Q, q=q)
    labels, prediction = decode(y_true, y_pred, from_logits)
    # at 1e-12 expm1(x) is x to rounding, and the loss its limit at 0
    if is_variable(q):
        q = ops.maximum(ops.cast(q, prediction.scores.dtype), 1e-12)
    else:
        q = max(q, 1e-12)

    def generalized(log_p):
        return -ops.expm1(q * log_p)

    if is_variable(q) or q < _SMALL_Q:
        every = generalized(prediction.log())
    else:  # much cheaper, and as good where 1 - p ** q is not all rounding
        every = 1 - ops.exp(q * prediction.log())
    return share(labels, prediction, generalized, every)


def share(labels, prediction, function, every):
    """`function(log(p))` of the label over its sum; `every` holds that of each class.

    `function` falls with `p`, and some `p` is at most 1/2, so the sum is at least the
    value there: the floor touches nothing but predictions that are no probabilities.
    """
    if labels.rows is None:
        own = function(prediction.pick_log(labels))
    else:
        own = labels.pick(every)
    half = function(ops.full((), _LOG_HALF, dtype=prediction.scores.dtype))
    return own / ops.maximum(ops.squeeze(quick_sum(every), -1), half)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NormalizedCrossEntropy(FunctionLoss):
    """`normalized_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(normalized_cross_entropy)
    purpose = "symmetric noise, proven; slow alone"
    paper = "Ma et al. 2020"
    paper_url = "https://arxiv.org/abs/2006.13554"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 1


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NormalizedFocal(FunctionLoss):
    """`normalized_focal` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(normalized_focal)
    limits = _GAMMA
    purpose = "symmetric noise, proven; slow alone"
    paper = "Ma et al. 2020"
    paper_url = "https://arxiv.org/abs/2006.13554"

    def __init__(self, gamma=0.5, from_logits=False, **options):
        super().__init__(gamma=gamma, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 1


@keras.saving.register_keras_serializable(package="tfrobustloss")
class NormalizedGeneralizedCrossEntropy(FunctionLoss):
    """`normalized_generalized_cross_entropy` as a `Loss`, with the same arguments."""

    function = staticmethod(normalized_generalized_cross_entropy)
    limits = _Q
    purpose = "symmetric noise, proven; slow alone"
    paper = "Ma et al. 2020"
    paper_url = "https://arxiv.org/abs/2006.13554"

    def __init__(self, q=0.7, from_logits=False, **options):
        super().__init__(q=q, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 1
