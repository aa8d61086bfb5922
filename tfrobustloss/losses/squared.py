"""Squared error and squared hinge of class probabilities: the older baselines."""

import keras
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode


@keras_function
def mean_squared_error(y_true, y_pred, from_logits=False):
    """The Brier score: squared distance between label and prediction.

        loss = sum over classes of (p - label) ** 2

    Bounded, and a proper score. A soft label is a target of its own here: its loss is
    not the mean of its classes' losses.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, in [0, 2]. Keras' loss of this name is the
        mean over classes: `1 / classes` times this one.

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = mean_squared_error([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        1.14

    Reference:
        Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly
        Weather Review 78, 1950.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    if labels.rows is not None:
        return ops.sum(ops.square(prediction.probabilities() - labels.rows), axis=-1)
    # multiplied out, a compiled program passes over the classes once less
    own = prediction.pick_probability(labels)
    distance = prediction.sum_of_squares() - 2 * own + 1
    return distance + ops.stop_gradient(ops.maximum(distance, 0) - distance)


@keras_function
def squared_hinge(y_true, y_pred, from_logits=False):
    """Squared hinge of class probabilities, a baseline of the Adma paper.

        loss = mean over classes of max(0, 1 - (2 * label - 1) * p) ** 2

    Made for scores without bounds. Of probabilities it is never 0: a sure and right
    prediction has `1 - 1 / classes`.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot or soft labels,
            shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        from_logits: Whether `y_pred` holds logits, to go through a softmax.

    Returns:
        Loss per example, shape `(...)`, in [1 - 1 / classes, 1 + 3 / classes].

    Raises:
        ValueError: Labels do not fit the predictions.

    Example:
        >>> loss = squared_hinge([1], [[0.7, 0.2, 0.1]])
        >>> round(float(loss[0]), 4)
        1.58

    Reference:
        Shrivastava, "Adma: A Flexible Loss Function for Neural Networks", 2020,
        compares with Keras' loss of this name, of which this is the value.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    if labels.rows is None:  # multiplied out, see `mean_squared_error`
        others = 2 * (prediction.total() - 2 * prediction.pick_probability(labels))
        return 1 + (prediction.sum_of_squares() + others) / labels.num_classes
    short = 1 - (2 * labels.rows - 1) * prediction.probabilities()
    return ops.sum(ops.square(ops.maximum(short, 0)), axis=-1) / labels.num_classes


@keras.saving.register_keras_serializable(package="tfrobustloss")
class MeanSquaredError(FunctionLoss):
    """`mean_squared_error` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(mean_squared_error)
    purpose = "outliers, bounded: the Brier score"
    paper = "Brier 1950"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, 2


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SquaredHinge(FunctionLoss):
    """`squared_hinge` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(squared_hinge)
    purpose = "nothing: a baseline of the Adma paper"
    paper = "Shrivastava 2020"

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 1 - 1 / num_classes, 1 + 3 / num_classes
