"""Decodes labels of any format, and predictions as probabilities or logits.

Predictions whose last axis is 1 come from one unit for two classes, the probability of
class 1 or its logit. `Labels` and `Prediction` make two classes of it, so that no loss
has to know.
"""

import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.labels import MASS_TOLERANCE
from tfrobustloss._core.shapes import agree, check_rank
from tfrobustloss._core.tensors import visible
from tfrobustloss.losses.rows import row_max

SMALLEST_PROBABILITY = 1e-7  # Keras' own epsilon; keeps 1/p finite in float32
_LOWEST_LOG = -1e30  # differences and sums of logits stay finite in float32
_NO_CLASS = -(2**31)  # an id that is neither a class nor ignored
_NO_NUMBERS = "SUOMm"  # numpy's kinds: texts, objects, dates
_NARROW = ("bool", "uint8", "int8", "uint16", "int16", "int32")  # all fit into int32


def to_float(values):
    """`values` as a tensor of at least float32; float64 stays float64."""
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) == "float64":
        return values
    return ops.cast(values, "float32")


def most_nats(from_logits):
    """The largest `-log(p)` that a `Prediction` has."""
    return math.inf if from_logits else -math.log(SMALLEST_PROBABILITY)


def count_classes(y_pred):
    """Number of classes of predictions by their last axis, which for one unit is 2.

    Args:
        y_pred: Tensor or array, shape `(..., classes)` or `(..., 1)`.

    Returns:
        Int, or None where the shape does not say it.
    """
    shape = tuple(y_pred.shape)
    if not shape:
        return None
    return 2 if shape[-1] == 1 else shape[-1]


def class_logits(logits):
    """A logit for each class: `(log(1 - p), log(p))` of a unit of two classes.

    Args:
        logits: Float tensor, shape `(..., classes)`, or `(..., 1)` for one unit, whose
            `p` is the sigmoid.

    Returns:
        Tensor of shape `(..., classes)`.
    """
    if logits.shape[-1] != 1:
        return logits
    return Prediction(logits, from_logits=True).log()


def class_probabilities(logits):
    """Softmax of logits of shape `(..., classes)`, sigmoid of those of one unit."""
    return ops.sigmoid(logits) if logits.shape[-1] == 1 else ops.softmax(logits)


def decode(y_true, y_pred, from_logits=False):
    """The labels and the prediction of a loss, whatever their format.

    The first line of a loss function: the rest of it is then the same for class ids,
    one-hot and soft labels, probabilities and logits.

    Predictions of one unit, shape `(..., 1)`, are those of two classes: a probability
    `p` stands for `(1 - p, p)`, and a logit `z` for the two logits
    `(log(1 - p), log(p))`, p = sigmoid(z), so that both give one loss. Labels are then
    class ids 0 and 1, bools, or floats, the probability of class 1. (Of a *function* in
    `compile`, Keras drops the last axis of maps of shape `(batch, height, width, 1)` if
    labels have none: give labels of this shape, or the loss as a class.)

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, one-hot or soft labels, shape
            `(..., classes)`, or a `Labels`, which is returned as it is.
        y_pred: Probabilities in [0, 1] or logits, shape `(..., classes)`, or
            `(..., 1)` of one unit, or a `Prediction`, which is returned as it is.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A `Labels` and a `Prediction`.

    Raises:
        ValueError: As `Labels`.

    Example:
        >>> def miss(y_true, y_pred, from_logits=False):
        ...     labels, prediction = decode(y_true, y_pred, from_logits)
        ...     return 1 - prediction.pick_probability(labels)
        >>> [round(float(miss(y, [[0.7, 0.3]])[0]), 4) for y in ([0], [[0.0, 1.0]])]
        [0.3, 0.7]
        >>> [round(float(miss(y, [[0.3]])[0]), 4) for y in ([0], [[1]], [0.5])]
        [0.3, 0.7, 0.5]
    """
    prediction = y_pred
    if not isinstance(prediction, Prediction):
        prediction = Prediction(y_pred, from_logits)
    if not isinstance(y_true, Labels):
        y_true = Labels(y_true, prediction.given)
    return y_true, prediction


