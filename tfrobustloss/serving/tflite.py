"""`export_tflite`: a trained model as one file for phones and small devices."""

import os
import tempfile

import keras

from tfrobustloss._core import files
from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.serving import _activation, saved_model

_OWNER = "export_tflite"


def export_tflite(model, path, *, activation=None, temperature=None):
    """Writes a trained model as a TensorFlow Lite file, by Keras' own converter.

    It takes what `model.predict` takes and gives probabilities.

    Args:
        model: As for `export`.
        path: Path of a file that ends in `.tflite`; one that is there is replaced.
        activation: As for `export`.
        temperature: As for `export`.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: The model cannot be exported so, or `path` cannot be written.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.tflite")
        ...     export_tflite(model, path, activation="softmax")
        ...     os.listdir(folder)
        ['model.tflite']
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(_OWNER, "path", path, "a path")
    path = os.fspath(path)
    if not path.endswith(".tflite"):
        constraint = "a path that ends in .tflite"
        raise ParameterError(_OWNER, "path", path, constraint)
    files.check_writable(_OWNER, "path", path)
    loss, model = getattr(model, "loss", None), saved_model.inside(model)
    saved_model.check_model(_OWNER, model)
    function, _ = _activation.find(_OWNER, model, activation, temperature, loss)
    outputs = _Activation(function, dtype="float32")(model.outputs[0])
    complete = keras.Model(model.inputs, outputs)
    with tempfile.TemporaryDirectory() as folder:
        unfinished = os.path.join(folder, "model.tflite")
        complete.export(unfinished, format="litert", verbose=False)
        with open(unfinished, "rb") as file:
            files.write(path, file.read())


class _Activation(keras.layers.Layer):
    """A function without weights as a layer."""

    def __init__(self, function, **layer_options):
        super().__init__(**layer_options)
        self._function = function

    def call(self, outputs):
        """The function's result."""
        return self._function(outputs)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape
