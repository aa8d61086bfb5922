"""Truncated generalized cross-entropy: it drops improbable labels (NeurIPS 2018)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.generalized import power_loss
from tfrobustloss.losses.labels import decode

_LIMITS = {"q": Range(0, 1), "k": Range(0, 1, open_high=True)}
_LOG_OF_ZERO = -1e30


@keras_function
def truncated_generalized_cross_entropy(
    y_true, y_pred, q=0.7, k=0.5, from_logits=False
):
    """Generalized cross-entropy that is constant where `p` is at most `k`.

        loss = sum over classes of label * (1 - max(p, k) ** q) / q

    Warning: where `p` is at most `k` there is no gradient, and a new model, whose
    probabilities are near 1 / classes, learns nothing at all. Warm up: train with
    `generalized_cross_entropy` first (the authors: 40 epochs), or make `k` a
    `keras.Variable` that starts at 0, which is that loss, and let a callback raise it.

    The authors decide once in 10 epochs which examples of the training set count, by
    the best model so far; this is their loss with the decision taken at every step.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        q: Float in [0, 1]. Larger is more robust and slower to fit.
        k: Float in [0, 1), the probability below which a label is given up.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, (1 - k ** q) / q].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = truncated_generalized_cross_entropy([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.5492

    Reference:
        Zhang, Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
        Networks with Noisy Labels", NeurIPS 2018.
    """
    check("truncated_generalized_cross_entropy", _LIMITS, q=q, k=k)
    labels, prediction = decode(y_true, y_pred, from_logits)
    # at 1e-12 expm1(x) is x to rounding, and the loss its limit at 0: cross-entropy
    if is_variable(q):
        q = ops.maximum(ops.cast(q, prediction.scores.dtype), 1e-12)
    else:
        q = max(q, 1e-12)
    if is_variable(k):
        k = ops.cast(k, prediction.scores.dtype)
        log_k = ops.where(k > 0, ops.log(ops.maximum(k, 1e-30)), _LOG_OF_ZERO)
    else:
        log_k = math.log(k) if k > 0 else _LOG_OF_ZERO
    return prediction.pick_of_log(
        labels, lambda log_p: -ops.expm1(q * ops.maximum(log_p, log_k)) / q
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class TruncatedGeneralizedCrossEntropy(FunctionLoss):
    """`truncated_generalized_cross_entropy` as a `keras.losses.Loss`.

    The arguments are the function's; it needs the same warm-up.
    """

    function = staticmethod(truncated_generalized_cross_entropy)
    limits = _LIMITS
    purpose = "label noise: gives up labels with `p` below `k`; needs a warm-up"
    paper = "Zhang and Sabuncu 2018"
    paper_url = "https://arxiv.org/abs/1805.07836"

    def __init__(self, q=0.7, k=0.5, from_logits=False, **options):
        super().__init__(q=q, k=k, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, power_loss(self.k, self.q)
