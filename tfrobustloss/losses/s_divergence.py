"""S-divergence losses, with the density power divergence (Jana and Ghosh, 2026)."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_LIMITS = {"alpha": Range(0, 1, open_low=True), "lambda_": Range(-1, 0)}
_SMALL = 1e-12  # stands for an exponent of 0, where expm1(x) is x: the limit


@keras_function
def s_divergence(y_true, y_pred, alpha=0.5, lambda_=0.0, from_logits=False):
    """The S-divergence between the label and the prediction: bounded, calibrated.

        loss = sum over classes of p ** (1 + alpha) / A
               - sum over classes of label * p ** B * (1 + alpha) / (A * B) + 1 / B
        A = 1 + lambda_ * (1 - alpha),   B = alpha - lambda_ * (1 - alpha)

    It is 0 for a sure and right prediction. `lambda_` at 0 is the density power
    divergence, `(1 + alpha) * BiTemperedLogistic(1 - alpha, 1.0)` up to a constant of
    the label; there a small `alpha` is cross-entropy. `alpha` at 1 is the Brier score,
    the sum of squared differences, whatever `lambda_`. `B` plays the part of `q` in
    `GeneralizedCrossEntropy`.

    With `A` = 1, that is `lambda_` at 0 or `alpha` at 1, it is a strictly proper score:
    under any distribution of labels its mean is least where the prediction is that
    distribution, so that a model may be robust and calibrated at once. With other
    values the probabilities of the minimum are in the order of the labels' but are not
    the same.

    A soft label's loss is the mean over its classes, not the divergence between two
    distributions, which takes powers of the label.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        alpha: Float in (0, 1]. Larger is more robust and slower to fit.
        lambda_: Float in [-1, 0], lambda in the paper. Lower is more robust.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 1 / A + 1 / B].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = s_divergence([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.1967

    Reference:
        Jana, Ghosh, "rSDNet: Unified Robust Neural Learning against Label Noise and
        Adversarial Attacks", arXiv 2603.17628, 2026, of which the abstract alone was
        read. The divergence is that of Ghosh et al., "A Generalized Divergence for
        Statistical Inference", Bernoulli 2017; for one-hot labels derived here.
    """
    check("s_divergence", _LIMITS, alpha=alpha, lambda_=lambda_)
    labels, prediction = decode(y_true, y_pred, from_logits)
    alpha, lambda_ = (
        _number(value, prediction.scores.dtype) for value in (alpha, lambda_)
    )
    shift = lambda_ * (1 - alpha)
    a, b = _at_least_small(1 + shift), _at_least_small(alpha - shift)
    weight = 1 / a + 1 / b  # (1 + alpha) / (A * B), for A + B is 1 + alpha
    gain = prediction.pick_of_log(labels, lambda log_p: weight * ops.expm1(b * log_p))
    powers = ops.sum(ops.exp((1 + alpha) * prediction.log()), axis=-1)
    return (powers - labels.total()) / a - gain


def _number(value, dtype):
    return ops.cast(value, dtype) if is_variable(value) else value


def _at_least_small(value):
    return ops.maximum(value, _SMALL) if is_variable(value) else max(value, _SMALL)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SDivergence(FunctionLoss):
    """`s_divergence` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(s_divergence)
    limits = _LIMITS
    purpose = (
        "label noise, bounded; with `lambda_` at 0 calibrated probabilities as well"
    )
    paper = "Jana and Ghosh 2026"
    paper_url = "https://arxiv.org/abs/2603.17628"

    def __init__(self, alpha=0.5, lambda_=0.0, from_logits=False, **options):
        super().__init__(
            alpha=alpha, lambda_=lambda_, from_logits=from_logits, **options
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        shift = self.lambda_ * (1 - self.alpha)
        return 0, 1 / (1 + shift) + 1 / (self.alpha - shift)
