"""Adma, a flexible loss with a scaling factor (Shrivastava 2020)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {
    "scaling_factor": Range(
        0, 10, open_low=True, hint="At 0 the loss is 0 for every prediction."
    ),
    "base": Range(1, 1e6, open_low=True),
}


@keras_function
def adma(y_true, y_pred, scaling_factor=0.2624, base=math.e, from_logits=False):
    """An exponential of a power of the label's probability: bounded, flexible.

        loss = sum over classes of label * (base - base ** (p ** scaling_factor))

    It is convex in `p` up to `scaling_factor` = 1 / (1 + ln(base)), 1/2 for the
    default base; small factors approach `scaling_factor * base * ln(base)` times
    cross-entropy, so the factor also scales the learning rate.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        scaling_factor: Float in (0, 10], `a` in the paper, which stays in (0, 0.5]
            and tunes it to 0.24 to 0.32.
        base: Float in (1, 1e6], `e` in the paper.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, base - 1].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = adma([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.2323

    Reference:
        Shrivastava, "Adma: A Flexible Loss Function for Neural Networks", 2020.
    """
    check("adma", _LIMITS, scaling_factor=scaling_factor, base=base)
    labels, prediction = decode(y_true, y_pred, from_logits)
    if is_variable(base):
        log_base = ops.log(ops.cast(base, prediction.scores.dtype))
    else:
        log_base = math.log(base)

    def flexible(log_p):  # base - base**p**a without cancellation at p = 1
        return -base * ops.expm1(log_base * ops.expm1(scaling_factor * log_p))

    return prediction.pick_of_log(labels, flexible)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Adma(FunctionLoss):
    """`adma` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(adma)
    limits = _LIMITS
    purpose = "outliers, bounded at `base - 1`"
    paper = "Shrivastava 2020"

    def __init__(
        self, scaling_factor=0.2624, base=math.e, from_logits=False, **options
    ):
        super().__init__(
            scaling_factor=scaling_factor, base=base, from_logits=from_logits, **options
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, self.base - 1
