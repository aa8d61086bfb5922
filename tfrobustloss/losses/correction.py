"""Loss correction with a known noise matrix (Patrini et al., CVPR 2017)."""

import functools
import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.functions import keras_function
from tfrobustloss._core.labels import stochastic_matrix
from tfrobustloss._core.tensors import current_value
from tfrobustloss._core.validation import ParameterError
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
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        transition_matrix: `T`, shape `(classes, classes)`; `T[i, j]` is the
            probability that class `i` is labelled `j`; rows sum to 1, up to rounding.
            Entries below 1e-30 count as 1e-30, which bounds the loss at 69 nats.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, at least 0.

    Raises:
        ValueError: `transition_matrix` is not row-stochastic, or labels do not fit.

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
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit.
        transition_matrix: `T`, shape `(classes, classes)`; `T[i, j]` is the
            probability that class `i` is labelled `j`; rows sum to 1, up to rounding.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example in nats, shape `(...)`, of either sign.

    Raises:
        ValueError: `transition_matrix` is not row-stochastic or cannot be inverted, or
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
    """`matrix` as a row-stochastic float64 array, of `num_classes` rows if given."""
    array = stochastic_matrix(owner, "transition_matrix", current_value(matrix))
    if num_classes not in (None, len(array)):
        constraint = f"a row and a column for each of the {num_classes} classes"
        raise ParameterError(owner, "transition_matrix.shape", array.shape, constraint)
    return array


def _inverse(owner, matrix):
    return _inverse_of_bytes(owner, matrix.tobytes(), len(matrix))


@functools.lru_cache(maxsize=8)  # an eager loss would invert its matrix every batch
def _inverse_of_bytes(owner, values, size):
    matrix = np.frombuffer(values).reshape(size, size)
    condition = np.linalg.cond(matrix)
    if not condition < _WORST_CONDITION:
        raise ParameterError(
            owner,
            "transition_matrix",
            f"condition number {condition:.3g}",
            f"invertible, with a condition number below {_WORST_CONDITION:g}",
            "This noise makes classes alike; `ForwardCorrection` needs no inverse.",
        )
    return np.linalg.inv(matrix)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class ForwardCorrection(FunctionLoss):
    """`forward_correction` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(forward_correction)
    purpose = "noise of a known matrix, consistent"
    paper = "Patrini et al. 2017"
    paper_url = "https://arxiv.org/abs/1609.03683"

    def __init__(self, transition_matrix, from_logits=False, **options):
        matrix = _matrix(type(self).__name__, transition_matrix)
        super().__init__(transition_matrix=matrix, from_logits=from_logits, **options)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label."""
        return 0, math.inf


@keras.saving.register_keras_serializable(package="tfrobustloss")
class BackwardCorrection(FunctionLoss):
    """`backward_correction` as a `keras.losses.Loss`, with the same arguments."""

    function = staticmethod(backward_correction)
    purpose = "noise of a known matrix, unbiased"
    paper = "Patrini et al. 2017"
    paper_url = "https://arxiv.org/abs/1609.03683"

    def __init__(self, transition_matrix, from_logits=False, **options):
        owner = type(self).__name__
        matrix = _matrix(owner, transition_matrix)
        _inverse(owner, matrix)
        super().__init__(transition_matrix=matrix, from_logits=from_logits, **options)
