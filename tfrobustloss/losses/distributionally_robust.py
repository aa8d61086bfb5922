"""The label-distributionally robust loss, LDR-KL (Zhu et al., ICML 2023)."""

import math

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.rows import row_max

_LIMITS = {
    "margin": Range(low=0),
    "temperature": Range(0.01, 100),
}
_LARGEST_SCORE = 1e30  # sums over classes stay finite in float32
_LOWEST_MAXIMUM = -20.0  # below it softplus is exp to rounding, up to a factor


@keras_function
def label_distributionally_robust(
    y_true, y_pred, margin=0.1, temperature=1.0, normalize=True, from_logits=False
):
    """The worst label distribution's mean of how far classes come near the label.

        loss = temperature * log(mean over classes of exp(d / temperature))
        d = h - h of the label + margin, without the margin at the label
        h = softplus(z) / mean over classes of softplus(z)

    With a large `temperature` it is symmetric, with a small one it is a hinge on the
    nearest class. `z` are the logits, or the logarithms of given probabilities.

    For a soft label, "h of the label" and "at the label" are means over its classes,
    as in the authors' code; its loss is not the mean of its classes' losses.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        margin: Float >= 0, `c` in the paper.
        temperature: Float in [0.01, 100], lambda in the paper. The authors tried
            0.1, 1 and 10; 10 served CIFAR-10 and 1 CIFAR-100 in a later comparison.
        normalize: Whether scores are normalised as above, as in the authors' code.
            If not, h is z: then `temperature` 1 and `margin` 0 are cross-entropy
            less `log(classes)`. Normalised, a shift of the logits matters, so that
            logits and their softmax give different losses; one unit stands for
            `(log(1 - p), log(p))` in either case.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, of either sign; normalised, it is in
        [-temperature * log(classes), classes + margin].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = label_distributionally_robust(
        ...     [0], [[2.0, 0.0, -1.0]], normalize=False, from_logits=True
        ... )
        >>> round(float(loss[0]), 4)
        -0.9125

    Reference:
        Zhu, Ying, Yang, "Label Distributionally Robust Losses for Multi-class
        Classification: Consistency, Robustness and Adaptivity", ICML 2023. Formula
        and margin are those of the authors' code (loss.py and experiment.py, read).
    """
    check(
        "label_distributionally_robust",
        _LIMITS,
        margin=margin,
        temperature=temperature,
    )
    labels, prediction = decode(y_true, y_pred, from_logits)
    scores = prediction.scores
    if normalize:
        scores = _normalized(prediction.logits())
    own = ops.expand_dims(labels.pick(scores), -1)
    apart = scores - own + margin * (1 - labels.dense(scores.dtype))
    largest = ops.stop_gradient(row_max(apart))
    total = ops.sum(ops.exp((apart - largest) / temperature), axis=-1)
    worst = ops.squeeze(largest, -1)
    return worst + temperature * (ops.log(total) - math.log(labels.num_classes))


def _normalized(scores):
    """Softplus of the scores, divided by its mean over classes."""
    scores = ops.minimum(scores, _LARGEST_SCORE)
    lift = ops.maximum(_LOWEST_MAXIMUM - row_max(scores), 0)  # the mean is not 0
    positive = ops.softplus(scores + ops.stop_gradient(lift))
    total = ops.sum(positive, axis=-1, keepdims=True)
    return positive / (total / scores.shape[-1])


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LabelDistributionallyRobust(FunctionLoss):
    """`label_distributionally_robust` as a `Loss`, with the same arguments."""

    function = staticmethod(label_distributionally_robust)
    limits = _LIMITS
    purpose = "label noise with a large `temperature`"
    paper = "Zhu et al. 2023"
    paper_url = "https://arxiv.org/abs/2112.14869"

    def __init__(
        self, margin=0.1, temperature=1.0, normalize=True, from_logits=False, **options
    ):
        super().__init__(
            margin=margin,
            temperature=temperature,
            normalize=normalize,
            from_logits=from_logits,
            **options,
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        low = -self.temperature * math.log(num_classes)
        return low, num_classes + self.margin if self.normalize else math.inf
