"""`export`: a trained model as a version for TF Serving."""

import keras
import numpy as np

from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)
from tfrobustloss.serving import _activation, _signatures, _versions, _warmup

_OWNER = "export"
_TEXT_LIMIT = 5  # classes in `classes` and `scores` where nobody says how many
_TABLES = (
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)


def export(
    model,
    path,
    *,
    class_names=None,
    preprocessing=None,
    image_bytes=False,
    top_k=None,
    warmup=None,
    version=None,
    activation=None,
    temperature=None,
):
    """Writes a trained model as a SavedModel that TF Serving takes as it is.

    The folder needs neither this package nor Keras to be loaded: it holds plain
    TensorFlow operations. Layers that act in training only, such as dropout, are gone.
    The signature `serving_default` takes `inputs`, what `model.predict` takes (a model
    with several inputs: their names). All signatures give

    - `probabilities`, shape `(batch, classes)`, float32;
    - `classes`, shape `(batch, top_k)`: the names of the likeliest classes, likeliest
      first, or their ids where there are no names;
    - `scores`, shape `(batch, top_k)`: their probabilities.

    A model that ends in logits gets its softmax, tempered softmax or sigmoid here, as
    its compiled loss says.

    Args:
        model: A built `keras.Model` with one output, functional or sequential, on
            Keras' TensorFlow backend; or what `data.augment.attach` made of one.
        path: Folder of versions, such as `models/digits`; made where it is missing.
        class_names: List of text, one a class, or None.
        preprocessing: For `image_bytes`: function of TensorFlow's or Keras' operations,
            or a layer, from a float32 batch of images in [0, 255], of the model's size,
            to the model's input. None for a model that scales its images itself.
        image_bytes: Whether to add the signature `serving_image_bytes`, which takes
            `image_bytes`, a batch of PNG, JPEG, GIF or BMP files; each is decoded and
            resized to the model's input, whose shape is `(height, width, channels)`.
        top_k: Int in [1, classes], or None for 5, or all where they are fewer.
        warmup: What TF Serving runs while it loads the version. None: one blank example
            a signature. Examples: those for `serving_default`. A dict of signatures'
            names to examples: exactly these, at most 1000; `{}` for none.
        version: Int >= 1 that is not there yet, or None for the next free number.
        activation: `"softmax"`, `"sigmoid"` or `"linear"` (outputs stay as they are),
            or None to read it off the compiled loss.
        temperature: Float in (0, 5]: temperature of a tempered softmax on the outputs,
            or None.

    Returns:
        Path of the version, `path/1` at first.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: The model cannot be exported so, the version exists or `path` cannot
            be written. Nothing is left behind then.

    Example:
        >>> import os, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> names = ["ant", "bee", "fly"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     version = export(model, folder, class_names=names, temperature=1.2)
        ...     os.path.relpath(version, folder), sorted(os.listdir(version))[:2]
        ('1', ['assets', 'assets.extra'])
    """
    folder = _versions.check(_OWNER, path, version)
    loss, model = getattr(model, "loss", None), inside(model)
    check_model(_OWNER, model)
    check_flag(_OWNER, "image_bytes", image_bytes)
    num_classes = model.outputs[0].shape[-1]
    names = _check_names(class_names, num_classes)
    top_k = _check_top_k(top_k, num_classes)
    if preprocessing is not None and not image_bytes:
        hint = "It prepares decoded images; add image_bytes=True."
        raise ParameterError(_OWNER, "preprocessing", preprocessing, "None", hint)
    if preprocessing is not None and not callable(preprocessing):
        constraint = "a function, a layer or None"
        raise ParameterTypeError(_OWNER, "preprocessing", preprocessing, constraint)
    function, told = _activation.find(_OWNER, model, activation, temperature, loss)
    head = _signatures.head(function, names, top_k)
    signatures = {_signatures.TENSORS: _signatures.from_tensors(model, head)}
    if image_bytes:
        images = _signatures.from_images(_OWNER, model, head, preprocessing)
        signatures[_signatures.IMAGES] = images
    requests = _requests(model, signatures, warmup)
    archive, functions = _trace(model, signatures)
    if told == "linear" and activation is None:
        _check_probabilities(signatures, functions)
    _answer(functions, requests)

    def write(target):
        archive.write_out(target, verbose=False)
        _warmup.write(target, requests)

    return _versions.publish(_OWNER, folder, version, write)


