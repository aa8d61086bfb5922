"""Cross-entropy, the baseline of every comparison, and generalized label smoothing."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode, most_nats

_LIMITS = {"label_smoothing": Range(high=1)}


@keras_function
def cross_entropy(y_true, y_pred, label_smoothing=0.0, from_logits=False):
    """Cross-entropy with any label format: unbounded, so wrong labels dominate.

        loss = -sum over classes of target * log(p)
        target = (1 - label_smoothing) * label + label_smoothing / classes

    A negative `label_smoothing` r takes mass from all classes and gives it to the
    label: negative label smoothing, for noisy labels. It is
    `(1 - r) * ConfidenceRegularized(-r / (1 - r))`: r = -1 has its `beta` = 0.5, r = -4
    its 0.8, and lower ones come near a multiple of `unhinged`. The loss then has no
    lower bound. The authors tried 0.8 to -8, and begin with plain cross-entropy where
    there is much noise: give a `keras.Variable` of 0 and lower it by a
    `training.ParameterScheduler`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        label_smoothing: Float of at most 1, mass spread over all classes (the
            convention of Keras); negative for negative label smoothing.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0 unless `label_smoothing` is
        negative.

    Raises:
        ValueError: `label_smoothing` is above 1, or labels do not fit.

    Example:
        >>> loss = cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.3567

    Reference:
        Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for
        Computer Vision", CVPR 2016. Negative: Wei et al., "To Smooth or Not? When Label
        Smoothing Meets Noisy Labels", ICML 2022.
    """
    check("cross_entropy", _LIMITS, label_smoothing=label_smoothing)
    labels, prediction = decode(y_true, y_pred, from_logits)
    hard = -prediction.pick_log(labels)
    if not is_variable(label_smoothing) and label_smoothing == 0:
        return hard
    even = -prediction.mean_log()
    return (1 - label_smoothing) * hard + label_smoothing * even


@keras.saving.register_keras_serializable(package="tfrobustloss")
class CrossEntropy(FunctionLoss):
    """`cross_entropy` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(cross_entropy)
    limits = _LIMITS
    purpose = "nothing: the baseline"
    paper = "Szegedy et al. 2016"

    def __init__(self, label_smoothing=0.0, from_logits=False, **options):
        super().__init__(
            label_smoothing=label_smoothing, from_logits=from_logits, **options
        )

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        most = most_nats(self.from_logits)
        if self.label_smoothing >= 0:
            return 0, most
        moved = -self.label_smoothing * (1 - 1 / num_classes)  # from the other classes
        return -moved * most, (1 + moved) * most
