"""Jensen-Shannon divergence of label and prediction (Englesson and Azizpour 2021)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {
    "pi": Range(
        1e-6, 1 - 1e-6, hint="The limits are CrossEntropy and half MeanAbsoluteError."
    )
}
_LARGEST = 60.0  # stands for larger -log(p), whose p counts as 0: exp stays finite


@keras_function
def jensen_shannon(y_true, y_pred, pi=0.5, from_logits=False):
    """Weighted divergence of label and prediction from their mixture.

        m = pi * label + (1 - pi) * p
        loss = (pi * KL(label, m) + (1 - pi) * KL(p, m)) / -((1 - pi) * log(1 - pi))

    `pi` towards 0 is cross-entropy, less the entropy of a soft label, and towards 1,
    slowly, `1 - p`, half of `mean_absolute_error`. For one-hot labels it depends on
    the probability of the label alone. Published `pi`, by noise rate: 0.7 to 0.9 for
    symmetric noise on CIFAR-10, 0.1 to 0.5 on CIFAR-100.

    This is the form for one prediction an example. The generalised form for several
    augmentations of it needs more than `(y_true, y_pred)`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        pi: Float in [1e-6, 1 - 1e-6], weight of the label.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 + pi log(pi) / ((1 - pi)
        log(1 - pi))]: up to 2 at `pi` = 0.5.

    Raises:
        ValueError: `pi` is outside its range, or labels do not fit.

    Example:
        >>> loss = jensen_shannon([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.3384

    Reference:
        Englesson, Azizpour, "Generalized Jensen-Shannon Divergence Loss for Learning
        with Noisy Labels", NeurIPS 2021. Formula and settings: the authors' code
        (ErikEnglesson/GJS).
    """
    check("jensen_shannon", _LIMITS, pi=pi)
    labels, prediction = decode(y_true, y_pred, from_logits)
    if is_variable(pi):
        log_rest = ops.log1p(-pi)  # log(1 - pi)
    else:
        log_rest = math.log1p(-pi)
    if labels.rows is None:
        loss = _of_one_hot(prediction.pick_log(labels), pi, log_rest)
    else:
        loss = _of_rows(labels.rows, prediction.log(), pi)
    return loss / (-(1 - pi) * log_rest)


def _of_one_hot(log_p, pi, log_rest):
    """The numerator; every class but the label's has the ratio m / p = 1 - pi."""
    p, miss = ops.exp(log_p), -ops.expm1(log_p)
    log_m = _log_mixture(pi, 1 - pi, p, -miss)
    log_ratio = ops.log1p(pi * miss * _inverse(log_p))  # log(m / p)
    return -pi * log_m - (1 - pi) * (p * log_ratio + miss * log_rest)


def _of_rows(rows, log_p, pi):
    p = ops.exp(log_p)
    some = rows > 0
    of_p = p / ops.where(some, rows, 1)  # p / label
    of_label = rows * _inverse(log_p)  # label / p
    first = _log_mixture(pi, 1 - pi, of_p, of_p - 1)  # log(m / label)
    second = _log_mixture(1 - pi, pi, of_label, of_label - 1)  # log(m / p)
    first = ops.where(some, pi * rows * first, 0)
    return -ops.sum(first + (1 - pi) * p * second, axis=-1)


def _log_mixture(weight, rest, x, excess):
    """`log(weight + rest * x)`, where `rest` is 1 - weight and `excess` is x - 1.

    In the form that keeps its digits, whichever of the two weights is small.
    """
    variable = is_variable(weight)
    far = ops.log(weight + rest * x) if variable or weight < 0.5 else None
    near = ops.log1p(rest * excess) if variable or weight >= 0.5 else None
    if variable:
        return ops.where(weight < 0.5, far, near)
    return near if far is None else far


def _inverse(log_p):
    """1 / p, of a `p` of at least 1e-26."""
    return ops.exp(ops.minimum(-log_p, _LARGEST))


@keras.saving.register_keras_serializable(package="tfrobustloss")
class JensenShannon(FunctionLoss):
    """`jensen_shannon` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(jensen_shannon)
    limits = _LIMITS
    purpose = "label noise; `pi` from cross-entropy (0) to MAE (1)"
    paper = "Englesson and Azizpour 2021"
    paper_url = "https://arxiv.org/abs/2105.04522"

    def __init__(self, pi=0.5, from_logits=False, **options):
        super().__init__(pi=pi, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        rest = 1 - self.pi
        return 0, 1 + self.pi * math.log(self.pi) / (rest * math.log(rest))
