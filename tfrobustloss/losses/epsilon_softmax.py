"""Cross-entropy of an almost one-hot softmax (Wang et al., NeurIPS 2024)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.generalized import power_loss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.rows import row_max

_LIMITS = {
    "m": Range(0, 1e9),
    "floor": Range(0, 1, open_high=True),
}
_NO_CEILING = 1e30


@keras_function
def epsilon_softmax_cross_entropy(y_true, y_pred, m=1e4, floor=1e-8, from_logits=False):
    """Cross-entropy after `m` is added to the largest probability.

        loss = -sum over classes of label * log(max(p', floor))
        p' = (p + m * (1 at the most probable class, 0 elsewhere)) / (m + 1)

    Examples that the model gets right have almost no loss; for all others it is
    cross-entropy plus `log(m + 1)`. Made to be combined with the mean absolute error:

        ActivePassive(EpsilonSoftmaxCrossEntropy(m), MeanAbsoluteError(), alpha, beta)

    with the authors' (m, alpha, beta): CIFAR-10 symmetric (1e5, .01, 5), asymmetric
    (1e3, .02, 5); CIFAR-100 symmetric (1e4, .00125 to .1 by the noise rate, 1),
    asymmetric (1e2, .004 to .015, 1); WebVision (1e3, .015, .3); Clothing1M
    (1e3, .012, .1).

    Where classes share the largest probability, none is the most probable one: a
    model that starts with equal logits still learns.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        m: Float in [0, 1e9]. 0 is cross-entropy.
        floor: Float in [0, 1). Below it `p'` has a constant loss and no gradient, as
            in the authors' code: with a large `m` this drops the examples whose `p`
            is below `floor * (m + 1)`, which matters for the result. 0 is for none.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, in [0, -log(floor)].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = epsilon_softmax_cross_entropy([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        10.8199

    Reference:
        Wang et al., "Epsilon-Softmax: Approximating One-Hot Vectors for Mitigating
        Label Noise", NeurIPS 2024. Formula, floor and settings are those of the
        authors' code (losses.py and config.py, read).
    """
    check("epsilon_softmax_cross_entropy", _LIMITS, m=m, floor=floor)
    labels, prediction = decode(y_true, y_pred, from_logits)
    scores = prediction.scores
    ranks = prediction.ranks()
    largest = ops.cast(ranks >= row_max(ranks), scores.dtype)
    alone = ops.sum(largest, axis=-1, keepdims=True) < 1.5
    first = ops.logical_and(largest > 0, alone)
    ceiling = _ceiling(floor)
    constant = ops.log1p(m) if is_variable(m) else math.log1p(m)

    def sharpened(log_p, is_first):
        safe = ops.where(is_first, log_p, 0)  # log1p(-1) where m is 0
        right = -ops.log1p(ops.expm1(safe) / (1 + m))
        loss = ops.where(is_first, right, constant - log_p)
        return ops.minimum(loss, ceiling)

    if labels.rows is None:
        is_first = labels.pick(ops.cast(first, scores.dtype)) > 0
        return sharpened(prediction.pick_log(labels), is_first)
    return labels.pick(sharpened(prediction.log(), first))


def _ceiling(floor):
    """The largest loss that a floor under the probability leaves."""
    if is_variable(floor):
        some = floor > 0
        return ops.where(some, -ops.log(ops.where(some, floor, 1)), _NO_CEILING)
    return -math.log(floor) if floor > 0 else _NO_CEILING


@keras.saving.register_keras_serializable(package="tfrobustloss")
class EpsilonSoftmaxCrossEntropy(FunctionLoss):
    """`epsilon_softmax_cross_entropy` as a `Loss`, with the same arguments."""

    function = staticmethod(epsilon_softmax_cross_entropy)
    limits = _LIMITS
    purpose = "label noise, bounded; for `ActivePassive` with `MeanAbsoluteError`"
    paper = "Wang et al. 2024"

    def __init__(self, m=1e4, floor=1e-8, from_logits=False, **options):
        super().__init__(m=m, floor=floor, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, power_loss(self.floor, 0)
