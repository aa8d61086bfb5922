"""Joint asymmetric loss: normalised focal plus asymmetric MSE (ICCV 2025)."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.asymmetric import (
    AsymmetricMeanSquaredError,
    asymmetric_mean_squared_error,
)
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.normalized import (
    NormalizedFocal,
    normalized_cross_entropy,
    normalized_focal,
)

_LIMITS = {
    "alpha": Range(low=0),
    "beta": Range(low=0),
    "a": AsymmetricMeanSquaredError.limits["a"],
    "gamma": NormalizedFocal.limits["gamma"],
}


@keras_function
def joint_asymmetric(
    y_true, y_pred, alpha=1.0, beta=1.0, a=30.0, gamma=0.0, from_logits=False
):
    """A normalised loss, which fits, plus asymmetric squared error, JAL in the paper.

        loss = alpha * normalized_focal(gamma) + beta * asymmetric_mean_squared_error(a)

    `gamma` 0 is JAL-CE, on normalised cross-entropy; the authors' JAL-FL has 0.5.
    Published (alpha, beta, a): CIFAR-10 (1, 1, 30), CIFAR-100 (5, 1, 20), WebVision
    (50, 1, 30), Clothing1M (5, 0.1, 5); on CIFAR with a penalty on the absolute values
    of the weights, 5e-5 and 5e-6, in place of weight decay.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        alpha: Float >= 0, weight of the normalised loss.
        beta: Float >= 0, weight of the asymmetric squared error.
        a: Float in [1, 1000], how far the label is stretched.
        gamma: Float in [0, 50], of the focal loss.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`; for one-hot labels in
        [beta (a - 1) ** 2 / classes, alpha + beta (a ** 2 + 1) / classes].

    Raises:
        ValueError: A parameter is outside its range, or labels do not fit.

    Example:
        >>> loss = joint_asymmetric([0], [[0.7, 0.2, 0.1]], a=1.0)
        >>> round(float(loss[0]), 4)  # 0.083556 + 0.046667
        0.1302

    Reference:
        Wang et al., "Joint Asymmetric Loss for Learning with Noisy Labels", ICCV
        2025. Formula and settings: the authors' code
        (cswjl/joint-asymmetric-loss).
    """
    given = {"alpha": alpha, "beta": beta, "a": a, "gamma": gamma}
    check("joint_asymmetric", _LIMITS, **given)
    labels, prediction = decode(y_true, y_pred, from_logits)
    if not is_variable(gamma) and gamma == 0:
        active = normalized_cross_entropy(labels, prediction)
    else:
        active = normalized_focal(labels, prediction, gamma)
    passive = asymmetric_mean_squared_error(labels, prediction, a)
    return alpha * active + beta * passive


@keras.saving.register_keras_serializable(package="tfrobustloss")
class JointAsymmetric(FunctionLoss):
    """`joint_asymmetric` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(joint_asymmetric)
    limits = _LIMITS
    purpose = "label noise: normalised focal plus `AsymmetricMeanSquaredError`"
    paper = "Wang et al. 2025"
    paper_url = "https://arxiv.org/abs/2507.17692"

    def __init__(
        self, alpha=1.0, beta=1.0, a=30.0, gamma=0.0, from_logits=False, **options
    ):
        super().__init__(
            alpha=alpha, beta=beta, a=a, gamma=gamma, from_logits=from_logits, **options
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        low, high = AsymmetricMeanSquaredError(self.a).bounds(num_classes)
        return self.beta * low, self.alpha + self.beta * high