class Prediction:
    """Class probabilities and their logarithms, from probabilities or logits.

    Logits are kept less their maximum, together with the logarithm of the sum of their
    exponentials: picking the label's logarithm then touches each logit once, and
    nothing overflows. Probabilities below 1e-7 count as 1e-7 in a logarithm, but keep a
    gradient.

    Of one unit for two classes, the logarithms are those of the sigmoid, exact where
    its probability is nearly 1.

    Args:
        y_pred: Probabilities in [0, 1] or logits, shape `(..., classes)`, or
            `(..., 1)` for one unit: the probability of class 1, or its logit.
        from_logits: Whether `y_pred` holds logits.

    Attributes:
        given: Float tensor, `y_pred` in float32 or float64.
        scores: Float tensor, shape `(..., classes)`: shifted logits, or logarithms.

    Raises:
        ValueError: The rank of `y_pred` is not known.

    Example:
        >>> prediction = Prediction([[2.0, 0.0, -1.0]], from_logits=True)
        >>> round(float(prediction.probabilities()[0, 0]), 4)
        0.8438
    """

    holds_tensors = True

    def __init__(self, y_pred, from_logits):
        check_rank("Prediction", y_pred=y_pred)
        self.given = y_pred = to_float(y_pred)
        self._p = self._logits = self._log_sum = None
        self._one_unit = one_unit = tuple(y_pred.shape)[-1:] == (1,)
        if from_logits and one_unit:
            self._read_logit(y_pred)
        elif from_logits:
            self._logits = y_pred
            shifted = y_pred - ops.stop_gradient(row_max(y_pred))
            self.scores = ops.maximum(shifted, _LOWEST_LOG)
            self._exp = ops.exp(self.scores)
            self._sum = ops.sum(self._exp, axis=-1)
            self._log_sum = ops.log(self._sum)
        else:
            self._p = p = _pair(1 - y_pred, y_pred) if one_unit else y_pred
            clipped = ops.clip(p, SMALLEST_PROBABILITY, 1.0)
            self.scores = ops.log(p + ops.stop_gradient(clipped - p))

    def _read_logit(self, z):
        """Two classes of the logits 0 and z, from one exponential and logarithm.

        The same branch of `where` everywhere: at z = 0 the parts have other slopes on
        either side, which add up to the right one.
        """
        z = ops.clip(z, _LOWEST_LOG, -_LOWEST_LOG)
        negative = z < 0
        smaller = ops.exp(ops.where(negative, z, -z))
        self.scores = _pair(ops.where(negative, 0, -z), ops.where(negative, z, 0))
        self._exp = _pair(
            ops.where(negative, 1, smaller), ops.where(negative, smaller, 1)
        )
        self._sum = ops.squeeze(1 + smaller, -1)
        self._log_sum = ops.squeeze(ops.log1p(smaller), -1)

    def logits(self):
        """Logits as they were given, or else logarithms, shape `(..., classes)`.

        For losses that a shift of the logits changes. A unit's logit stands for the
        logarithms of its two probabilities.
        """
        return self.log() if self._logits is None else self._logits

    def log(self):
        """Logarithms of the probabilities, finite, shape `(..., classes)`."""
        if self._log_sum is None:
            return self.scores
        return self.scores - ops.expand_dims(self._log_sum, -1)

    def probabilities(self):
        """Probabilities, shape `(..., classes)`; given ones as they came."""
        if self._p is None:
            return self._exp / ops.expand_dims(self._sum, -1)
        return self._p

    def ranks(self):
        """Numbers in the order of the probabilities, equal where these are.

        Logarithms of equal numbers may differ in their last bit.
        """
        return self.scores if self._p is None else self._p

    def entropy(self):
        """Entropy in nats, shape `(...)`."""
        if self._log_sum is None:
            return -ops.sum(ops.exp(self.scores) * self.scores, axis=-1)
        return self._log_sum - ops.sum(self._exp * self.scores, axis=-1) / self._sum

    def max_log(self):
        """Logarithm of the largest probability, shape `(...)`."""
        largest = ops.squeeze(row_max(self.scores), -1)
        return largest if self._log_sum is None else largest - self._log_sum

    def mean_log(self):
        """Mean over classes of the logarithms, shape `(...)`."""
        # not `ops.mean`, which rounds float64 to float32 on JAX and torch
        mean = ops.sum(self.scores, axis=-1) / self.scores.shape[-1]
        return mean if self._log_sum is None else mean - self._log_sum

    def sum_of_squares(self):
        """Sum over classes of the squared probabilities, shape `(...)`."""
        if self._p is None:
            return ops.sum(ops.square(self._exp), axis=-1) / ops.square(self._sum)
        return ops.sum(ops.square(self._p), axis=-1)

    def total(self):
        """Sum over classes of the probabilities: the number 1 for logits."""
        return 1.0 if self._p is None else ops.sum(self._p, axis=-1)

    def pick_log(self, labels):
        """Sum over classes of `label * log(p)`, shape `(...)`."""
        picked = labels.pick(self.scores)
        if self._log_sum is None:
            return picked
        return picked - labels.total() * self._log_sum

    def pick_of_log(self, labels, function):
        """Sum over classes of `label * function(log(p))`, shape `(...)`.

        Class ids need one call of `function` a row; rows of label mass, which a
        compiled program cannot tell to be one-hot, need one a class.
        """
        if labels.rows is None:
            return function(self.pick_log(labels))
        return labels.pick(function(self.log()))

    def pick_probability(self, labels):
        """Sum over classes of `label * p`, shape `(...)`."""
        if self._p is not None or self._one_unit:  # no exponential more
            return labels.pick(self.probabilities())
        return self.pick_of_log(labels, ops.exp)


