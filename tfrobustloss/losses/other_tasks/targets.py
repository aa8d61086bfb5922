"""Checks of targets that are numbers: shape, range, finiteness."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.shapes import agree
from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.losses.labels import to_float

_SLACK = 1e-3  # what resizing a mask rounds


def as_floats(y_true, y_pred):
    """Both in the type of the prediction, float32 at least."""
    y_pred = to_float(y_pred)
    dtype = keras.backend.standardize_dtype(y_pred.dtype)
    return ops.cast(ops.convert_to_tensor(y_true), dtype), y_pred


def check_shapes(owner, y_true, y_pred, narrowest=1, one_hot=False):
    """Raises unless both have the same shape, with rows wide enough.

    Args:
        owner: Name of the function.
        y_true: Tensor.
        y_pred: Tensor.
        narrowest: Int, the least width of a row.
        one_hot: Whether targets are one-hot, so that class ids get a hint of their own.
    """
    received, expected = tuple(y_true.shape), tuple(y_pred.shape)
    fits = expected and agree(received, expected)
    if not fits or (expected[-1] is not None and expected[-1] < narrowest):
        constraint = f"of the shape of `y_pred`, {expected}, {narrowest} wide or more"
        hint = _axis_hint(received, expected, one_hot)
        raise ParameterError(owner, "y_true", received, constraint, hint)


def _axis_hint(received, expected, one_hot):
    """A hint for targets that lack the last axis, or its width; else an empty text."""
    lacks = expected and agree(received, expected[:-1])
    if lacks and expected[-1] == 1:
        return "Give them the last axis: `y_true[..., None]`."
    column = expected and agree(received, (*expected[:-1], 1))
    if one_hot and (lacks or column):
        ids = "y_true" if lacks else "y_true[..., 0]"
        return f"One-hot encode class ids: `keras.ops.one_hot({ids}, {expected[-1]})`."
    return ""


def shares(owner, y_true, hint=""):
    """Targets in [0, 1]. Others are refused where they can be seen.

    In a compiled program they are clipped, and one that is NaN is 0.
    """
    seen = visible(y_true)
    if seen is not None:
        _refuse(
            owner, "in [0, 1]", seen, (seen >= -_SLACK) & (seen <= 1 + _SLACK), hint
        )
    return ops.where(ops.isnan(y_true), 0, ops.clip(y_true, 0, 1))


def numbers(owner, y_true):
    """Finite targets. Others are refused where they can be seen, and 0 elsewhere."""
    seen = visible(y_true)
    if seen is not None:
        hint = "Drop these examples, or give them a sample weight of 0 and any number."
        _refuse(owner, "finite", seen, np.isfinite(seen), hint)
    return ops.where(ops.isfinite(y_true), y_true, 0)


def _refuse(owner, constraint, values, sound, hint):
    if not sound.all():
        bad = values[~sound].ravel()[:5].tolist()
        error = ParameterError(owner, "y_true", bad, constraint, hint)
        error.refused = ~sound
        raise error


def mean_per_example(values):
    """Mean over all axes but the first; not `ops.mean`, which may round float64."""
    axes = tuple(range(1, len(values.shape)))
    count = ops.sum(ops.ones_like(values[:1]))
    return ops.sum(values, axis=axes) / count if axes else values
