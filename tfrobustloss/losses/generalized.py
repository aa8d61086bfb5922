"""Generalized cross-entropy, between cross-entropy and MAE (NeurIPS 2018)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {"q": Range(0, 1)}


@keras_function
def generalized_cross_entropy(y_true, y_pred, q=0.7, from_logits=False):
    """A power of the label's probability: `q` trades speed against robustness.

        loss = sum over classes of label * (1 - p ** q) / q

    `q` at 0 is cross-entropy, at 1 it is `1 - p` (half of `mean_absolute_error`).

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        q: Float in [0, 1]. Larger is more robust and slower to fit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 / q].

    Raises:
        ValueError: `q` is outside [0, 1], or labels do not fit.

    Example:
        >>> loss = generalized_cross_entropy([0], [[0.7, 0.2, 0.1]], q=1.0)
        >>> round(float(loss[0]), 4)
        0.3

    Reference:
        Zhang, Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
        Networks with Noisy Labels", NeurIPS 2018.
    """
    check("generalized_cross_entropy", _LIMITS, q=q)
    labels, prediction = decode(y_true, y_pred, from_logits)
    # at 1e-12 expm1(x) is x to rounding, and the loss its limit at 0: cross-entropy
    if is_variable(q):
        q = ops.maximum(ops.cast(q, prediction.scores.dtype), 1e-12)
    else:
        q = max(q, 1e-12)
    return prediction.pick_of_log(labels, lambda log_p: -ops.expm1(q * log_p) / q)


def power_loss(p, q):
    """`(1 - p ** q) / q` of plain numbers; `-log(p)`, its limit, at `q` = 0."""
    if p == 0:
        return 1 / q if q else math.inf
    return -math.expm1(q * math.log(p)) / q if q else -math.log(p)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class GeneralizedCrossEntropy(FunctionLoss):
    """`generalized_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(generalized_cross_entropy)
    limits = _LIMITS
    purpose = "label noise; `q` from cross-entropy (0) to MAE (1)"
    paper = "Zhang and Sabuncu 2018"
    paper_url = "https://arxiv.org/abs/1805.07836"

    def __init__(self, q=0.7, from_logits=False, **options):
        super().__init__(q=q, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, power_loss(0, self.q)
