"""Requests that TF Serving runs while it loads a version, so that none waits later.

They are a TFRecord of `PredictionLog` messages. Those are defined by TF Serving, whose
package is no dependency: the few fields that a request has are written here, and the
tests read them back with descriptors of their own.
"""

import os

import numpy as np

from tfrobustloss._core.validation import ParameterError

FOLDER, FILE = "assets.extra", "tf_serving_warmup_requests"
LARGEST = 1000  # records; TF Serving refuses to load a version with more

# Field numbers of TF Serving's apis: prediction_log.proto, predict.proto, model.proto.
_PREDICT_LOG = 6  # of PredictionLog
_REQUEST = 1  # of PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # of PredictRequest
_SIGNATURE_NAME = 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of any map


def requests(owner, warmup, signatures, blank):
    """Requests of one example each.

    Args:
        owner: Name of the function that asks, for errors.
        warmup: None for a blank example per signature; examples for
            `serving_default`; or a dict of signatures' names to examples. Examples are
            an array, a list of encoded images, or a dict of inputs' names to arrays.
        signatures: Dict of names to lists of `tf.TensorSpec`.
        blank: Function from a signature's name to a list of arrays of one example.

    Returns:
        List of `(signature, dict of inputs' names to arrays of one example)`.

    Raises:
        ValueError: Examples do not fit their signature, or are more than 1000.
    """
    if not isinstance(warmup, dict):
        given = {} if warmup is None else {"serving_default": warmup}
        warmup = {name: given.get(name) for name in signatures}
    result = []
    for name, examples in warmup.items():
        if name not in signatures:
            constraint = f"examples, or a dict with keys of {sorted(signatures)}"
            raise ParameterError(owner, "warmup", name, constraint)
        specs = signatures[name]
        if examples is None:
            arrays = blank(name)
        else:
            arrays = _arrays(owner, name, specs, examples)
        for index in range(len(arrays[0])):
            one = [array[index : index + 1] for array in arrays]
            keys = [spec.name for spec in specs]
            result.append((name, dict(zip(keys, one, strict=True))))
    if len(result) > LARGEST:
        hint = "TF Serving takes no more."
        constraint = f"at most {LARGEST} examples"
        raise ParameterError(owner, "warmup", len(result), constraint, hint)
    return result


def _arrays(owner, signature, specs, examples):
    """Examples as one array an input, held against the signature."""
    if not isinstance(examples, dict):
        examples = {specs[0].name: examples}
    if set(examples) != {spec.name for spec in specs}:
        constraint = f"examples of the inputs {[spec.name for spec in specs]}"
        raise ParameterError(owner, "warmup", sorted(examples), constraint)
    arrays = []
    for spec in specs:
        dtype = spec.dtype.as_numpy_dtype
        text = dtype in (object, np.object_)
        try:
            array = np.asarray(examples[spec.name], object if text else dtype)
        except (TypeError, ValueError):  # no numbers, or rows of several lengths
            array = np.array(None)
        fits = array.ndim > 0 and spec.shape.is_compatible_with(array.shape)
        fits = fits and (
            not text or all(isinstance(x, bytes | str) for x in array.flat)
        )
        if not fits or len(array) == 0:
            constraint = f"examples of shape {tuple(spec.shape)} for {signature}"
            if text:
                constraint = f"a list of bytes for {signature}"
            shape = tuple(array.shape)
            raise ParameterError(owner, "warmup", shape, constraint)
        arrays.append(array)
    if len({len(array) for array in arrays}) > 1:
        lengths = [len(array) for array in arrays]
        constraint = "as many examples of each input"
        raise ParameterError(owner, "warmup", lengths, constraint)
    return arrays


def write(version, examples):
    """Writes the requests into a version's folder; nothing for none.

    Args:
        version: Path of the folder.
        examples: What `requests` returned.
    """
    if not examples:
        return
    import tensorflow as tf

    folder = os.path.join(version, FOLDER)
    os.makedirs(folder, exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(folder, FILE)) as file:
        for signature, inputs in examples:
            file.write(_prediction_log(signature, inputs))


def _prediction_log(signature, inputs):
    """A serialized `PredictionLog` of a request to a signature."""
    import tensorflow as tf

    request = _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, signature.encode()))
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, content):
    """A field of bytes, text or a message in protobuf's wire format."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)