def inside(model):
    """The network in a model that only adds to its training, such as augmentation."""
    network = getattr(model, "model", None)
    return network if isinstance(network, keras.Model) else model


def check_model(owner, model):
    """Raises unless a model can be exported.

    Args:
        owner: Name of the function that asks, for errors.
        model: Any value.

    Raises:
        TypeError: It is no `keras.Model`.
        ValueError: It is not built, has several outputs or another backend.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"{owner}: the backend must be tensorflow. Received: backend={backend!r}. "
            "Save the model as .keras and export it with KERAS_BACKEND=tensorflow."
        )
    if not isinstance(model, keras.Model):
        raise ParameterTypeError(owner, "model", model, "a keras.Model")
    if not model.built:
        hint = "Give it a keras.Input, call it on data or fit it."
        raise ParameterError(owner, "model", model.name, "built", hint)
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        hint = "Wrap it: x = keras.Input(shape); keras.Model(x, model(x))."
        constraint = "functional or sequential"
        raise ParameterError(owner, "model", model.name, constraint, hint)
    shapes = [tuple(output.shape) for output in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) < 2 or shapes[0][-1] is None:
        hint = f"Its outputs have shapes {shapes}."
        constraint = "a model with one output of shape (batch, ..., classes)"
        raise ParameterError(owner, "model", model.name, constraint, hint)


def _check_names(class_names, num_classes):
    if class_names is None:
        return None
    ordered = isinstance(class_names, list | tuple | np.ndarray)
    if not ordered or not all(isinstance(name, str) for name in class_names):
        constraint = "a list of text, in the order of the model's outputs"
        raise ParameterTypeError(_OWNER, "class_names", class_names, constraint)
    names = [str(name) for name in class_names]  # numpy's are a class of their own
    if len(names) != num_classes:
        constraint = f"{num_classes} names, one for each output of the model"
        hint = f"These are {len(names)}."
        shown = names if len(names) <= _TEXT_LIMIT else [*names[:_TEXT_LIMIT], "..."]
        raise ParameterError(_OWNER, "class_names", shown, constraint, hint)
    return names


def _check_top_k(top_k, num_classes):
    limits = {"top_k": Range(1, num_classes, integer=True, optional=True)}
    check(_OWNER, limits, top_k=top_k)
    return min(_TEXT_LIMIT, num_classes) if top_k is None else int(top_k)


def _requests(model, signatures, warmup):
    def blank(name):
        shape = None
        if name == _signatures.IMAGES:
            shape = tuple(model.inputs[0].shape[1:])
        return _signatures.blank(signatures[name], shape)

    specs = {name: each.specs for name, each in signatures.items()}
    return _warmup.requests(_OWNER, warmup, specs, blank)


def _trace(model, signatures):
    """Keras' archive with the signatures, and their compiled functions by name."""
    archive, functions = keras.export.ExportArchive(), {}
    for layer in _layers(model):
        if isinstance(layer, _TABLES):  # variables are found by themselves, tables not
            archive.track(layer)
    for name, each in signatures.items():
        traced = archive.add_endpoint(name, each.function, each.specs)
        functions[name] = concrete = traced.get_concrete_function()
        _signatures.check_operations(_OWNER, concrete.graph)
    return archive, functions


def _layers(model):
    for layer in model.layers:
        yield layer
        if getattr(layer, "layers", None):
            yield from _layers(layer)


def _check_probabilities(signatures, functions):
    """Raises if random inputs give outputs that are no probabilities."""
    random, inputs = np.random.default_rng(0), {}
    for spec in signatures[_signatures.TENSORS].specs:
        size = [4 if each is None else each for each in spec.shape]
        if not spec.dtype.is_floating:  # ids or text: nobody knows which are allowed
            return
        inputs[spec.name] = _tensor(random.random(size).astype(spec.dtype.name))
    outputs = functions[_signatures.TENSORS](**inputs)
    error = _activation.refusal(_OWNER, outputs["probabilities"].numpy())
    if error is not None:
        raise error


def _answer(functions, requests):
    """Raises for a request that fails: it would keep a server from loading."""
    import tensorflow as tf

    for name, inputs in requests:
        try:
            functions[name](**{key: _tensor(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:
            constraint = "examples that the model can answer"
            hint = " ".join(error.message.split())[:200]
            raise ParameterError(
                _OWNER, "warmup", f"one for {name}", constraint, hint
            ) from None


def _tensor(value):
    import tensorflow as tf

    return tf.constant(value)
