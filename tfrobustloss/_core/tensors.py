"""Concrete values of variables and tensors, their copies, and custom gradients."""

import copy

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


def shallow_copy(value):
    """A copy of an object with the same attributes, variables included."""
    copied = object.__new__(type(value))
    vars(copied).update(vars(value))
    return copied


def deep_copy(value, memo):
    """A deep copy of an object whose variables are those of the original.

    A variable belongs to whoever made it: a loss and a callback have to share it, and
    tuners copy callbacks for each trial.

    Args:
        value: Object with a `__dict__`; its `__deepcopy__` calls this.
        memo: Dict of `copy.deepcopy`.
    """
    copied = object.__new__(type(value))
    memo[id(value)] = copied
    for name, part in vars(value).items():
        shared = is_variable(part) and not isinstance(part, keras.losses.Loss)
        vars(copied)[name] = part if shared else copy.deepcopy(part, memo)
    return copied


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
