"""What differs from one Keras backend to the next, and nothing else.

The frameworks are imported inside the functions, so only the one in use is loaded.
"""

import contextlib
from unittest import mock

import keras
from keras import ops


def with_gradient(function):
    """`function` made to return `(value, gradients)`, one gradient per argument.

    The gradients are those of the sum of the value; an argument that has no influence
    gets zeros. The result can be handed to `compiled`.
    """
    return {
        "tensorflow": _tensorflow_gradient,
        "jax": _jax_gradient,
        "torch": _torch_gradient,
    }[keras.backend.backend()](function)


def value_and_gradient(function, *tensors):
    """Value of `function(*tensors)` and the gradients of its sum, as numpy arrays.

    Args:
        function: Takes the tensors, returns a tensor of any shape.
        *tensors: Float arrays or tensors.

    Returns:
        `(value, gradients)`: an array and a list of one array per argument.
    """
    tensors = [
        ops.convert_to_tensor(x, keras.backend.standardize_dtype(x.dtype))
        for x in tensors
    ]
    value, gradients = with_gradient(function)(*tensors)
    return ops.convert_to_numpy(value), [ops.convert_to_numpy(g) for g in gradients]


def compiled(function, xla=False):
    """`function` as a compiled program: `tf.function` or `jax.jit`; itself on torch.

    Args:
        function: Takes and returns tensors, or lists of them.
        xla: Whether TensorFlow compiles with XLA, which JAX always does.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True if xla else None)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def double_precision():
    """A context in which float64 is float64, which JAX must be asked for."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


@contextlib.contextmanager
def graphs_built():
    """Gives a list that grows with every graph that TensorFlow builds inside.

    It stays empty on the other backends.
    """
    built = []
    if keras.backend.backend() != "tensorflow":
        yield built
        return
    import tensorflow as tf

    build = tf.Graph.__init__

    def build_and_count(graph, *args, **kwargs):
        built.append(type(graph).__name__)
        return build(graph, *args, **kwargs)

    with mock.patch.object(tf.Graph, "__init__", build_and_count):
        yield built


def _tensorflow_gradient(function):
    import tensorflow as tf

    def value_and_gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        zero = tf.UnconnectedGradients.ZERO
        return value, tape.gradient(value, list(tensors), unconnected_gradients=zero)

    return value_and_gradients


def _jax_gradient(function):
    import jax

    def value_and_gradients(*tensors):
        value, backward = jax.vjp(function, *tensors)
        return value, list(backward(ops.ones_like(value)))

    return value_and_gradients


def _torch_gradient(function):
    import torch

    def value_and_gradients(*tensors):
        tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        value = function(*tensors)
        if not value.requires_grad:
            return value, [torch.zeros_like(tensor) for tensor in tensors]
        total = value.sum()
        gradients = torch.autograd.grad(total, tensors, materialize_grads=True)
        return value.detach(), list(gradients)

    return value_and_gradients
