"""Differences between Keras' backends; each framework is imported where needed."""

import contextlib
import sys

import keras
from keras import ops

# Keras has no public names for the mask that layers attach to their outputs, nor for
# the shape and type of a function's result.
from keras.src.backend import compute_output_spec, get_keras_mask, set_keras_mask

__all__ = [
    "compiled",
    "compute_output_spec",
    "devices",
    "double_precision",
    "get_keras_mask",
    "graphs_built",
    "set_keras_mask",
    "slope",
    "value_and_gradient",
    "widened",
    "with_closed_tangent",
    "with_gradient",
]


def value_and_gradient(function, *tensors):
    """Value of `function(*tensors)` and the gradients of its sum, as numpy arrays.

    Args:
        function: Takes tensors and returns one tensor of any shape.
        *tensors: Float arrays or tensors.

    Returns:
        `(value, gradients)`: an array and a list of one array per argument, zeros for
        an argument without influence.
    """
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in tensors]
    tensors = map(ops.convert_to_tensor, tensors, dtypes)
    value, gradients = with_gradient(function)(*tensors)
    return ops.convert_to_numpy(value), [ops.convert_to_numpy(g) for g in gradients]


def with_gradient(function):
    """Function of tensors to its value and gradients, which `compiled` accepts."""

    def tensorflow(*tensors):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        none = tf.UnconnectedGradients.ZERO
        return value, tape.gradient(value, list(tensors), unconnected_gradients=none)

    def jax(*tensors):
        import jax

        value, backward = jax.vjp(function, *tensors)
        return value, list(backward(ops.ones_like(value)))

    def torch(*tensors):
        import torch

        tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        value = function(*tensors)
        if not value.requires_grad:
            return value, [torch.zeros_like(tensor) for tensor in tensors]
        total = value.sum()
        gradients = torch.autograd.grad(total, tensors, materialize_grads=True)
        return value.detach(), list(gradients)

    known = {"tensorflow": tensorflow, "jax": jax, "torch": torch}
    return known[keras.backend.backend()]


def slope(function, x):
    """Gradient of the sum of `function(x)` in `x`, itself differentiable.

    Unlike `with_gradient` it can be part of a loss: gradients flow through the result
    to everything that `function` depends on.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(
            value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda x: ops.sum(function(x)))(x)
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_()
        total = function(x).sum()
        if not total.requires_grad:
            return torch.zeros_like(x)
        (gradient,) = torch.autograd.grad(
            total, x, create_graph=True, materialize_grads=True
        )
    return gradient


def with_closed_tangent(function, logits, *constants):
    """`function(logits, *constants)[0]` on JAX, with its tangent in closed form.

    Args:
        function: Gives its result, anything, and the linear function from the tangent
            of `logits` to that of the result. JAX transposes it for reverse mode.
        logits: Array.
        *constants: Arrays; they get no gradient.
    """
    import jax

    @jax.custom_jvp
    def value(logits, *constants):
        return function(logits, *constants)[0]

    @value.defjvp
    def tangent(primals, tangents):
        result, _, change = function(*primals)
        return result, change(tangents[0])

    return value(logits, *constants)


def widened(values, dtype):
    """Float16 `values` in a wider `dtype`, with a gradient that stays finite.

    A gradient beyond float16's range, for example 1e7 where a probability is 0, is
    clipped to its largest number instead of overflowing to infinity.
    """

    def clipped(upstream):
        return ops.clip(upstream, -65504.0, 65504.0)

    if keras.backend.backend() == "jax":
        import jax

        # the identity as a linear system: the one linear function of JAX that may name
        # its transpose and still serves forward mode and `vmap`
        return jax.lax.custom_linear_solve(
            lambda x: x,
            ops.cast(values, dtype),
            solve=lambda _, x: x,
            transpose_solve=lambda _, upstream: clipped(upstream),
        )

    @ops.custom_gradient
    def cast(values):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.cast(clipped(upstream), "float16")

        return ops.cast(values, dtype), gradient

    return cast(values)


def compiled(function, xla=False):
    """`function` as `tf.function` (with XLA) or `jax.jit`; itself on torch.

    Without AutoGraph, as Keras traces its training step: three times faster. Given a
    compiled function, XLA takes its graph and traces nothing.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True if xla else None, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def double_precision():
    """A context in which JAX does not turn float64 into float32."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


@contextlib.contextmanager
def graphs_built():
    """Lists the graphs that this thread builds inside the context; TensorFlow only."""
    built = []
    if keras.backend.backend() != "tensorflow":
        yield built
        return
    import tensorflow as tf

    constructor = tf.Graph.__init__.__code__

    def watch(frame, event, argument):
        if event == "call" and frame.f_code is constructor:
            built.append(frame.f_locals["self"])

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield built
    finally:
        sys.setprofile(before)


def devices():
    """Names of the devices that the backend computes on."""
    if keras.backend.backend() != "torch":
        return keras.distribution.list_devices()
    import torch  # Keras' distribution does not list its devices

    count = torch.cuda.device_count()
    return [torch.cuda.get_device_name(i) for i in range(count)] or ["cpu:0"]
