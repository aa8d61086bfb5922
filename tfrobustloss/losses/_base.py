"""What every classification loss shares: labels, probabilities, the Loss class."""

import keras
import numpy as np
from keras import ops

# Keras has no public name for the mask that layers hang on their outputs.
from keras.src.backend import get_keras_mask, set_keras_mask

from tfrobustloss import _limits

SMALLEST_PROBABILITY = 1e-7  # Keras' own epsilon; keeps 1/p finite in float32
_LARGEST_LOGIT = 1e30  # differences and sums of logits stay finite in float32


def to_float(values):
    """`values` as a tensor of at least float32; float64 stays float64."""
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) == "float64":
        return values
    return ops.cast(values, "float32")


def log_probabilities(y_pred, from_logits):
    """Logarithms of class probabilities: finite, with a gradient everywhere.

    Probabilities below `SMALLEST_PROBABILITY` count as that, but keep a gradient.
    """
    y_pred = to_float(y_pred)
    if from_logits:
        return ops.log_softmax(_finite_logits(y_pred), axis=-1)
    clipped = ops.clip(y_pred, SMALLEST_PROBABILITY, 1.0)
    return ops.log(y_pred + ops.stop_gradient(clipped - y_pred))


def probabilities(y_pred, from_logits):
    """Class probabilities, shape `(..., classes)`."""
    y_pred = to_float(y_pred)
    return ops.softmax(_finite_logits(y_pred), axis=-1) if from_logits else y_pred


def _finite_logits(logits):
    return ops.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)


class Labels:
    """Labels of any format against predictions of shape `(..., classes)`.

    Class ids of shape `(...)` or `(..., 1)` are kept as ids: a loss then looks at one
    class a row. Anything of the shape of the predictions is a row of label mass,
    one-hot or soft. Ids are compared as integers, so no float type rounds them.

    Attributes:
        ids: Int32 tensor of shape `(...)`, or None.
        rows: Float tensor of shape `(..., classes)`, or None.
        num_classes: Int.

    Raises:
        ValueError: The shapes do not fit, or visible ids are no class. Ids in a
            compiled graph cannot be seen; there, an id that is no class selects
            nothing, so that `pick` is 0, and `FunctionLoss` gives 0 for the row.
    """

    def __init__(self, y_true, y_pred, ignore_class=None):
        shape = tuple(y_pred.shape)
        self.num_classes = shape[-1] if shape else None
        label_shape = tuple(getattr(y_true, "shape", np.shape(y_true)))
        if self.num_classes is None or self.num_classes < 2:
            raise ValueError(
                "`y_pred` must have at least 2 classes on its last axis, and a known "
                f"number of them. Received: y_pred of shape {shape}. For two classes, "
                "use a model with 2 outputs."
            )
        if len(label_shape) == len(shape) and label_shape[-1] != 1:
            self._check_same(label_shape, shape)
            self.ids, self.rows = None, ops.cast(y_true, y_pred.dtype)
            return
        if len(label_shape) == len(shape):
            label_shape = label_shape[:-1]
            y_true = ops.squeeze(ops.convert_to_tensor(y_true), -1)
        self._check_same(label_shape, shape[:-1])
        _check_visible_ids(y_true, self.num_classes, ignore_class)
        self.ids, self.rows = ops.cast(y_true, "int32"), None

    def _check_same(self, received, expected):
        fits = len(received) == len(expected) and all(
            a is None or b is None or a == b
            for a, b in zip(received, expected, strict=True)
        )
        if not fits:
            raise ValueError(
                "`y_true` must hold class ids, shape `y_pred.shape[:-1]` with or "
                "without a last axis of 1, or one-hot or soft rows, shape "
                f"`y_pred.shape`. Received: y_true of shape {received}, expected "
                f"{expected} to fit {self.num_classes} classes."
            )

    def pick(self, values):
        """Sum over classes of `label * values`, shape `(...)`."""
        if self.ids is None:
            return ops.sum(self.rows * values, axis=-1)
        return ops.sum(ops.where(self.hot(), values, 0), axis=-1)

    def pick_of(self, function, values):
        """Sum over classes of `label * function(values)`; ids need one call a row."""
        if self.ids is None:
            return self.pick(function(values))
        return function(self.pick(values))

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
        """Whether the ids are classes, bool of shape `(...)`; None for rows."""
        if self.ids is None:
            return None
        return ops.logical_and(self.ids >= 0, self.ids < self.num_classes)

    def equal(self, class_id):
        """Whether the label of a row is `class_id`, bool of shape `(...)`.

        A row belongs to its largest entry; a row of zeros, which is what one-hot
        encoding makes of an id outside the classes, belongs to such an id.
        """
        if self.ids is not None:
            return ops.equal(self.ids, class_id)
        if 0 <= class_id < self.num_classes:
            row = ops.argmax(self.rows, axis=-1)
            return ops.logical_and(ops.equal(row, class_id), ops.any(self.rows, -1))
        return ops.logical_not(ops.any(self.rows, -1))


