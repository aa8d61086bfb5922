"""Loss correction with a known noise matrix (Patrini et al., CVPR 2017)."""

import functools

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.tensors import current_value
from tfrobustloss.losses.base import FunctionLoss
from tfrobustloss.losses.labels import decode

_WORST_CONDITION = 1e6  # float32 keeps about one digit of the inverse beyond it

_SMALLEST = 1e-30  # of a transition, and of a noisy probability of soft labels


@keras_function
def forward_correction(y_true, y_pred, transition_matrix, from_logits=False):
    """Cross-entropy of the noisy label that the prediction makes likely.

        loss = -sum over classes j of label_j * log(sum over i of p_i * T[i, j])

    Trained so, the model's own output tends to the clean probabilities.

    Args:
        y_true: Noisy class ids, shape `(...)` or `(..., 1)`, or one-hot or soft
            labels, shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`.
        transition_matrix: `T`, shape `(classes, classes)`; `T[i, j]` is the
            probability that class `i` is labelled `j`; rows sum to 1. Entries below
            1e-30 count as that, which bounds the loss at 69 nats.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `transition_matrix` is no such matrix, or labels do not fit.

    Example:
        >>> matrix = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
        >>> loss = forward_correction([0], [[0.7, 0.2, 0.1]], matrix)
        >>> round(float(loss[0]), 4)
        0.5276

    Reference:
        Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach", CVPR 2017.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    log_p = prediction.log()
    matrix = _matrix("forward_correction", transition_matrix, labels.num_classes)
    if labels.rows is None:  # the label's column of T alone, in log space: exact
        log_matrix = np.log(np.maximum(matrix, _SMALLEST)).T
        columns = _rows_at(log_matrix, labels, log_p.dtype)
        return -ops.logsumexp(log_p + columns, axis=-1)
    noisy = ops.matmul(ops.exp(log_p), ops.cast(matrix, log_p.dtype))
    floor = ops.stop_gradient(ops.maximum(_SMALLEST - noisy, 0))
    return -labels.pick(ops.log(noisy + floor))


@keras_function
def backward_correction(y_true, y_pred, transition_matrix, from_logits=False):
    """Cross-entropy with labels multiplied by the inverse of the noise: unbiased.

        loss = sum over classes j, k of label_j * inverse(T)[j, k] * -log(p_k)

    Its mean over the noise is cross-entropy with clean labels. A single value may
    be negative, and large if `T` is nearly singular.

    Args:
        y_true: Noisy class ids, shape `(...)` or `(..., 1)`, or one-hot or soft
            labels, shape `(..., classes)`, rows summing to 1.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`.
        transition_matrix: `T`, shape `(classes, classes)`; `T[i, j]` is the
            probability that class `i` is labelled `j`; rows sum to 1.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, of either sign.

    Raises:
        ValueError: `transition_matrix` is no such matrix or cannot be inverted, or
            labels do not fit.

    Example:
        >>> matrix = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
        >>> loss = backward_correction([0], [[0.7, 0.2, 0.1]], matrix)
        >>> round(float(loss[0]), 4)
        -0.1003

    Reference:
        Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach", CVPR 2017.
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    log_p = prediction.log()
    owner = "backward_correction"
    matrix = _matrix(owner, transition_matrix, labels.num_classes)
    inverse = _inverse(owner, matrix)
    if labels.rows is None:
        weights = _rows_at(inverse, labels, log_p.dtype)
    else:
        weights = ops.matmul(labels.rows, ops.cast(inverse, log_p.dtype))
    return -ops.sum(weights * log_p, axis=-1)


def _rows_at(matrix, labels, dtype):
    """The rows of `matrix` at the class ids; an id that is no class takes row 0."""
    ids = ops.where(labels.known(), labels.ids, 0)
    return ops.take(ops.cast(matrix, dtype), ids, axis=0)


def _matrix(owner, matrix, num_classes=None):
    """`matrix` as a float64 array, checked to be row-stochastic."""
    array = np.asarray(current_value(matrix), "float64")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(
            f"{owner}: `transition_matrix` must be square, (classes, classes). "
            f"Received: transition_matrix of shape {array.shape}."
        )
    if num_classes is not None and len(array) != num_classes:
        raise ValueError(
            f"{owner}: `transition_matrix` must have a row and a column for each of "
            f"the {num_classes} classes of `y_pred`. Received: transition_matrix of "
            f"shape {array.shape}."
        )
    off = np.abs(array.sum(axis=1) - 1)
    if not np.isfinite(array).all() or array.min() < 0 or off.max() > 1e-4:
        raise ValueError(
            f"{owner}: `transition_matrix` must hold probabilities, each row summing "
            f"to 1. Received: smallest entry {array.min():g}, row sums from "
            f"{array.sum(axis=1).min():g} to {array.sum(axis=1).max():g}. Entry [i, "
            "j] is the probability that class i is labelled j."
        )
    return array


def _inverse(owner, matrix):
    return _inverse_of_bytes(owner, matrix.tobytes(), len(matrix))


@functools.lru_cache(maxsize=8)  # an eager loss would invert its matrix every batch
def _inverse_of_bytes(owner, values, size):
    matrix = np.frombuffer(values).reshape(size, size)
    condition = np.linalg.cond(matrix)
    if not condition < _WORST_CONDITION:
        raise ValueError(
            f"{owner}: `transition_matrix` must be invertible (condition number below "
            f"{_WORST_CONDITION:g}). Received: condition number {condition:.3g}. Such "
            "noise hides classes from each other; `ForwardCorrection` needs no inverse."
        )
    return np.linalg.inv(matrix)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ForwardCorrection(FunctionLoss):
    """`forward_correction` as a `keras.losses.Loss`; arguments as there."""

    function = staticmethod(forward_correction)

    def __init__(
        self,
        transition_matrix,
        from_logits=False,
        ignore_class=None,
        **keras_options,
    ):
        matrix = _matrix(type(self).__name__, transition_matrix)
        parameters = {"transition_matrix": matrix, "from_logits": from_logits}
        super().__init__(parameters, ignore_class, **keras_options)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class BackwardCorrection(FunctionLoss):
    """`backward_correction` as a `keras.losses.Loss`; arguments as there."""

    function = staticmethod(backward_correction)

    def __init__(
        self,
        transition_matrix,
        from_logits=False,
        ignore_class=None,
        **keras_options,
    ):
        owner = type(self).__name__
        matrix = _matrix(owner, transition_matrix)
        _inverse(owner, matrix)
        parameters = {"transition_matrix": matrix, "from_logits": from_logits}
        super().__init__(parameters, ignore_class, **keras_options)