class Labels:
    """Labels of any format against predictions of shape `(..., classes)`.

    Class ids of shape `(...)` or `(..., 1)` are kept as ids: a loss then looks at one
    class a row. Anything of the shape of the predictions is a row of label mass,
    one-hot or soft. Ids are compared as integers, so no float type rounds them.

    Predictions of one unit, shape `(..., 1)`, have two classes. Integers and bools are
    ids then, and floats, shape `(...)` or `(..., 1)`, the probability of class 1: rows
    `(1 - y, y)`, also where all of them are 0.0 and 1.0, which a compiled program
    cannot see. Rows of two classes, shape `(..., 2)`, serve as well.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or rows, shape `(..., classes)`.
        y_pred: Float tensor, shape `(..., classes)` or `(..., 1)`, for its shape and
            type.
        ignore_class: Int or None, an id that is allowed besides the classes.

    Attributes:
        ids: Int32 tensor of shape `(...)`, or None.
        rows: Float tensor of shape `(..., classes)`, or None.
        num_classes: Int.

    Raises:
        ValueError: The shapes do not fit, or labels that can be seen are none: ids of
            no class, rows that are not label mass of 1 in total. Rows of zeros are what
            one-hot encoding makes of an id outside the classes, and are allowed where
            `ignore_class` is one.

    A compiled program cannot see labels. There, an id that is no class, be it NaN or
    1.5, selects nothing, so that `pick` is 0; an entry of a row that is negative or not
    finite counts as 0; and `known` is False for that id and for a row whose mass is not
    1, whose loss `FunctionLoss` sets to 0. A probability of class 1 outside [0, 1] is
    no label either.

    Example:
        >>> labels = Labels([0, 2], keras.ops.zeros((2, 3)))
        >>> ops.convert_to_numpy(labels.dense("float32"))[1].tolist()
        [0.0, 0.0, 1.0]
        >>> labels = Labels([1.0, 0.25], keras.ops.zeros((2, 1)))
        >>> ops.convert_to_numpy(labels.dense("float32")).tolist()
        [[0.0, 1.0], [0.75, 0.25]]
    """

    holds_tensors = True

    def __init__(self, y_true, y_pred, ignore_class=None):
        check_rank("Labels", y_true=y_true, y_pred=y_pred)
        shape = tuple(y_pred.shape)
        self.num_classes, self._one_unit = count_classes(y_pred), shape[-1:] == (1,)
        self._share = None
        label_shape = tuple(getattr(y_true, "shape", np.shape(y_true)))
        if self.num_classes is None or self.num_classes < 2:
            raise ValueError(
                "`y_pred` must have its classes on its last axis, a known number of "
                "them: 2 or more, or 1, the probability of class 1 or its logit. "
                f"Received: y_pred of shape {shape}. If the number is lost, say it: "
                "`tf.ensure_shape(y_pred, (..., classes))`."
            )
        # a last axis that is not known is taken for what the predictions have
        lone = (1, None) if self._one_unit else (1,)
        column = len(label_shape) == len(shape)
        if column and label_shape[-1] not in lone:
            self._read_rows(y_true, y_pred, label_shape, ignore_class)
            return
        self._check_same(label_shape[:-1] if column else label_shape, shape[:-1])
        if column and label_shape[-1] is None:  # rows would pass for a column
            y_true = ops.reshape(y_true, (*ops.shape(y_true)[:-1], 1))
        if self._one_unit and _is_float(y_true):
            self._read_shares(y_true, y_pred, column, ignore_class)
            return
        seen = _check_visible_ids(y_true, self.num_classes, ignore_class)
        ids = _whole(ops.convert_to_tensor(y_true), seen)
        self.ids, self.rows = ops.squeeze(ids, -1) if column else ids, None

    def _read_rows(self, y_true, y_pred, label_shape, ignore_class):
        expected = (*tuple(y_pred.shape)[:-1], self.num_classes)
        self._check_same(label_shape, expected)
        outside = ignore_class is not None and not 0 <= ignore_class < self.num_classes
        self._seen = _check_visible_rows(y_true, zeros_allowed=outside)
        rows = ops.cast(y_true, y_pred.dtype)
        if label_shape[-1] is None:  # a column of ids would pass for rows
            rows = ops.reshape(rows, (*ops.shape(rows)[:-1], self.num_classes))
        sound = ops.logical_and(rows >= 0, ops.isfinite(rows))
        self.ids, self.rows = None, ops.where(sound, rows, 0)

    def _read_shares(self, y_true, y_pred, column, ignore_class):
        """Probabilities of class 1; zeros are the row of one that is none."""
        self._seen = _check_visible_shares(y_true, ignore_class)
        share = ops.cast(y_true, y_pred.dtype)
        share = share if column else ops.expand_dims(share, -1)
        sound = ops.logical_and(share >= 0, share <= 1 + MASS_TOLERANCE)
        rows = _pair(ops.maximum(1 - share, 0), share)
        self.ids, self.rows = None, ops.where(sound, rows, 0)
        self._share = ops.squeeze(share, -1)

    def _check_same(self, received, expected):
        if not agree(received, expected):
            raise ValueError(
                "`y_true` must hold class ids, shape `y_pred.shape[:-1]` with or "
                "without a last axis of 1, or one-hot or soft rows, shape "
                "`(..., classes)`. Received: y_true of shape "
                f"{received}, expected {expected} to fit {self.num_classes} classes."
            )

    def pick(self, values):
        """Sum over classes of `label * values`, shape `(...)`."""
        if self._one_unit:
            return self._pick_of_two(values)
        if self.ids is None:
            return ops.sum(self.rows * values, axis=-1)
        return ops.sum(ops.where(self.hot(), values, 0), axis=-1)

    def _pick_of_two(self, values):
        # without a sum over an axis of 2, which XLA does not fuse
        if values.shape[-1] != 2:
            raise ValueError(
                "`values` must have 2 classes, those of one unit. Received: values of "
                f"shape {tuple(values.shape)}. `decode` makes them of `y_pred`."
            )
        first, second = values[..., 0], values[..., 1]
        if self.ids is None:
            return self.rows[..., 0] * first + self.rows[..., 1] * second
        first = ops.where(ops.equal(self.ids, 0), first, 0)
        return ops.where(ops.equal(self.ids, 1), second, first)

    def hot(self):
        """Whether a class is the id's, bool of shape `(..., classes)`."""
        return ops.equal(
            ops.expand_dims(self.ids, -1), ops.arange(self.num_classes, dtype="int32")
        )

    def dense(self, dtype):
        """Rows of label mass, shape `(..., classes)`."""
        return ops.cast(self.hot(), dtype) if self.rows is None else self.rows

    def total(self):
        """Label mass of a row, `(...)`, or the number 1 for ids."""
        return 1.0 if self.rows is None else ops.sum(self.rows, axis=-1)

    def known(self):
        """Whether there is a label, bool of shape `(...)`; None if rows were seen.

        Ids of no class and rows whose mass is not 1 are no label.
        """
        if self.ids is None:
            return None if self._seen else ops.abs(self.total() - 1) <= MASS_TOLERANCE
        return ops.logical_and(self.ids >= 0, self.ids < self.num_classes)

    def equal(self, class_id):
        """Whether the label of a row is `class_id`, bool of shape `(...)`.

        A row belongs to its largest entry; a row of zeros, which is what one-hot
        encoding makes of an id outside the classes, belongs to an id outside. A float
        for one unit belongs to the id outside that it is.
        """
        if self.ids is not None:
            return ops.equal(self.ids, class_id)
        if 0 <= class_id < self.num_classes:
            row = ops.argmax(self.rows, axis=-1)
            return ops.logical_and(ops.equal(row, class_id), ops.any(self.rows, -1))
        if self._share is not None:
            return ops.equal(self._share, class_id)
        return ops.logical_not(ops.any(self.rows, -1))


