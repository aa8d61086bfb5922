"""Serving signatures: from tensors, and from encoded images."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tfrobustloss._core.validation import ParameterError

TENSORS, IMAGES = "serving_default", "serving_image_bytes"
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
_CHANNELS = (1, 3, 4)  # what TensorFlow decodes images to


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of named tensors that gives a dict of named tensors.

    Attributes:
        function: Takes the inputs in the order of `specs`.
        specs: `tf.TensorSpec`s with names.
    """

    function: Callable
    specs: list


def from_tensors(model, head):
    """The signature that takes what `model.predict` takes.

    Args:
        model: A functional or sequential model with one output.
        head: Function from the model's outputs to the signature's.
    """
    import tensorflow as tf

    inputs = model.inputs
    names = [each.name for each in inputs] if len(inputs) > 1 else ["inputs"]
    specs = [
        tf.TensorSpec((None, *each.shape[1:]), each.dtype, name)
        for each, name in zip(inputs, names, strict=True)
    ]

    def serve(*tensors):
        given = tensors[0]
        if len(tensors) > 1:
            given = keras.tree.pack_sequence_as(model.input, list(tensors))
        return head(model(given, training=False))

    return Signature(serve, specs)


def from_images(owner, model, head, preprocessing):
    """The signature that takes a batch of encoded images: PNG, JPEG, GIF or BMP.

    Args:
        owner: Name of the function that asks, for errors.
        model: A model with one input of shape `(height, width, channels)`.
        head: Function from the model's outputs to the signature's.
        preprocessing: Function from float32 images in [0, 255] to the model's input,
            or None.

    Raises:
        ValueError: The model takes no images of one size, or `preprocessing` gives
            something else.
    """
    import tensorflow as tf

    shapes = [tuple(each.shape[1:]) for each in model.inputs]
    shape = shapes[0]
    if (
        len(shapes) != 1
        or len(shape) != 3
        or None in shape
        or shape[2] not in _CHANNELS
    ):
        hint = f"The model's inputs have shapes {shapes}, without the batch."
        constraint = "False: images need one input of (height, width, 1, 3 or 4)"
        raise ParameterError(owner, "image_bytes", True, constraint, hint)
    dtype = tf.as_dtype(model.inputs[0].dtype)

    def decode(image):
        image = tf.io.decode_image(image, channels=shape[2], expand_animations=False)
        # decoded images have a rank only once they are there
        image = tf.ensure_shape(image, (None, None, shape[2]))
        image = tf.image.resize(tf.cast(image, tf.float32), shape[:2], antialias=True)
        return tf.ensure_shape(image, shape)

    def prepare(images):
        try:
            prepared = tf.convert_to_tensor(preprocessing(images))
            prepared.shape.assert_is_compatible_with((None, *shape))
        except Exception as error:
            size = ", ".join(map(str, ("batch", *shape)))
            constraint = f"a function of TensorFlow's or Keras' operations to ({size})"
            first = " ".join(str(error).split())[:200]
            raise ParameterError(
                owner, "preprocessing", preprocessing, constraint, first
            ) from None
        return tf.ensure_shape(prepared, (None, *shape))

    def serve(image_bytes):
        spec = tf.TensorSpec(shape, tf.float32)
        images = tf.map_fn(decode, image_bytes, fn_output_signature=spec)
        if preprocessing is not None:
            images = prepare(images)
        if dtype.is_integer and images.dtype.is_floating:
            images = tf.round(images)
        return head(model(tf.cast(images, dtype), training=False))

    return Signature(serve, [tf.TensorSpec((None,), tf.string, "image_bytes")])


def check_preprocessing(owner, preprocessing, shape):
    """Raises if a function of images gives no numbers, or the same for every image.

    Args:
        owner: Name of the function that asks, for errors.
        preprocessing: Function of a float32 batch of images in [0, 255].
        shape: Shape of an image.
    """
    import tensorflow as tf

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, *shape)).astype("float32")
    prepared = keras.ops.convert_to_numpy(preprocessing(tf.constant(images)))
    first, second = prepared.astype("float32")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        hint = "It gives NaN or infinity for random images."
    elif (first == second).all():
        hint = f"It gives {first.flat[0]:g}, ... for every image."
    else:
        return
    constraint = "a function that gives finite numbers that depend on the image"
    raise ParameterError(owner, "preprocessing", preprocessing, constraint, hint)


