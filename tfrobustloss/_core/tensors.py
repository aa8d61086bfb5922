"""Concrete values of variables and tensors, and custom gradients."""

import keras
import numpy as np
from keras import ops


def is_variable(parameter):
    """Whether a parameter's value may change under a compiled program."""
    return hasattr(parameter, "dtype") and not isinstance(
        parameter, np.ndarray | np.generic
    )


def _to_numpy(values):
    if isinstance(values, keras.Variable):  # numpy would warn about its conversion
        values = values.value
    return np.asarray(keras.ops.convert_to_numpy(values))


def visible(values):
    """`values` as an array, or None where a compiled program hides them."""
    try:
        return _to_numpy(values)
    except Exception:  # each backend raises its own error for a value not yet there
        return None


def current_value(parameter):
    """The plain Python form of a parameter that may be a variable or an array."""
    if is_variable(parameter):
        parameter = _to_numpy(parameter)
    if isinstance(parameter, np.ndarray | np.generic):
        return parameter.tolist()
    return parameter


def with_closed_gradient(function, logits, *constants):
    """`function(logits, *constants)` with the gradient that it returns beside it.

    `function` gives its result and `gradient(upstream)`, the gradient with respect to
    `logits`. Constants may be tensors or plain values; they get no gradient.
    """
    tensors = [c for c in constants if is_variable(c)]

    @ops.custom_gradient
    def wrapped(logits, *tensors):
        rest = iter(tensors)
        values = [next(rest) if is_variable(c) else c for c in constants]
        result, gradient = function(logits, *values)

        def backward(*args, upstream=None):
            first = gradient(args[0] if upstream is None else upstream)
            others = tuple(ops.zeros_like(tensor) for tensor in tensors)
            return (first, *others) if others else first

        return result, backward

    return wrapped(logits, *[ops.stop_gradient(_tensor(c)) for c in tensors])


def _tensor(value):
    return ops.convert_to_tensor(value)
