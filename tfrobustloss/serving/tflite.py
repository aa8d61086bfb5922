"""`export_tflite`: writes a trained model as a TensorFlow Lite file."""

import os
import tempfile

from tfrobustloss._core import files
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    check_flag,
)
from tfrobustloss.serving import _activation, _signatures, saved_model

_OWNER = "export_tflite"
_FLEX = "Flex"  # prefix of TensorFlow's operations in a TensorFlow Lite file


def export_tflite(
    model,
    path,
    *,
    activation=None,
    temperature=None,
    allow_flex=False,
    thresholds=None,
):
    """Writes a trained model as a TensorFlow Lite file.

    Its one signature, `serving_default`, takes `inputs`, what `model.predict` takes (a
    model with several inputs: their names), and gives `probabilities`: `[1 - p, p]`
    for a model with one sigmoid unit. A model of many labels at once gives a
    probability a class, and `on`, bools: which classes reach their threshold.

    Args:
        model: As for `export`.
        path: Path of a file that ends in `.tflite`; one that is there is replaced.
        activation: As for `export`.
        temperature: As for `export`.
        allow_flex: Whether the file may hold operations that TensorFlow Lite does not
            have itself. Such a file runs only where the app links the Flex delegate,
            TensorFlow's own kernels. Recurrent layers need it unless they are built
            with `unroll=True`.
        thresholds: As for `export`.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: The model cannot be exported, it needs the Flex delegate, or
            `path` cannot be written.

    Example:
        >>> import keras
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
    check_flag(_OWNER, "allow_flex", allow_flex)
    model, loss = saved_model.network(_OWNER, model)
    thresholds = saved_model.label_thresholds(_OWNER, model, loss, thresholds)
    several = thresholds is not None
    function, text = _activation.find(
        _OWNER, model, activation, temperature, loss, several
    )
    if several:
        head = _signatures.label_probabilities(function, thresholds)
    else:
        head = _signatures.probabilities(function)
    signatures = {_signatures.TENSORS: _signatures.from_tensors(model, head)}
    archive, functions = saved_model.trace(_OWNER, model, signatures)
    if text == "linear":
        saved_model.check_probabilities(
            _OWNER, model, activation, signatures, functions
        )
    content = _converted(archive, model.name)
    missing = _flex_operations(content)
    if missing and not allow_flex:
        constraint = "made of operations that TensorFlow Lite has itself"
        hint = (
            f"Missing: {', '.join(missing)}. Build recurrent layers with unroll=True, "
            "or say allow_flex=True and link the Flex delegate into the app."
        )
        raise ParameterError(_OWNER, "model", model.name, constraint, hint)
    files.write(path, content)


def _converted(archive, name):
    """The bytes of a TensorFlow Lite file with the archive's signature."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[_signatures.TENSORS]
        )
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
        converter.experimental_enable_resource_variables = True
        try:
            return converter.convert()
        except Exception as error:  # of several private classes
            constraint = "a model that TensorFlow's converter takes"
            hint = " ".join(str(error).split())[:200]
            raise ParameterError(_OWNER, "model", name, constraint, hint) from None


def _flex_operations(content):
    """Sorted names of the operations in a file that need the Flex delegate."""
    # TensorFlow has no public reader of its files, only a printer
    from tensorflow.lite.python import schema_py_generated

    file = schema_py_generated.Model.GetRootAsModel(content, 0)
    codes = (file.OperatorCodes(i) for i in range(file.OperatorCodesLength()))
    names = {(code.CustomCode() or b"").decode() for code in codes}
    return sorted(name[len(_FLEX) :] for name in names if name.startswith(_FLEX))
