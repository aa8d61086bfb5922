"""Cross-entropy, the baseline of every comparison, and its smoothed form."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode, most_nats

_LIMITS = {"label_smoothing": Range(0, 1)}


@keras_function
def cross_entropy(y_true, y_pred, label_smoothing=0.0, from_logits=False):
    """Cross-entropy with any label format: unbounded, so wrong labels dominate.

        loss = -sum over classes of target * log(p)
        target = (1 - label_smoothing) * label + label_smoothing / classes

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        label_smoothing: Float in [0, 1], mass spread over all classes (the
            convention of Keras).
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `label_smoothing` is outside [0, 1], or labels do not fit.

    Example:
        >>> loss = cross_entropy([0], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        0.3567

    Reference:
        Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for
        Computer Vision", CVPR 2016.
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
        return 0, most_nats(self.from_logits)
