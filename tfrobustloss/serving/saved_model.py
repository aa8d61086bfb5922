"""`export`: writes a trained model as a SavedModel for TF Serving."""

import keras
import numpy as np

from tfrobustloss._core import models
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)
from tfrobustloss.serving import _activation, _signatures, _versions, _warmup

_OWNER = "export"
_MOST = 5  # classes in `classes` and `scores` by default, and names in an error
_THRESHOLD = 0.5
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
    thresholds=None,
):
    """Writes a trained model as a SavedModel for TF Serving.

    The folder needs neither this package nor Keras to be loaded: it holds plain
    TensorFlow operations. Layers that act in training only, such as dropout, are gone.
    The signature `serving_default` takes `inputs`, what `model.predict` takes (a model
    with several inputs: their names). All signatures give

    - `probabilities`, shape `(batch, classes)`, float32;
    - `classes`, shape `(batch, top_k)`: the names of the likeliest classes, likeliest
      first, or their ids where there are no names;
    - `scores`, shape `(batch, top_k)`: their probabilities.

    A model that ends in logits gets its softmax, tempered softmax or sigmoid here, as
    its compiled loss says. A model with one sigmoid unit, whose output p is the
    probability of the second of two classes, gives two columns, `[1 - p, p]`.

    A model of many labels at once, compiled with `losses.MultiLabel` or another loss
    of its kind, or any model with `thresholds`, has a sigmoid and a threshold a class
    in place of that. All signatures then give

    - `probabilities`, shape `(batch, classes)`, float32;
    - `on`, shape `(batch, classes)`, bool: probabilities of at least the threshold;
    - `classes`, shape `(batch, top_k)`: the names of the classes that are on, likeliest
      first, then empty texts; or ids, then -1;
    - `scores`, shape `(batch, top_k)`: their probabilities, then 0.

    Args:
        model: A built `keras.Model` with one output on Keras' TensorFlow backend. A
            subclassed model must have been called on data: its `inputs` have the
            shape of that call, float32. Of a model that `data.augment.attach` returned,
            the model inside is exported: whatever `model.exported_model()` returns.
        path: Folder of versions, such as `models/digits`; made where it is missing.
        class_names: List of text, one a class (two for one sigmoid unit), or None.
        preprocessing: For `image_bytes`: function of TensorFlow's or Keras' operations,
            or a layer, from a float32 batch of images in [0, 255], of the model's size,
            to the model's input. None for a model that scales its images itself.
        image_bytes: Whether to add the signature `serving_image_bytes`, which takes
            `image_bytes`, a batch of PNG, JPEG, GIF or BMP files; each is decoded and
            resized to the model's input, whose shape is `(height, width, channels)`.
        top_k: Int in [1, classes], or None for 5, or all where they are fewer; of many
            labels, for all.
        warmup: What TF Serving runs while it loads the version. None: one blank example
            a signature. Examples: those for `serving_default`. A dict of signatures'
            names to examples: exactly these, at most 1000; `{}` for none.
        version: Int >= 1 that is not there yet, or None for the next free number.
        activation: `"softmax"`, `"sigmoid"` or `"linear"` (outputs stay as they are),
            or None to read it off the compiled loss.
        temperature: Float in (0, 5]: temperature of a tempered softmax on the outputs,
            or None.
        thresholds: Of many labels: a number in [0, 1], or a list of them, one a class.
            None for 0.5 where the loss is one of many labels.

    Returns:
        Path of the version, `path/1` at first.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: The model cannot be exported, `preprocessing` gives no finite
            numbers or the same for every image, the version exists, or `path` cannot
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
    model, loss = network(_OWNER, model)
    check_flag(_OWNER, "image_bytes", image_bytes)
    thresholds = label_thresholds(_OWNER, model, loss, thresholds)
    several = thresholds is not None
    num_classes = len(thresholds) if several else _activation.num_classes(model)
    names = _check_names(class_names, num_classes)
    top_k = _check_top_k(top_k, num_classes, num_classes if several else _MOST)
    if preprocessing is not None and not image_bytes:
        hint = "It prepares decoded images; add image_bytes=True."
        raise ParameterError(_OWNER, "preprocessing", preprocessing, "None", hint)
    if preprocessing is not None and not callable(preprocessing):
        constraint = "a function, a layer or None"
        hint = "To multiply images by a number: keras.layers.Rescaling(1 / 255)."
        raise ParameterTypeError(
            _OWNER, "preprocessing", preprocessing, constraint, hint
        )
    function, text = _activation.find(
        _OWNER, model, activation, temperature, loss, several
    )
    if several:
        head = _signatures.label_head(function, names, top_k, thresholds)
    else:
        head = _signatures.head(function, names, top_k)
    signatures = {_signatures.TENSORS: _signatures.from_tensors(model, head)}
    if image_bytes:
        images = _signatures.from_images(_OWNER, model, head, preprocessing)
        signatures[_signatures.IMAGES] = images
    requests = _requests(model, signatures, warmup)
    archive, functions = trace(_OWNER, model, signatures)
    if text == "linear":
        check_probabilities(_OWNER, model, activation, signatures, functions)
    if preprocessing is not None:
        shape = model.inputs[0].shape[1:]
        _signatures.check_preprocessing(_OWNER, preprocessing, shape)
    _answer(functions, requests)

    def write(target):
        archive.write_out(target, verbose=False)
        _warmup.write(target, requests)

    return _versions.publish(_OWNER, folder, version, write)


def label_thresholds(owner, model, loss, thresholds):
    """A threshold a class of a model of many labels at once.

    Args:
        owner: Name of the function that asks, for errors.
        model: The model.
        loss: The loss it was compiled with, or None.
        thresholds: A number, a list of numbers, or None.

    Returns:
        List of floats, or None for a model of classes of which one is right.

    Raises:
        TypeError: They are no numbers.
        ValueError: One is outside [0, 1], or there is not one a class.
    """
    if thresholds is None:
        if not _activation.has_several_labels(model, loss):
            return None
        thresholds = _THRESHOLD
    width, limits = model.outputs[0].shape[-1], {"thresholds": Range(0, 1)}
    if isinstance(thresholds, np.ndarray):
        thresholds = thresholds.tolist()
    if not isinstance(thresholds, list | tuple):
        check(owner, limits, thresholds=thresholds)
        return [float(thresholds)] * width
    for each in thresholds:
        check(owner, limits, thresholds=each)
    if len(thresholds) != width:
        constraint = f"a number, or {width}, one for each class of the model"
        hint = f"These are {len(thresholds)}."
        raise ParameterError(owner, "thresholds", thresholds, constraint, hint)
    return [float(each) for each in thresholds]


def network(owner, model):
    """The functional model to export, and the loss it was compiled with.

    A model that only adds to the training of another one, such as augmentation, has a
    method `exported_model()` that returns that other one. It may be wrapped again.

    Args:
        owner: Name of the function that asks, for errors.
        model: Any value.

    Returns:
        `(model, loss)`; the loss is that of the outermost compiled model, or None.

    Raises:
        TypeError: It is no `keras.Model`.
        ValueError: It is not built, has several outputs or another backend.
    """
    loss = getattr(model, "loss", None)
    while callable(getattr(type(model), "exported_model", None)):
        model = model.exported_model()
        loss = getattr(model, "loss", None) if loss is None else loss
    return _check_model(owner, model), loss


def _check_model(owner, model):
    """The model as a functional one, if it can be exported."""
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
        model = _functional(owner, model)
    shapes = [tuple(output.shape) for output in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) < 2 or shapes[0][-1] is None:
        hint = f"Its outputs have shapes {shapes}."
        constraint = "a model with one output of shape (batch, ..., classes)"
        raise ParameterError(owner, "model", model.name, constraint, hint)
    return model


def _functional(owner, model):
    """A functional model around a subclassed one, for inputs like its first ones."""
    reason = "It was not called on data of one argument."
    inputs = models.symbolic_inputs(model)
    if inputs is not None:
        try:
            return keras.Model(inputs, model(inputs, training=False), name=model.name)
        except Exception as error:  # user's code
            reason = " ".join(str(error).split())[:200]
    hint = f"Wrap it: x = keras.Input(shape); keras.Model(x, model(x)). {reason}"
    constraint = "functional or sequential, or a subclassed model that was called"
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
        constraint = f"{num_classes} names, one for each class of the model"
        hint = f"These are {len(names)}."
        shown = names if len(names) <= _MOST else [*names[:_MOST], "..."]
        raise ParameterError(_OWNER, "class_names", shown, constraint, hint)
    return names


def _check_top_k(top_k, num_classes, most):
    limits = {"top_k": Range(1, num_classes, integer=True, optional=True)}
    check(_OWNER, limits, top_k=top_k)
    return min(most, num_classes) if top_k is None else int(top_k)


def _requests(model, signatures, warmup):
    def blank(name):
        shape = None
        if name == _signatures.IMAGES:
            shape = tuple(model.inputs[0].shape[1:])
        return _signatures.blank(signatures[name], shape)

    specs = {name: each.specs for name, each in signatures.items()}
    return _warmup.requests(_OWNER, warmup, specs, blank)


def trace(owner, model, signatures):
    """Traces the signatures of a model.

    Args:
        owner: Name of the function that asks, for errors.
        model: A functional or sequential model.
        signatures: Dict of names to `Signature`s.

    Returns:
        `(keras.export.ExportArchive, dict of names to concrete functions)`.
    """
    archive, functions = keras.export.ExportArchive(), {}
    for layer in _layers(model):
        if isinstance(layer, _TABLES):  # variables are found by themselves, tables not
            archive.track(layer)
    for name, each in signatures.items():
        traced = archive.add_endpoint(name, each.function, each.specs)
        functions[name] = concrete = traced.get_concrete_function()
        _signatures.check_operations(owner, concrete.graph)
    return archive, functions


def _layers(model):
    for layer in model.layers:
        yield layer
        if getattr(layer, "layers", None):
            yield from _layers(layer)


def check_probabilities(owner, model, activation, signatures, functions):
    """Raises if random inputs give outputs outside [0, 1].

    Args:
        owner: Name of the function that asks, for errors.
        model: The model.
        activation: The user's choice, or None. With "linear", several outputs may be
            any numbers; a single one becomes two probabilities and must be one.
        signatures: Dict of names to `Signature`s.
        functions: Dict of names to their compiled functions.
    """
    if activation is not None and model.outputs[0].shape[-1] != 1:
        return
    random, inputs = np.random.default_rng(0), {}
    for spec in signatures[_signatures.TENSORS].specs:
        size = [4 if each is None else each for each in spec.shape]
        if not spec.dtype.is_floating:  # ids or text: nobody knows which are allowed
            return
        inputs[spec.name] = random.random(size).astype(spec.dtype.name)
    for scale in (1, 100):  # logits may be small where inputs are
        scaled = {name: _tensor(value * scale) for name, value in inputs.items()}
        outputs = functions[_signatures.TENSORS](**scaled)["probabilities"].numpy()
        if scale > 1:
            outputs = np.nan_to_num(outputs)  # of inputs that the model may not expect
        error = _activation.refusal(owner, outputs)
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
