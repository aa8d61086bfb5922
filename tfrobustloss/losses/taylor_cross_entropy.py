"""Cross-entropy cut after a few Taylor terms (Feng et al., IJCAI 2020)."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import ParameterTypeError, Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {"order": Range(1, 100, integer=True)}


@keras_function
def taylor_cross_entropy(y_true, y_pred, order=2, from_logits=False):
    """Cross-entropy cut after `order` terms: bounded, so no wrong label dominates.

        loss = sum over i = 1..order of (1 - p) ** i / i,   p = probability of the label

    `order` 1 is `1 - p` (half of `mean_absolute_error`), a large one is
    cross-entropy. The authors chose among 2 to 6. A soft label's loss is the mean
    over its classes.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        order: Int in 1..100, `t` in the paper; smaller is more robust and slower to
            fit. A plain int: a variable would change the program.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 + 1/2 + ... + 1/order].

    Raises:
        TypeError: `order` is not a number.
        ValueError: `order` is no integer in 1..100, or labels do not fit.

    Example:
        >>> loss = taylor_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.345

    Reference:
        Feng et al., "Can Cross Entropy Loss Be Robust to Label Noise?", IJCAI 2020.
        Formula, limits and orders checked against a detailed summary of the paper,
        not against its own text; the authors' code was not found.
    """
    _check_order("taylor_cross_entropy", order)
    labels, prediction = decode(y_true, y_pred, from_logits)

    def cut(log_p):
        miss = -ops.expm1(log_p)
        total = 1 / order
        for i in range(order - 1, 0, -1):  # Horner: one multiplication a term
            total = 1 / i + miss * total
        return miss * total

    return prediction.pick_of_log(labels, cut)


def _check_order(owner, order):
    if is_variable(order):
        hint = "It decides the length of the program, so it cannot be a variable."
        raise ParameterTypeError(owner, "order", order, "a plain int", hint)
    check(owner, _LIMITS, order=order)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class TaylorCrossEntropy(FunctionLoss):
    """`taylor_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(taylor_cross_entropy)
    limits = _LIMITS
    purpose = "label noise, bounded; `order` from MAE (1) to cross-entropy"
    paper = "Feng et al. 2020"

    def __init__(self, order=2, from_logits=False, **options):
        _check_order("TaylorCrossEntropy", order)
        super().__init__(order=int(order), from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, sum(1 / i for i in range(1, self.order + 1))
