"""`predict_outside`: runs an exported version where no package can be imported."""

import base64
import glob
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.serving import _c_loader, _versions

_OWNER = "predict_outside"
_CONSTRAINTS = {
    "inputs": "what the signature takes",
    "signature_name": "the name of a signature",
    "version": "a version that can be loaded",
}


def predict_outside(version, inputs, signature_name="serving_default"):
    """Runs an exported version as TF Serving would.

    A new process loads it through the C library of the `tensorflow` package, which is
    the loader of TF Serving, and can import no package: not `tensorflow`, not `keras`,
    not this one.

    Args:
        version: Path that `export` returned.
        inputs: Batch of examples: an array, or a list of bytes, for a signature with
            one input; or a dict of inputs' names to these.
        signature_name: `"serving_default"` or `"serving_image_bytes"`.

    Returns:
        Dict of outputs' names to arrays of the signature's types; text as `bytes`.

    Raises:
        OSError: `tensorflow` has no C library here.
        TypeError: `version` is no path, or `signature_name` no text.
        ValueError: The version cannot be loaded, has no signature of that name, or the
            inputs are empty or do not fit its types and shapes.

    Example:
        >>> import tempfile, keras
        >>> from tfrobustloss import serving
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     version = serving.export(model, folder, activation="softmax")
        ...     outputs = predict_outside(version, np.zeros((4, 2), "float32"))
        >>> outputs["probabilities"].shape
        (4, 3)
    """
    if not isinstance(version, str | os.PathLike):
        raise ParameterTypeError(_OWNER, "version", version, "a path")
    if not isinstance(signature_name, str):
        raise ParameterTypeError(_OWNER, "signature_name", signature_name, "a text")
    _check_version(os.fspath(version))
    if not isinstance(inputs, dict):
        name = "image_bytes" if signature_name == "serving_image_bytes" else "inputs"
        inputs = {name: inputs}
    for name, value in inputs.items():
        several = isinstance(value, list | tuple)
        shape = tuple((len(value),) if several else getattr(value, "shape", ()))
        if shape[:1] == (0,):
            constraint = "at least one example"
            raise ParameterError(_OWNER, f"{name}.shape", shape, constraint)
    request = {"version": version, "signature_name": signature_name, "inputs": inputs}
    return run([request])[0][0]


def _check_version(version):
    """Raises unless a folder holds a SavedModel."""
    if os.path.isfile(os.path.join(version, "saved_model.pb")):
        return
    found = _versions.numbers(version) if os.path.isdir(version) else []
    hint = "There is no saved_model.pb in it."
    if found:
        newest = os.path.join(version, str(found[-1]))
        hint = f"It is a folder of versions, of which {newest!r} is the newest."
    constraint = "the path that `export` returned"
    raise ParameterError(_OWNER, "version", version, constraint, hint)


def run(requests):
    """Answers of one process to several requests, and the modules that it had loaded.

    Args:
        requests: List of dicts `version`, `signature_name` and `inputs`.

    Returns:
        `(list of dicts of outputs' names to arrays, set of names of modules)`.
    """
    plain = [
        {
            "version": os.path.abspath(one["version"]),
            "signature_name": one["signature_name"],
            "inputs": {key: _plain(value) for key, value in one["inputs"].items()},
        }
        for one in requests
    ]
    done = subprocess.run(
        # -I and -S: nothing but Python's standard library can be imported
        [sys.executable, "-I", "-S", _c_loader.__file__, _library()],
        input=json.dumps(plain),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"{_OWNER}: TensorFlow's C library failed: {lines[-1]}")
    answer, results = json.loads(done.stdout), []
    for request, response in zip(plain, answer["responses"], strict=True):
        if "error" in response:
            name = response["name"]
            value, constraint = request.get(name), _CONSTRAINTS[name]
            if name == "inputs":
                value = {key: _kind(one) for key, one in value.items()}
            raise ParameterError(_OWNER, name, value, constraint, response["error"])
        outputs = response["outputs"].items()
        results.append({name: _from_json(value) for name, value in outputs})
    return results, set(answer["modules"])


def _library():
    found = importlib.util.find_spec("tensorflow")  # does not import it
    folders = [] if found is None else found.submodule_search_locations
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "libtensorflow_cc.*"))):
            return path
    raise OSError(f"{_OWNER}: there is no libtensorflow_cc in {list(folders)}.")


def _plain(values):
    """Arrays and tensors as nested lists, bytes as JSON has them."""
    if isinstance(values, bytes):
        return {"b64": base64.b64encode(values).decode()}
    if hasattr(values, "__array__"):
        values = np.asarray(values).tolist()
        if not isinstance(values, list):
            return values
    if isinstance(values, list | tuple):
        return [_plain(each) for each in values]
    if not isinstance(values, str | int | float | dict):
        constraint = "numbers, text or bytes"
        raise ParameterTypeError(_OWNER, "inputs", values, constraint)
    return values


def _kind(values):
    """A short description of inputs: images would fill pages."""
    if isinstance(values, dict):
        return "bytes"
    return f"a list of {len(values)}" if isinstance(values, list) else values


def _from_json(output):
    """An array of an output's type; of an output of text, an array of bytes."""

    def decode(each):
        if isinstance(each, list):
            return [decode(one) for one in each]
        return base64.b64decode(each["b64"]) if isinstance(each, dict) else each

    return np.array(decode(output["values"]), output["dtype"])
