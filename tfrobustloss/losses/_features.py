"""A frozen float32 copy of a network, as far as a loss looks into it."""

import base64
import hashlib
import os
import pathlib

import keras
import numpy as np
from keras import ops

from tfrobustloss import _limits

_VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
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
        names = [*content_layers, *style_layers]
        self._num_content = len(content_layers)
        if not names:
            constraint = "the names of one layer or more, or `style_layers`"
            raise ValueError(_error("content_layers", constraint, content_layers))
        _check_names(model, content_layers, style_layers)
        if len(model.inputs) != 1:
            constraint, given = "a model of one input", f"{len(model.inputs)} inputs"
            raise ValueError(_error("feature_extractor", constraint, given))
        outputs = [model.get_layer(name).output for name in names]
        part = keras.Model(model.inputs[0], outputs, name="features")
        self._model = keras.models.clone_model(part, clone_function=_in_float32)
        self._model.set_weights(part.get_weights())
        self._model.trainable = False
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
        }


def _model_of(source):
    if isinstance(source, keras.Model):
        return source
    if isinstance(source, dict) and set(source) == {
        "architecture",
        "weights",
        "sha256",
    }:
        return _from_config(source)
    if source == "vgg16":
        return _vgg16()
    if isinstance(source, str | os.PathLike):
        path = pathlib.Path(source)
        if path.suffix != ".keras" or not path.is_file():
            constraint = "a keras.Model, 'vgg16' or the path of a .keras file"
            raise ValueError(_error("feature_extractor", constraint, str(source)))
        return keras.saving.load_model(path, compile=False)
    constraint = "a keras.Model, 'vgg16' or the path of a .keras file"
    raise TypeError(_error("feature_extractor", constraint, source))


def _check_names(model, content_layers, style_layers):
    known = [layer.name for layer in model.layers]
    named = {"content_layers": content_layers, "style_layers": style_layers}
    for name, layers in named.items():
        missing = [layer for layer in layers if layer not in known]
        if missing:
            constraint = f"names of layers: {', '.join(known)}"
            raise ValueError(_error(name, constraint, missing))


def _from_config(config):
    model = keras.models.model_from_json(config["architecture"])
    data = base64.b64decode(config["weights"])
    if hashlib.sha256(data).hexdigest() != config["sha256"]:
        text = "Perceptual: the weights in the config are damaged."
        raise ValueError(f"{text} Build the loss anew from its feature extractor.")
    numbers, start, weights = np.frombuffer(data, "<f4"), 0, []
    for variable in model.weights:
        shape = tuple(variable.shape)
        size = int(np.prod(shape))
        weights.append(numbers[start : start + size].reshape(shape))
        start += size
    model.set_weights(weights)
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
        raise ValueError(_error("feature_extractor", constraint, "vgg16", hint))
    return keras.applications.VGG16(
        include_top=False, weights=str(path), input_shape=(None, None, 3)
    )


def _in_float32(layer):
    config = layer.get_config()
    return type(layer).from_config({**config, "dtype": "float32"})


def _error(name, constraint, value, hint=""):
    return _limits.error("Perceptual", name, constraint, value, hint)
