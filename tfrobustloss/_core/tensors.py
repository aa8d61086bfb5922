"""Concrete values of variables and tensors, their copies, and custom gradients."""

import contextlib
import contextvars
import copy

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.backend import with_closed_tangent

_HIDDEN = contextvars.ContextVar("hidden", default=False)


def is_variable(parameter):
    """True for `keras.Variable`s and tensors."""
    return hasattr(parameter, "dtype") and not isinstance(
        parameter, np.ndarray | np.generic
    )


def _to_numpy(values):
    if isinstance(values, keras.Variable):  # numpy would warn about its conversion
        values = values.value
    return np.asarray(keras.ops.convert_to_numpy(values))


@contextlib.contextmanager
def hidden_values():
    """A context in which no value is `visible`, for values that are placeholders."""
    before = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(before)


def visible(values):
    """Concrete values as a NumPy array, or None while tracing."""
    if _HIDDEN.get():
        return None
    try:
        return _to_numpy(values)
    except Exception:  # each backend raises its own error for a tracer
        return None


def current_value(parameter):
    """The current value of a parameter as plain Python numbers and lists."""
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
    """`function(logits, *constants)` with its derivative in closed form.

    The derivative serves reverse mode on every backend, and forward mode on JAX, whose
    `custom_vjp` would refuse it.

    Args:
        function: Gives its result and two linear functions, each other's transpose:
            `gradient(upstream)`, the gradient with respect to `logits`, and
            `change(direction)`, the result's change along a direction of `logits`.
        logits: Tensor.
        *constants: Tensors or plain values; they get no gradient.

    Returns:
        The result of `function`.
    """
    places = [i for i, constant in enumerate(constants) if is_variable(constant)]
    tensors = [ops.stop_gradient(ops.convert_to_tensor(constants[i])) for i in places]

    def call(logits, *tensors):
        values = list(constants)
        for i, tensor in zip(places, tensors, strict=True):
            values[i] = tensor
        return function(logits, *values)

    if keras.backend.is_keras_tensor(logits):  # for which no custom gradient exists
        result, _, change = call(ops.stop_gradient(logits), *tensors)
        return result + change(logits - ops.stop_gradient(logits))
    if keras.backend.backend() == "jax":
        return with_closed_tangent(call, logits, *tensors)

    @ops.custom_gradient
    def wrapped(logits, *tensors):
        result, gradient, _ = call(logits, *tensors)

        def backward(*args, upstream=None):
            first = gradient(args[0] if upstream is None else upstream)
            others = tuple(ops.zeros_like(tensor) for tensor in tensors)
            return (first, *others) if others else first

        return result, backward

    return wrapped(logits, *tensors)
