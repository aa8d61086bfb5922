"""Differences between Keras' backends; each framework is imported where needed."""

import contextlib
import itertools
import sys

import keras
from keras import ops

# Keras has no public names for the mask that layers attach to their outputs, nor for
# the shape and type of a function's result, and whether it is computing them.
from keras.src.backend import (
    compute_output_spec,
    get_keras_mask,
    in_symbolic_scope,
    set_keras_mask,
)

# Nor do callbacks get the data on which `fit` validates, or one iterator for all kinds.
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter
from keras.src.trainers.epoch_iterator import EpochIterator

__all__ = [
    "compiled",
    "compute_output_spec",
    "devices",
    "double_precision",
    "get_keras_mask",
    "graphs_built",
    "in_symbolic_scope",
    "set_keras_mask",
    "slope",
    "sync_state",
    "validation_batches",
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


def sync_state(model):
    """Brings a model's variables up to date for a callback in the midst of an epoch.

    Keras' training loop on JAX holds their values apart from the variables until the
    epoch's end; it takes up what a callback then assigns.
    """
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def validation_batches(model, data=None):
    """Batches on which `fit` has just validated a model, or of other data.

    Args:
        model: `keras.Model` in an epoch's end of `fit`.
        data: What `fit` takes as `validation_data`, or None for what it was given.

    Returns:
        Iterator of batches, each a NumPy array or a tuple of inputs, labels and sample
        weights; None if `fit` does not validate.

    Raises:
        TypeError: The data is a Python generator, of which a second pass would take
            the batches of the next epochs.
    """
    if data is None:
        batches = getattr(model, "_eval_epoch_iterator", None)
    else:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        size = 256 if y is not None else None
        batches = EpochIterator(x=x, y=y, sample_weight=weights, batch_size=size)
    if batches is None:
        return None
    adapter, steps = batches.data_adapter, batches.num_batches
    if isinstance(adapter, GeneratorDataAdapter):
        raise TypeError("a Python generator has one pass")

    def passed():
        adapter.on_epoch_begin()
        yield from itertools.islice(adapter.get_numpy_iterator(), steps)
        adapter.on_epoch_end()

    return passed()