def probabilities(activation):
    """The function from a model's outputs to a dict of `probabilities`.

    Args:
        activation: Function from outputs to probabilities.
    """
    import tensorflow as tf

    def outputs(values):
        wide = "float64" if values.dtype == tf.float64 else "float32"
        given = tf.convert_to_tensor(activation(tf.cast(values, wide)))
        return {"probabilities": given}

    return outputs


def head(activation, class_names, top_k):
    """The function from a model's outputs to `probabilities`, `classes`, `scores`.

    Args:
        activation: Function from outputs to probabilities.
        class_names: List of text, or None.
        top_k: Number of classes in `classes` and `scores`.
    """
    import tensorflow as tf

    given = probabilities(activation)

    def outputs(values):
        found = given(values)
        scores, classes = tf.math.top_k(found["probabilities"], top_k)
        if class_names is not None:
            classes = tf.gather(tf.constant(class_names), classes)
        return {**found, "classes": classes, "scores": scores}

    return outputs


def label_probabilities(activation, thresholds):
    """The function from a model's outputs to `probabilities` and `on`.

    Args:
        activation: Function from outputs to probabilities.
        thresholds: List of floats, one a label.
    """
    import tensorflow as tf

    given = probabilities(activation)

    def outputs(values):
        found = given(values)
        bounds = tf.constant(thresholds, found["probabilities"].dtype)
        return {**found, "on": found["probabilities"] >= bounds}

    return outputs


def label_head(activation, class_names, top_k, thresholds):
    """The function from outputs to `probabilities`, `on`, `classes` and `scores`.

    Args:
        activation: Function from outputs to probabilities.
        class_names: List of text, or None.
        top_k: Number of places in `classes` and `scores`.
        thresholds: List of floats, one a label.
    """
    import tensorflow as tf

    given = label_probabilities(activation, thresholds)

    def outputs(values):
        found = given(values)
        p, on = found["probabilities"], found["on"]
        order = tf.where(on, p, p - 1)  # those that are on first; 1 is always on
        ranks, classes = tf.math.top_k(order, top_k)
        chosen = tf.gather(on, classes, batch_dims=len(p.shape) - 1)
        if class_names is not None:
            classes = tf.gather(tf.constant(class_names), classes)
        nothing = tf.constant(-1 if class_names is None else "", classes.dtype)
        classes = tf.where(chosen, classes, nothing)
        return {**found, "classes": classes, "scores": tf.where(chosen, ranks, 0)}

    return outputs


def blank(signature, shape):
    """Arrays of one blank example of a signature's inputs.

    Args:
        signature: A `Signature`.
        shape: Shape of the image where the signature takes encoded ones, else None.
    """
    if shape is not None:
        return [np.array([png(np.zeros(shape, "uint8"))], object)]
    arrays = []
    for spec in signature.specs:
        size = [1 if each is None else each for each in spec.shape]
        dtype = spec.dtype.as_numpy_dtype
        text = dtype in (object, np.object_)
        arrays.append(np.full(size, b"", object) if text else np.zeros(size, dtype))
    return arrays


def png(image):
    """A uint8 image of shape `(height, width, channels)` as the bytes of a PNG."""
    import tensorflow as tf

    return tf.io.encode_png(image).numpy()


def check_operations(owner, graph):
    """Raises if a graph calls Python, which no server has.

    Args:
        owner: Name of the function that asks, for errors.
        graph: The `tf.Graph` of a signature.
    """
    found = operations(graph.as_graph_def()) & _PYTHON_OPS
    if found:
        raise ValueError(
            f"{owner}: `model` and `preprocessing` must be free of Python functions "
            f"such as tf.py_function. Received: {sorted(found)}. Write them with "
            "TensorFlow's or Keras' operations."
        )


def operations(graph_def):
    """Set of the names of all operations in a `GraphDef` and its functions."""
    nodes = list(graph_def.node)
    for function in graph_def.library.function:
        nodes += function.node_def
    return {node.op for node in nodes}
