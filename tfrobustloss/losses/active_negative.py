"""Active negative losses: a normalised loss and a negated one (Ye et al. 2023)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.normalized import (
    NormalizedFocal,
    focal_of,
    normalized_cross_entropy,
    share,
)
from tfrobustloss.losses.rows import quick_sum

_LIMITS = {
    "alpha": Range(low=0),
    "beta": Range(low=0),
    "min_probability": Range(1e-30, 0.45, hint="It must be at most 0.9 / classes."),
}
_FOCAL_LIMITS = {**_LIMITS, **NormalizedFocal.limits}


@keras_function
def active_negative_cross_entropy(
    y_true,
    y_pred,
    alpha=1.0,
    beta=1.0,
    min_probability=1e-7,
    from_logits=False,
):
    """Normalised cross-entropy plus its negation, which learns what a class is not.

        loss = alpha * normalized_cross_entropy + beta * negative
        negative = sum over classes of label * (1 - g(p) / sum over classes of g(p))
        g(p) = A - (-log(p)),   A = -log(min_probability),   p >= min_probability

    Both parts are symmetric. Published (alpha, beta): MNIST (1, 1), CIFAR-10 (5, 5),
    CIFAR-100 (10, 1), WebVision (20, 1), in each case without weight decay but with a
    penalty on the absolute values of the weights, which is the model's affair
    (`keras.regularizers.L1`): 1e-6, 5e-5, 5e-7 and 5e-6 in this order.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        alpha: Float >= 0, weight of normalised cross-entropy.
        beta: Float >= 0, weight of the negative part.
        min_probability: Float in [1e-30, 0.9 / classes]; probabilities
            below count as that in the negative part and have no gradient there.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, alpha + beta].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = active_negative_cross_entropy(
        ...     [0], [[0.7, 0.2, 0.1]], alpha=5.0, beta=5.0
        ... )
        >>> round(float(loss[0]), 4)
        3.6302

    Reference:
        Ye et al., "Active Negative Loss Functions for Learning with Noisy Labels",
        NeurIPS 2023. Formula and settings: the authors' code
        (Virusdoll/Active-Negative-Loss).
    """
    owner = "active_negative_cross_entropy"
    given = {"alpha": alpha, "beta": beta, "min_probability": min_probability}
    check(owner, _LIMITS, **given)
    labels, prediction = decode(y_true, y_pred, from_logits)
    _check_classes(owner, min_probability, labels.num_classes)
    active = normalized_cross_entropy(labels, prediction)
    largest = -_log(min_probability)

    def room(log_p):
        return ops.maximum(largest + log_p, 0)

    every = room(prediction.log())
    negative = _negative(labels, prediction, room, every)
    return alpha * active + beta * negative


@keras_function
def active_negative_focal(
    y_true,
    y_pred,
    alpha=1.0,
    beta=1.0,
    gamma=0.5,
    min_probability=1e-7,
    from_logits=False,
):
    """Normalised focal loss plus its negation.

        loss = alpha * normalized_focal + beta * negative
        negative = sum over classes of label * (1 - g(p) / sum over classes of g(p))
        g(p) = f(min_probability) - f(p),   f(p) = -(1 - p) ** gamma * log(p)

    The gradient is that of this formula; the authors' code holds `(1 - p) ** gamma`
    constant in it. Weights and penalty are those of `active_negative_cross_entropy`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        alpha: Float >= 0, weight of the normalised focal loss.
        beta: Float >= 0, weight of the negative part.
        gamma: Float in [0, 50]. 0 is `active_negative_cross_entropy`.
        min_probability: Float in [1e-30, 0.9 / classes]; probabilities
            below count as that in the negative part and have no gradient there.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, alpha + beta].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = active_negative_focal([0], [[0.7, 0.2, 0.1]], alpha=0.0)
        >>> round(float(loss[0]), 4)
        0.6425

    Reference:
        Ye et al., "Active Negative Loss Functions for Learning with Noisy Labels",
        NeurIPS 2023. Formula and settings: the authors' code
        (Virusdoll/Active-Negative-Loss).
    """
    owner = "active_negative_focal"
    given = {"alpha": alpha, "beta": beta, "gamma": gamma}
    given["min_probability"] = min_probability
    check(owner, _FOCAL_LIMITS, **given)
    labels, prediction = decode(y_true, y_pred, from_logits)
    _check_classes(owner, min_probability, labels.num_classes)
    every = focal_of(prediction.log(), 1 - prediction.probabilities(), gamma)

    def focal(log_p):
        return focal_of(log_p, -ops.expm1(log_p), gamma)

    active = share(labels, prediction, focal, every)
    log_smallest = _log(min_probability)
    miss = ops.cast(1 - min_probability, prediction.scores.dtype)
    largest = focal_of(log_smallest, miss, gamma)

    def room(log_p):
        return ops.maximum(largest - focal(log_p), 0)

    every = ops.maximum(largest - every, 0)
    negative = _negative(labels, prediction, room, every)
    return alpha * active + beta * negative


def _negative(labels, prediction, room, every):
    """`1 - room / sum of room`, `every` holding the room of each class.

    Some `p` is at least 1 / classes, which keeps the sum away from 0: the floor
    touches nothing but predictions that are no probabilities.
    """
    if labels.rows is None:
        own = room(prediction.pick_log(labels))
    else:
        own = labels.pick(every)
    even = ops.full((), -math.log(labels.num_classes), dtype=prediction.scores.dtype)
    total = ops.maximum(ops.squeeze(quick_sum(every), -1), room(even))
    return labels.total() - own / total


def _log(value):
    return ops.log(value) if is_variable(value) else math.log(value)


def _check_classes(owner, min_probability, num_classes):
    """Raises where equal probabilities would be the smallest, or nearly.

    The room above it is a difference: of 0.9 / classes, seven digits are six.
    """
    limit = Range(low=0, high=0.9 / num_classes, open_low=True)
    check(owner, {"min_probability": limit}, min_probability=min_probability)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ActiveNegativeCrossEntropy(FunctionLoss):
    """`active_negative_cross_entropy` as a `Loss`, with the same arguments."""

    function = staticmethod(active_negative_cross_entropy)
    limits = _LIMITS
    purpose = "symmetric noise: normalised cross-entropy plus its negation"
    paper = "Ye et al. 2023"

    def __init__(
        self, alpha=1.0, beta=1.0, min_probability=1e-7, from_logits=False, **options
    ):
        super().__init__(
            alpha=alpha,
            beta=beta,
            min_probability=min_probability,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, self.alpha + self.beta


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ActiveNegativeFocal(FunctionLoss):
    """`active_negative_focal` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(active_negative_focal)
    limits = _FOCAL_LIMITS
    purpose = "symmetric noise: normalised focal plus its negation"
    paper = "Ye et al. 2023"

    def __init__(
        self,
        alpha=1.0,
        beta=1.0,
        gamma=0.5,
        min_probability=1e-7,
        from_logits=False,
        **options,
    ):
        super().__init__(
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            min_probability=min_probability,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, self.alpha + self.beta
