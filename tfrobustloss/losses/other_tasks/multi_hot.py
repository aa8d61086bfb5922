"""Multi-hot targets with missing labels, and the mean or sum of the labels' losses."""

import numbers

import numpy as np
from keras import ops

from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    check_choice,
)
from tfrobustloss.losses.base import TaskLoss
from tfrobustloss.losses.labels import SMALLEST_PROBABILITY, to_float
from tfrobustloss.losses.other_tasks.targets import as_floats, check_shapes

AGGREGATES = ("mean", "sum")
_LARGEST = 1e30  # sums of it stay finite in float32
_SLACK = 1e-3  # rounding of soft labels
_FIRST_KNOWN = -0.5  # a label below it is missing: it stands for -1


class MultiLabelLoss(TaskLoss):
    """A loss of rows of independent labels: multi-hot targets, -1 for a missing label.

    An example without any known label counts neither in the loss nor in its mean. The
    metric that goes with it is Keras' own mean average precision,
    `keras.metrics.AUC(curve="PR", multi_label=True, from_logits=...)`; it knows no
    missing labels, so give it complete ones.

    Args:
        *arguments: As for `TaskLoss`.
        aggregate: `"mean"` over the known labels of an example, or their `"sum"`.
        class_weights: Numbers >= 0, one a class, or None for 1.
        **named: As for `TaskLoss`.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A value is not allowed.
    """

    several_labels = True  # `serving.export` gives each class a threshold

    def __init__(self, *arguments, aggregate="mean", class_weights=None, **named):
        owner = type(self).__name__
        check_choice(owner, "aggregate", aggregate, AGGREGATES)
        weights = checked_weights(owner, class_weights)
        super().__init__(
            *arguments, aggregate=aggregate, class_weights=weights, **named
        )

    def counted(self, y_true):
        """Which examples have a known label."""
        return ops.any(are_known(to_float(y_true)), axis=-1)

    def activation(self, logits):
        """Sigmoid: each class has a probability of its own."""
        return ops.sigmoid(logits)


def decode_multi_hot(owner, y_true, y_pred):
    """Targets in [0, 1], predictions, and which labels are known.

    Targets outside [0, 1] that are not -1 are refused where they can be seen. In a
    compiled program, those below -0.5 and NaN are missing, and the others are clipped.

    Args:
        owner: Name of the function.
        y_true: Targets, shape `(..., classes)`.
        y_pred: Predictions, same shape.

    Returns:
        `(targets, y_pred, known)`: targets with 0 where they are missing, predictions
        of at least float32, and a bool tensor.

    Raises:
        ValueError: The shapes differ, or a target is none.
    """
    y_true, y_pred = as_floats(y_true, y_pred)
    check_shapes(owner, y_true, y_pred, one_hot=True)
    seen = visible(y_true)
    if seen is not None:
        sound = (seen == -1) | (seen >= -_SLACK) & (seen <= 1 + _SLACK)
        if not sound.all():
            constraint = "in [0, 1], or -1 for a missing label"
            bad = seen[~sound].ravel()[:5].tolist()
            hint = "Give a column per class: 1 where the example has it, 0 elsewhere."
            error = ParameterError(owner, "y_true", bad, constraint, hint)
            error.refused = ~sound
            raise error
    known = are_known(y_true)
    return ops.where(known, ops.clip(y_true, 0, 1), 0), y_pred, known


def are_known(y_true):
    """Which labels are not missing, bool; NaN is missing."""
    return y_true > _FIRST_KNOWN


def aggregated(owner, losses, known, aggregate, class_weights):
    """The mean or sum over the known labels of each example, shape `(...)`.

    Args:
        owner: Name of the function.
        losses: Loss of each label, finite, shape `(..., classes)`.
        known: Bool tensor of the same shape.
        aggregate: `"mean"` or `"sum"`.
        class_weights: Numbers, one a class, or None.

    Returns:
        Loss per example; 0 for one without known labels.

    Raises:
        ValueError: `aggregate` is neither, or `class_weights` do not fit.
    """
    check_choice(owner, "aggregate", aggregate, AGGREGATES)
    losses = ops.where(known, losses, 0)
    if class_weights is not None:
        weights = checked_weights(owner, class_weights)
        if losses.shape[-1] not in (None, len(weights)):
            constraint = f"{losses.shape[-1]} numbers, one a class of `y_pred`"
            raise ParameterError(owner, "class_weights", weights, constraint)
        losses = losses * ops.convert_to_tensor(weights, losses.dtype)
    total = ops.sum(losses, axis=-1)
    if aggregate == "sum":
        return total
    count = ops.sum(ops.cast(known, losses.dtype), axis=-1)
    return total / ops.maximum(count, 1)


def checked_weights(owner, class_weights):
    """Weights as a list of floats, or None.

    Args:
        owner: Name of the class or function.
        class_weights: Value of the argument.

    Raises:
        TypeError: They are no numbers.
        ValueError: One is negative or not finite, or there are none.
    """
    if class_weights is None:
        return None
    given = class_weights
    if isinstance(given, np.ndarray):
        given = given.tolist()
    constraint = "a list of numbers, one a class, or None"
    if not isinstance(given, list | tuple) or not all(map(_is_number, given)):
        raise ParameterTypeError(owner, "class_weights", class_weights, constraint)
    weights = [float(each) for each in given]
    if not weights or not all(0 <= each < np.inf for each in weights):
        constraint = "finite numbers >= 0, one a class, or None"
        raise ParameterError(owner, "class_weights", weights, constraint)
    return weights


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


class Sigmoid:
    """Probability of each label, and the logarithms of it and of its complement.

    Everything is finite for any finite input and has a gradient: that of a clipped
    value is that of its bound.

    Args:
        y_pred: Float tensor of logits or probabilities.
        from_logits: Which.

    Attributes:
        p: Probabilities.
        log_p: Their logarithms; at least log(1e-7) for given probabilities.
        log_rest: Logarithms of `1 - p`, likewise.
    """

    def __init__(self, y_pred, from_logits):
        if from_logits:
            self._logits = _held(y_pred, -_LARGEST, _LARGEST)
            self.log_p = -ops.softplus(-self._logits)
            self.log_rest = -ops.softplus(self._logits)
            self.p = ops.exp(self.log_p)
            return
        self.p = _held(y_pred, 0.0, 1.0)
        self.log_p = ops.log(_held(y_pred, SMALLEST_PROBABILITY, 1.0))
        self.log_rest = ops.log(_held(1 - y_pred, SMALLEST_PROBABILITY, 1.0))
        self._logits = self.log_p - self.log_rest

    def with_margin(self, margin):
        """The same of `sigmoid(logit - margin)`."""
        return Sigmoid(self._logits - margin, from_logits=True)


def _held(values, low, high):
    """`values` clipped, with the gradient 1 everywhere."""
    return ops.stop_gradient(ops.clip(values, low, high)) + (
        values - ops.stop_gradient(values)
    )
