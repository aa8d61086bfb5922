"""Targets that are numbers: made to fit the prediction, or refused."""

import keras
from keras import ops

from tfrobustloss import _limits
from tfrobustloss.losses._decoding import to_float


def as_floats(y_true, y_pred):
    """Both in the type of the prediction, float32 at least."""
    y_pred = to_float(y_pred)
    dtype = keras.backend.standardize_dtype(y_pred.dtype)
    return ops.cast(ops.convert_to_tensor(y_true), dtype), y_pred


def check_shapes(owner, y_true, y_pred, narrowest=1):
    """Raises unless both have the same shape, with rows wide enough."""
    received, expected = tuple(y_true.shape), tuple(y_pred.shape)
    fits = len(received) == len(expected) > 0 and all(
        None in (a, b) or a == b for a, b in zip(received, expected, strict=True)
    )
    if not fits or expected[-1] < narrowest:
        constraint = f"of the shape of `y_pred`, {expected}, {narrowest} wide or more"
        raise ValueError(_limits.error(owner, "y_true", constraint, received))


def mean_per_example(values):
    """Mean over all axes but the first; not `ops.mean`, which may round float64."""
    axes = tuple(range(1, len(values.shape)))
    count = ops.sum(ops.ones_like(values[:1]))
    return ops.sum(values, axis=axes) / count if axes else values
