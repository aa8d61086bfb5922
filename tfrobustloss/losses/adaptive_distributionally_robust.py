"""The adaptive label-distributionally robust loss, ALDR-KL (Zhu et al., ICML 2023)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.distributionally_robust import worst_mean
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.rows import row_max, row_sum

_LIMITS = {
    "margin": Range(low=0),
    "alpha": Range(low=1, open_low=True),
    "temperature": Range(0.01, 100),
}
_SMALLEST_SCALE = 1e-7  # logits nearer to 0 are not scaled up to length 1
_SMALLEST_SHARE = 1e-6  # of `temperature`, where `alpha` is 1 but for rounding


@keras_function
def adaptive_label_distributionally_robust(
    y_true, y_pred, margin=1.0, alpha=2.0, temperature=1.0, from_logits=False
):
    """The robust loss of Zhu et al. whose temperature falls where a model is sure.

        h = z / mean over classes of abs(z)
        t = temperature * (1 - KL(softmax(h / temperature), uniform) / (alpha * log K))
        loss = t * log(mean over classes of exp((h - h of the label + m) / t))
               - alpha * log(K) * (t - temperature) ** 2 / (2 * temperature)

    K is the number of classes, and m is `margin`, but 0 at the label. Where the
    prediction is even, `t` is `temperature`; where it is sure, it is lower, by up to
    `1 / alpha` of it. `t` counts as constant in the gradient. `z` are the logits, or
    the logarithms of given probabilities; a shift of the logits matters, their length
    does not, and the gradient grows as logits come near 0.

    The authors keep a `t` for each training example from epoch to epoch. This is one
    step from `temperature` in every call, with no memory.

    For a soft label, "h of the label" and "at the label" are means over its classes, as
    in `label_distributionally_robust`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        margin: Float >= 0, `c` in the paper.
        alpha: Float > 1; larger keeps `t` nearer to `temperature`.
        temperature: Float in [0.01, 100], lambda 0 in the paper.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, of either sign, in [-temperature * log(K) *
        (1 + 1 / (2 * alpha)), K + margin].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = adaptive_label_distributionally_robust(
        ...     [0], [[2.0, 0.0, -1.0]], from_logits=True
        ... )
        >>> round(float(loss[0]), 4)
        -0.6787

    Reference:
        Zhu, Ying, Yang, "Label Distributionally Robust Losses for Multi-class
        Classification: Consistency, Robustness and Adaptivity", ICML 2023. Formula and
        defaults are those of the authors' code (loss.py, read), which adds 1e-5 to the
        probabilities of the divergence.
    """
    owner = "adaptive_label_distributionally_robust"
    check(owner, _LIMITS, margin=margin, alpha=alpha, temperature=temperature)
    labels, prediction = decode(y_true, y_pred, from_logits)
    log_classes = math.log(labels.num_classes)
    scores = _scaled(prediction.logits())
    fixed = ops.stop_gradient(scores) / temperature
    shifted = fixed - row_max(fixed)
    exp = ops.exp(shifted)
    total = row_sum(exp)
    entropy = ops.log(total) - row_sum(exp * shifted) / total
    share = (1 - entropy / log_classes) / alpha  # 1 - entropy / log K is KL / log K
    own = temperature * ops.maximum(1 - share, _SMALLEST_SHARE)
    penalty = alpha * log_classes / 2 * temperature * ops.square(share)
    return worst_mean(scores, labels, margin, own) - ops.squeeze(penalty, -1)


def _scaled(z):
    """`z / mean(abs(z))`, finite with its slope for every finite `z`."""
    largest = ops.stop_gradient(row_max(ops.abs(z)))
    z = z / ops.maximum(largest, _SMALLEST_SCALE)
    # not `abs`, whose slope at 0 is 1 on JAX and 0 elsewhere
    mean = row_sum(z * ops.stop_gradient(ops.sign(z))) / z.shape[-1]
    return z / ops.maximum(mean, 1 / z.shape[-1])  # more than that, but near 0


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AdaptiveLabelDistributionallyRobust(FunctionLoss):
    """`adaptive_label_distributionally_robust` as a `Loss`, with the same arguments."""

    function = staticmethod(adaptive_label_distributionally_robust)
    limits = _LIMITS
    purpose = "label noise, with a temperature that each example sets"
    paper = "Zhu et al. 2023"
    paper_url = "https://arxiv.org/abs/2112.14869"

    def __init__(
        self, margin=1.0, alpha=2.0, temperature=1.0, from_logits=False, **options
    ):
        super().__init__(
            margin=margin,
            alpha=alpha,
            temperature=temperature,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        low = -self.temperature * math.log(num_classes) * (1 + 0.5 / self.alpha)
        return low, num_classes + self.margin
