"""Focal loss over a softmax (Lin et al., ICCV 2017)."""

import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable, visible
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.powers import power

_LIMITS = {"gamma": Range(low=0)}


@keras_function
def focal(y_true, y_pred, gamma=2.0, alpha=None, from_logits=False):
    """Cross-entropy that looks away from examples it already gets right.

        loss = -sum over classes of label * alpha * (1 - p) ** gamma * log(p)

    Made for rare classes, not for wrong labels: it stresses hard examples, which is
    what mislabelled ones are. Kept as the baseline it is in the literature.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        gamma: Float >= 0. 0 is weighted cross-entropy.
        alpha: None for 1, a number, or one number >= 0 per class.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        ValueError: `gamma` or `alpha` is negative, or `alpha` or the labels do not
            fit the number of classes.

    Example:
        >>> loss = focal([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        1.03

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    check("focal", _LIMITS, gamma=gamma)
    labels, prediction = decode(y_true, y_pred, from_logits)

    def modulated(log_p):
        # 1 - p is 0 for a sure prediction; the floor keeps (1-p)**gamma's slope finite
        miss = ops.maximum(-ops.expm1(log_p), 1e-30)
        return -power(miss, gamma) * log_p

    if alpha is None:
        return prediction.pick_of_log(labels, modulated)
    alpha = _check_alpha("focal", alpha, labels.num_classes)
    alpha = ops.cast(alpha, prediction.scores.dtype)
    if len(alpha.shape) == 0:
        return alpha * prediction.pick_of_log(labels, modulated)
    if labels.rows is None:
        return labels.pick(alpha) * prediction.pick_of_log(labels, modulated)
    return labels.pick(alpha * modulated(prediction.log()))


def _check_alpha(owner, alpha, num_classes=None):
    """`alpha`, as a float64 array unless it is a variable."""
    constraint = "a number >= 0 or one such number per class"
    if is_variable(alpha):
        values = visible(ops.cast(alpha, "float32"))
        if values is None:
            return alpha
    else:
        values = np.asarray(alpha)
        if values.dtype.kind not in "iuf":
            raise ParameterTypeError(owner, "alpha", alpha, constraint)
        alpha = values = values.astype("float64")
    fits = values.ndim == 0 or (values.ndim == 1 and num_classes in (None, values.size))
    if not fits or not np.isfinite(values).all() or (values < 0).any():
        hint = f"There are {num_classes} classes." if num_classes else ""
        shown = values.tolist()
        raise ParameterError(owner, "alpha", shown, constraint, hint)
    return alpha


@keras.saving.register_keras_serializable(package="tfrobustloss")
class Focal(FunctionLoss):
    """`focal` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(focal)
    limits = _LIMITS
    purpose = "rare classes, not wrong labels"
    paper = "Lin et al. 2017"
    paper_url = "https://arxiv.org/abs/1708.02002"

    def __init__(self, gamma=2.0, alpha=None, from_logits=False, **options):
        if alpha is not None:
            _check_alpha("Focal", alpha)
        super().__init__(gamma=gamma, alpha=alpha, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, math.inf