def decode(y_true, y_pred, from_logits):
    """`Labels` and log-probabilities of shape `(..., classes)`."""
    log_p = log_probabilities(y_pred, from_logits)
    return as_labels(y_true, log_p), log_p


def as_labels(y_true, y_pred):
    """`y_true` as `Labels`, decoded at most once."""
    return y_true if isinstance(y_true, Labels) else Labels(y_true, y_pred)


def _check_visible_ids(ids, num_classes, ignore_class):
    """Raises for ids that are no class, where their values can be seen."""
    ids = _limits.visible(ids)
    if ids is None:
        return
    bad = ~((ids >= 0) & (ids < num_classes) & (ids == np.floor(ids)))
    if ignore_class is not None:
        bad &= ids != ignore_class
    if bad.any():
        raise ValueError(
            f"`y_true` must hold class ids in 0..{num_classes - 1}, the classes of "
            f"`y_pred`. Received: {ids[bad].ravel()[:5].tolist()} among them. Number "
            "the classes from 0, or name the id of unlabelled examples as "
            "`ignore_class`."
        )


class FunctionLoss(keras.losses.Loss):
    """A per-example function as a `keras.losses.Loss`.

    A subclass names its `function` and the `limits` of its parameters, and hands its
    parameters over by name. Each becomes an attribute of that name and part of the
    config. A scalar parameter may be a `keras.Variable`: assigning to it changes a
    compiled model without tracing it again, and the config holds its current value.
    (On JAX, make the variable an attribute of the model as well.)

    The computation runs in float32, or float64 for that dtype, whatever the policy.

    Args:
        parameters: Dict of the function's arguments after `y_true, y_pred`.
        ignore_class: Int or None. Examples with this label count neither in the loss
            nor in its mean; need not be one of the classes (255, -1).
        reduction: As in Keras: `"sum_over_batch_size"`, `"sum"`, `"mean"`,
            `"mean_with_sample_weight"` or None.
        name: Name of the loss; the function's by default.
        dtype: Type of the result; Keras' `floatx()` by default.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is outside its limits.
    """

    function = None
    limits = {}

    def __init__(
        self,
        parameters,
        ignore_class=None,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        owner = type(self).__name__
        _limits.check(owner, {"ignore_class": _IGNORE}, ignore_class=ignore_class)
        _limits.check(owner, self.limits, **parameters)
        super().__init__(name or self.function.__name__, reduction, dtype)
        self.ignore_class = ignore_class
        self._names = tuple(parameters)
        self._given_dtype = dtype is not None
        for key, value in parameters.items():
            setattr(self, key, value)

    def activation(self, logits):
        """The probabilities that this loss sees in logits, `(..., classes)`."""
        return ops.softmax(logits, axis=-1)

    def call(self, y_true, y_pred):
        """Loss per example, shape `(...)`, in float32 or float64; nothing ignored."""
        wide = self._wide_dtype()
        parameters = {name: getattr(self, name) for name in self._names}
        for name, value in parameters.items():
            if _limits.is_variable(value):
                parameters[name] = ops.cast(ops.convert_to_tensor(value), wide)
        y_pred = ops.cast(y_pred, wide)
        labels = y_true
        if not isinstance(labels, Labels):
            labels = Labels(y_true, y_pred, self.ignore_class)
        losses = self.function(labels, y_pred, **parameters)
        known = labels.known()
        return losses if known is None else ops.where(known, losses, 0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Loss of a batch, reduced as `reduction` says."""
        mask = get_keras_mask(y_pred)
        y_pred = ops.convert_to_tensor(y_pred)
        labels = Labels(y_true, y_pred, self.ignore_class)
        losses = self.call(labels, y_pred)
        if self.ignore_class is not None:
            ignored = labels.equal(self.ignore_class)
            losses = ops.where(ignored, 0, losses)
            kept = ops.logical_not(ignored)
            mask = kept if mask is None else ops.logical_and(mask, kept)
        if mask is not None:
            set_keras_mask(losses, mask)
        reduce = _Reduce(self.name, self.reduction, self._wide_dtype())
        return _saturating_cast(reduce(losses, losses, sample_weight), self.dtype)

    def get_config(self):
        """Everything that builds this loss again, as plain JSON values."""
        config = super().get_config()
        for name in self._names:
            config[name] = _limits.current_value(getattr(self, name))
        if self.ignore_class is not None:
            config["ignore_class"] = self.ignore_class
        if self._given_dtype:
            config["dtype"] = self._dtype_policy.name
        return config

    def _wide_dtype(self):
        return "float64" if self.dtype == "float64" else "float32"


_IGNORE = _limits.Range(integer=True, optional=True)


class _Reduce(keras.losses.Loss):
    """Keras' weighting, masking and reduction of losses that are there already."""

    def call(self, y_true, y_pred):
        return y_pred


def _saturating_cast(values, dtype):
    """A cast that gives the largest value of `dtype` in place of infinity."""
    if dtype == "float16":
        clipped = ops.clip(values, -65504.0, 65504.0)
        values = values + ops.stop_gradient(clipped - values)
    return ops.cast(values, dtype)
