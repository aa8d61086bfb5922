"""Symmetric cross-entropy and its reverse half (Wang et al., ICCV 2019)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode, most_nats

_LIMITS = {
    "alpha": Range(low=0),
    "beta": Range(low=0),
    "log_zero": Range(high=0, open_high=True),
}
_LOG_ZERO = math.log(1e-4)


@keras_function
def reverse_cross_entropy(y_true, y_pred, log_zero=_LOG_ZERO, from_logits=False):
    """Cross-entropy with label and prediction swapped: symmetric, bounded, slow.

        loss = -sum over classes of p * log(label),   log(0) := log_zero

    For one-hot labels this is `-log_zero * (1 - p of the label)`, so `-log_zero / 2`
    times `mean_absolute_error`. A smoothed label has no zeros and makes another loss
    of it, whose value is least where one class has all the probability. An entry
    below exp(log_zero) costs more than one of 0: round those of soft labels to 0.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        log_zero: Float < 0, `A` in the paper, stands for the logarithm of 0. The
            default, log(1e-4), is that of the authors' code.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, -log_zero] for one-hot labels.

    Raises:
        ValueError: `log_zero` is not below 0, or labels do not fit.

    Example:
        >>> loss = reverse_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        2.7631

    Reference:
        Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
        Labels", ICCV 2019.
    """
    limits = {"log_zero": _LIMITS["log_zero"]}
    check("reverse_cross_entropy", limits, log_zero=log_zero)
    labels, prediction = decode(y_true, y_pred, from_logits)
    if labels.rows is None:
        return -log_zero * (1 - prediction.pick_probability(labels))
    some = labels.rows > 0
    log_label = ops.log(ops.where(some, labels.rows, 1))
    log_label = ops.where(some, log_label, log_zero)
    return -ops.sum(prediction.probabilities() * log_label, axis=-1)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ReverseCrossEntropy(FunctionLoss):
    """`reverse_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(reverse_cross_entropy)
    limits = {"log_zero": _LIMITS["log_zero"]}
    purpose = "symmetric noise: a scaled `MeanAbsoluteError`"
    paper = "Wang et al. 2019"
    paper_url = "https://arxiv.org/abs/1908.06112"

    def __init__(self, log_zero=_LOG_ZERO, from_logits=False, **options):
        super().__init__(log_zero=log_zero, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, -self.log_zero


@keras_function
def symmetric_cross_entropy(
    y_true, y_pred, alpha=0.1, beta=1.0, log_zero=_LOG_ZERO, from_logits=False
):
    """Cross-entropy, which learns, plus reverse cross-entropy, which resists noise.

        loss = alpha * cross_entropy + beta * reverse
        reverse = -sum over classes of p * log(label),   log(0) := log_zero

    For one-hot labels `reverse` is `-log_zero * (1 - p of the label)`; alone it is
    `reverse_cross_entropy`. Published
    settings (alpha, beta): MNIST (0.01, 1), CIFAR-10 (0.1, 1), CIFAR-100 (6, 0.1).

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        alpha: Float >= 0, weight of cross-entropy.
        beta: Float >= 0, weight of reverse cross-entropy.
        log_zero: Float < 0, `A` in the paper, stands for the logarithm of 0. The
            default, log(1e-4), is that of the authors' code.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, at least 0.

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = symmetric_cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        2.7988

    Reference:
        Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
        Labels", ICCV 2019.
    """
    check("symmetric_cross_entropy", _LIMITS, alpha=alpha, beta=beta, log_zero=log_zero)
    labels, prediction = decode(y_true, y_pred, from_logits)
    reverse = reverse_cross_entropy(labels, prediction, log_zero)
    return beta * reverse - alpha * prediction.pick_log(labels)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SymmetricCrossEntropy(FunctionLoss):
    """`symmetric_cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(symmetric_cross_entropy)
    limits = _LIMITS
    purpose = "label noise, by adding the reverse direction"
    paper = "Wang et al. 2019"
    paper_url = "https://arxiv.org/abs/1908.06112"

    def __init__(
        self, alpha=0.1, beta=1.0, log_zero=_LOG_ZERO, from_logits=False, **options
    ):
        super().__init__(
            alpha=alpha,
            beta=beta,
            log_zero=log_zero,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        active = self.alpha and self.alpha * most_nats(self.from_logits)
        return 0, active - self.beta * self.log_zero
