"""`predict_outside`: a version run where no package can be imported."""

import base64
import glob
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

from tfrobustloss._core.validation import ParameterError, ParameterTypeError
from tfrobustloss.serving import _c_loader

_OWNER = "predict_outside"


def predict_outside(version, inputs, signature_name="serving_default"):
    """Runs a version as TF Serving would, to see that it needs nothing from here.

    A new process loads it through the C library of the `tensorflow` package, which is
    the loader of TF Serving, and can import no package: not `tensorflow`, not `keras`,
    not this one.

    Args:
        version: Path that `export` returned.
        inputs: Array, or list of bytes, for a signature with one input; or a dict of
            inputs' names to these.
        signature_name: `"serving_default"` or `"serving_image_bytes"`.

    Returns:
        Dict of outputs' names to arrays; text as `bytes`.

    Raises:
        OSError: `tensorflow` has no C library here.
        TypeError: `version` is no path.
        ValueError: The version cannot be loaded, or the inputs do not fit or are empty.

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
            name, value = "version", request["version"]
            constraint = "a version that answers"
            if response["name"] == "inputs":
                found = {key: _kind(value) for key, value in request["inputs"].items()}
                name, value, constraint = "inputs", found, "what the signature takes"
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
    """What some inputs are, in a word: images would fill pages."""
    return f"a list of {len(values)}" if isinstance(values, list) else values


def _from_json(values):
    def decode(each):
        if isinstance(each, list):
            return [decode(one) for one in each]
        return base64.b64decode(each["b64"]) if isinstance(each, dict) else each

    values = decode(values)
    first = values
    while isinstance(first, list) and first:
        first = first[0]
    if isinstance(first, bytes):
        return np.array(values, object)
    return np.array(values, "float32" if isinstance(first, float) else None)
