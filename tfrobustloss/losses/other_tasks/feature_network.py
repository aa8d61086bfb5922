"""A frozen float32 copy of a network up to the layers that a loss reads."""

import base64
import contextlib
import hashlib
import os
import pathlib

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
_KEYS = {"architecture", "weights", "sha256", "content_layers", "style_layers"}
_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")
_VGG16_MEAN = (103.939, 116.779, 123.68)  # of ImageNet's blue, green and red


class FeatureNetwork:
    """Images to the feature maps of some layers of a network.

    Args:
        source: A `keras.Model`, a path, `"vgg16"`, or what `config` gave.
        content_layers: Names of layers.
        style_layers: Names of layers.

    Raises:
        TypeError: `source` is of another kind.
        ValueError: A layer or a file is not there, or no layer is named.
    """

    def __init__(self, source, content_layers, style_layers):
        self._named = source if isinstance(source, str | os.PathLike) else None
        model = _model_of(source)
        self._num_content = len(content_layers)
        if not [*content_layers, *style_layers]:
            constraint = "the names of one layer or more, or `style_layers`"
            raise ParameterError(
                "Perceptual", "content_layers", content_layers, constraint
            )
        named = {"content_layers": [*content_layers], "style_layers": [*style_layers]}
        if isinstance(source, dict):  # a copy already
            _check_same(source, named)
        else:
            model = _copy_in_float32(_part(model, content_layers, style_layers))
        self._model, self._layers = model, named
        self._model.trainable = False
        self.image_shape = tuple(self._model.inputs[0].shape[1:])
        self._caffe = source == "vgg16" if isinstance(source, str) else False

    def __call__(self, images):
        """Lists of feature maps of the content layers and of the style layers."""
        images = ops.cast(images, "float32")
        if self._caffe:
            images = ops.flip(images, axis=-1) - ops.convert_to_tensor(
                _VGG16_MEAN, "float32"
            )
        maps = self._model(images, training=False)
        maps = list(maps) if isinstance(maps, list | tuple) else [maps]
        return maps[: self._num_content], maps[self._num_content :]

    def config(self):
        """A name or path, or a dict of architecture and weights, as JSON values."""
        if self._named is not None:
            return str(self._named)
        data = b"".join(
            np.ascontiguousarray(each, "<f4").tobytes()
            for each in self._model.get_weights()
        )
        return {
            "architecture": self._model.to_json(),
            "weights": base64.b64encode(data).decode("ascii"),
            "sha256": hashlib.sha256(data).hexdigest(),
            **self._layers,
        }


def _model_of(source):
    if isinstance(source, keras.Model):
        return source
    if isinstance(source, dict):
        return _from_config(source)
    if source == "vgg16":
        return _vgg16()
    if isinstance(source, str | os.PathLike):
        path = pathlib.Path(source)
        if path.suffix != ".keras" or not path.is_file():
            constraint = "a keras.Model, 'vgg16' or the path of a .keras file"
            raise ParameterError(
                "Perceptual", "feature_extractor", str(source), constraint
            )
        return keras.saving.load_model(path, compile=False)
    constraint = "a keras.Model, 'vgg16' or the path of a .keras file"
    raise ParameterTypeError("Perceptual", "feature_extractor", source, constraint)


def _part(model, content_layers, style_layers):
    """The model from its input to the outputs of the layers named, in their order."""
    _check_inputs(model)
    _check_layers(model, content_layers, style_layers)
    names = [*content_layers, *style_layers]
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs[0], outputs, name="features")


def _check_inputs(model):
    inputs = getattr(model, "inputs", None)  # not there before a Sequential is built
    if not inputs:
        constraint = "a functional model, or a built Sequential"
        given, hint = repr(model.name), "Give it a `keras.Input`: layers are looked up."
        raise ParameterError("Perceptual", "feature_extractor", given, constraint, hint)
    if len(inputs) != 1:
        constraint, given = "a model of one input", f"{len(inputs)} inputs"
        raise ParameterError("Perceptual", "feature_extractor", given, constraint)


def _check_layers(model, content_layers, style_layers):
    known = [layer.name for layer in model.layers]
    named = {"content_layers": content_layers, "style_layers": style_layers}
    for name, layers in named.items():
        missing = [layer for layer in layers if layer not in known]
        if missing:
            constraint = f"names of layers: {', '.join(known)}"
            raise ParameterError("Perceptual", name, missing, constraint)
    for layer in style_layers:
        shape = tuple(model.get_layer(layer).output.shape)
        if len(shape) != 4:
            constraint = "layers that give maps, shape (batch, height, width, channels)"
            hint = f"The output of {layer!r} is of shape {shape}."
            raise ParameterError("Perceptual", "style_layers", layer, constraint, hint)


def _check_same(config, named):
    """Raises if a config is asked for other layers than are in it."""
    for argument, layers in named.items():
        if list(config[argument]) != layers:
            constraint = f"{config[argument]!r}, the layers in the config"
            hint = "Build the loss again from its feature extractor for others."
            raise ParameterError("Perceptual", argument, layers, constraint, hint)


def _from_config(config):
    missing = sorted(_KEYS - set(config))
    if missing:
        constraint = "a dict with all that `get_config` put into it"
        text = f"one without {', '.join(missing)}"
        raise ParameterError("Perceptual", "feature_extractor", text, constraint)
    with _float32_policy():
        model = keras.models.model_from_json(config["architecture"])
    data = base64.b64decode(config["weights"])
    if hashlib.sha256(data).hexdigest() != config["sha256"]:
        text = "Perceptual: the weights in the config are damaged."
        raise ValueError(f"{text} Build the loss again from its feature extractor.")
    numbers, start, weights = np.frombuffer(data, "<f4"), 0, []
    for variable in model.weights:
        shape = tuple(variable.shape)
        size = int(np.prod(shape))
        weights.append(numbers[start : start + size].reshape(shape))
        start += size
    _set_weights(model, weights)
    return model


def _vgg16():
    home = os.environ.get("KERAS_HOME", os.path.join("~", ".keras"))
    path = pathlib.Path(home, "models", _VGG16_FILE).expanduser()
    if not path.is_file():
        constraint = f"a model whose weights are there, for 'vgg16' in {path}"
        hint = (
            "`keras.applications.VGG16(include_top=False)` downloads them, once, or "
            "pass a `keras.Model` of your own."
        )
        raise ParameterError(
            "Perceptual", "feature_extractor", "vgg16", constraint, hint
        )
    return keras.applications.VGG16(
        include_top=False, weights=str(path), input_shape=(None, None, 3)
    )


def _copy_in_float32(model):
    """A copy that computes in float32 throughout, in nested models as well."""
    own = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    with keras.saving.custom_object_scope(own), _float32_policy():
        copy = keras.saving.deserialize_keras_object(
            _in_float32(keras.saving.serialize_keras_object(model))
        )
    _set_weights(copy, model.get_weights())
    return copy


def _in_float32(config):
    """A config with every float type replaced, and without how to compile."""
    if isinstance(config, list | tuple):
        return type(config)(map(_in_float32, config))
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
        return "float32"
    if config.get("class_name") == "InputLayer":  # an integer one would cut images
        config = {**config, "config": {**config["config"], "dtype": "float32"}}
    return {
        key: "float32" if key == "dtype" and value in _FLOATS else _in_float32(value)
        for key, value in config.items()
        if key != "compile_config"
    }


@contextlib.contextmanager
def _float32_policy():
    """For layers that make others when they are made."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _set_weights(model, weights):
    model.set_weights(weights)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with what it derives from its weights
