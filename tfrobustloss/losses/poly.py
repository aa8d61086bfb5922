"""Poly-1: cross-entropy with another weight on its first term (ICLR 2022)."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode, most_nats

_LIMITS = {"epsilon": Range(low=-1)}


@keras_function
def poly_cross_entropy(y_true, y_pred, epsilon=2.0, from_logits=False):
    """Cross-entropy plus a multiple of `1 - p`, the first term of its series.

        loss = sum over classes of label * (epsilon * (1 - p) - log(p))

    Not made for wrong labels, but with a large `epsilon` it leans towards the mean
    absolute error. `epsilon` 2 is for image classification, -1, which drops the first
    term, for detection; 0 is cross-entropy.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        epsilon: Float >= -1.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `epsilon` is below -1, or labels do not fit.

    Example:
        >>> loss = poly_cross_entropy([0], [[0.7, 0.2, 0.1]], epsilon=1.0)
        >>> round(float(loss[0]), 4)
        0.6567

    Reference:
        Leng et al., "PolyLoss: A Polynomial Expansion Perspective of Classification
        Loss Functions", ICLR 2022. Formula and values of `epsilon` checked against
        the documentation of optax, which has this loss.
    """
    check("poly_cross_entropy", _LIMITS, epsilon=epsilon)
    labels, prediction = decode(y_true, y_pred, from_logits)
    return prediction.pick_of_log(
        labels, lambda log_p: -log_p - epsilon * ops.expm1(log_p)
    )


@keras.saving.register_keras_serializable(package="tfrobustloss")
class PolyCrossEntropy(FunctionLoss):
    """`poly_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(poly_cross_entropy)
    limits = _LIMITS
    purpose = "nothing by itself: cross-entropy tuned by one term"
    paper = "Leng et al. 2022"
    paper_url = "https://arxiv.org/abs/2204.12511"

    def __init__(self, epsilon=2.0, from_logits=False, **options):
        super().__init__(epsilon=epsilon, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, most_nats(self.from_logits) + max(self.epsilon, 0)
