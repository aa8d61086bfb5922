"""Generalized cross-entropy, between cross-entropy and MAE (NeurIPS 2018)."""

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
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`.
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


@keras.saving.register_keras_serializable(package="tfrobustloss")
class GeneralizedCrossEntropy(FunctionLoss):
    """`generalized_cross_entropy` as a `keras.losses.Loss`; arguments as there."""

    function = staticmethod(generalized_cross_entropy)
    limits = _LIMITS

    def __init__(self, q=0.7, from_logits=False, ignore_class=None, **keras_options):
        parameters = {"q": q, "from_logits": from_logits}
        super().__init__(parameters, ignore_class, **keras_options)