def _pair(first, second):
    """Two columns of shape `(..., 1)` as rows of two classes."""
    return ops.concatenate([first, second], axis=-1)


def _is_float(labels):
    """True for labels (array, tensor or lists) of a float type."""
    dtype = getattr(labels, "dtype", None)
    return "float" in str(np.asarray(labels).dtype if dtype is None else dtype)


def _whole(ids, seen):
    """Ids as int32; one that is no whole number of that type becomes no class."""
    dtype = keras.backend.standardize_dtype(ids.dtype)
    whole = ops.cast(ids, "int32")
    if seen or dtype in _NARROW:
        return whole
    return ops.where(ops.equal(ops.cast(whole, dtype), ids), whole, _NO_CLASS)


def _check_visible_ids(ids, num_classes, ignore_class):
    """Raises for ids that are no class; False where their values cannot be seen."""
    ids = visible(ids)
    if ids is None:
        return False
    if ids.dtype.kind in _NO_NUMBERS:
        bad = np.ones(ids.shape, bool)
    else:
        bad = ~((ids >= 0) & (ids < num_classes) & (ids == np.floor(ids)))
    if ignore_class is not None:
        bad &= ids != ignore_class
    if bad.any():
        raise _refusal(
            f"`y_true` must hold class ids in 0..{num_classes - 1}, the classes of "
            f"`y_pred`. Received: {ids[bad].ravel()[:5].tolist()} among them. Number "
            "the classes from 0, or name the id of unlabelled examples as "
            "`ignore_class`.",
            None if ids.dtype.kind in _NO_NUMBERS else bad,
        )
    return True


