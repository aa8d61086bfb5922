"""Mean absolute error, the symmetric loss of the theory (Ghosh et al., AAAI 2017)."""

import keras

from tfrobustloss._core.functions import keras_function
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode


@keras_function
def mean_absolute_error(y_true, y_pred, from_logits=False):
    """Absolute error between label and prediction: symmetric, bounded, slow.

        loss = sum over classes of label * 2 * (1 - p)  =  2 * (1 - p of the label)

    For one-hot labels this is `sum(|p - label|)`. Its sum over all labels is the
    constant `2 * (classes - 1)`, which makes it tolerant to symmetric noise; its
    gradient vanishes where `p` is near 0, which makes it slow with many classes.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 2]. Keras' loss of this name is the
        mean over classes: `2 / classes` times this one with one-hot labels.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = mean_absolute_error([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        1.6

    Reference:
        Ghosh, Kumar, Sastry, "Robust Loss Functions under Label Noise for Deep
        Neural Networks", AAAI 2017.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    return 2 * (labels.total() - prediction.pick_probability(labels))


@keras.saving.register_keras_serializable(package="tfrobustloss")
class MeanAbsoluteError(FunctionLoss):
    """`mean_absolute_error` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(mean_absolute_error)
    purpose = "symmetric noise, proven; slow with many classes"
    paper = "Ghosh et al. 2017"
    paper_url = "https://arxiv.org/abs/1712.09482"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 2