def _check_visible_shares(shares, ignore_class):
    """Raises for what is no probability of class 1; False where it cannot be seen."""
    shares = visible(shares)
    if shares is None:
        return False
    bad = ~((shares >= 0) & (shares <= 1 + MASS_TOLERANCE))  # NaN is neither
    if ignore_class is not None:
        bad &= shares != ignore_class
    if bad.any():
        raise _refusal(
            "`y_true` must hold class ids 0 and 1, or probabilities of class 1 in "
            "[0, 1], for predictions of one unit. Received: "
            f"{shares[bad].ravel()[:5].tolist()} among them. Name the number of "
            "unlabelled examples as `ignore_class`.",
            bad,
        )
    return True


def _check_visible_rows(rows, zeros_allowed):
    """Raises for rows that are no label mass; False where they cannot be seen."""
    rows = visible(rows)
    if rows is None:
        return False
    if rows.dtype.kind in _NO_NUMBERS:
        raise ValueError(
            "`y_true` must hold numbers: class ids, or one-hot or soft rows. Received: "
            f"{rows.ravel()[0]!r} among them. Number the classes from 0."
        )
    rows = rows.astype("float64" if rows.dtype == "float64" else "float32")
    with np.errstate(invalid="ignore"):  # infinities of both signs
        total = rows.sum(axis=-1)
    infinite = ~np.isfinite(rows)
    bad = (rows < 0).any(axis=-1) | ~(np.abs(total - 1) <= MASS_TOLERANCE)
    if zeros_allowed:
        bad &= rows.any(axis=-1)
    if infinite.any():
        raise _refusal(
            f"`y_true` must be finite. Received: {rows[infinite][0]} among "
            f"{infinite.sum()} such entries. Drop these examples, or make their rows "
            "zeros and give the loss `ignore_class=-1`.",
            bad,
        )
    if bad.any():
        raise _refusal(
            "`y_true` must hold rows of label mass, 0 or more a class and 1 in total. "
            f"Received: {rows[bad][0][:5].tolist()} among {bad.sum()} such rows. Give "
            "class ids without one-hot encoding, divide rows by their sum, or make "
            "rows that do not count zeros and give the loss `ignore_class=-1`.",
            bad,
        )
    return True


def _refusal(text, bad):
    """A ValueError that knows which labels it is about, bool of their shape or None."""
    error = ValueError(text)
    error.refused = bad
    return error
