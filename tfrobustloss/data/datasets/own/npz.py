"""Reads a `.npz` file of images or features and their labels; never unpickles."""

import math
import zipfile

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.data.datasets.found import OWNER, Found, check_bytes, coded
from tfrobustloss.data.datasets.labelled_data import FEATURES, IMAGES

_KNOWN = ("images", "features", "labels", "ids", "class_names")
_MADE = "It is made by `np.savez(path, images=images, labels=labels)`."
_PLAIN = "Save it as numbers or text: `np.asarray(values, str)` or `.astype(int)`."


def read_npz(path, max_bytes):
    """Reads `images` or `features`, `labels` and, if there, `ids` and `class_names`.

    Args:
        path: Path of the file.
        max_bytes: Largest size of each array.

    Returns:
        `Found`.

    Raises:
        ValueError: An array is missing, holds Python objects, is too large, or does
            not fit the others.
    """
    arrays = arrays_of(path, _KNOWN, max_bytes, _MADE)
    kinds = [name for name in ("images", "features") if name in arrays]
    if len(kinds) != 1 or "labels" not in arrays:
        constraint = "a file of `labels` and either `images` or `features`"
        found = sorted(arrays)
        raise ParameterError(OWNER, f"names in {path}", found, constraint, _MADE)

    def name_of(name):
        return f"{path}, {name}"

    (kind,) = kinds
    check = _images if kind == "images" else _features
    inputs, labels = check(name_of(kind), arrays[kind]), arrays["labels"]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = "One-hot rows become class ids by `.argmax(axis=-1)`."
        place = name_of("labels.shape")
        raise ParameterError(OWNER, place, labels.shape, "(examples,)", hint)
    _check_length(name_of("labels"), labels, inputs)
    labels, names = _classes(name_of, labels, arrays.get("class_names"))
    ids = [str(index) for index in range(len(labels))]
    if "ids" in arrays:
        ids = texts_of(name_of("ids"), arrays["ids"])
        _check_length(name_of("ids"), ids, inputs)
    return Found(
        inputs=inputs,
        labels=labels,
        class_names=names,
        ids=ids,
        place=lambda index: f"{path}, index {index}",
        kind=IMAGES if kind == "images" else FEATURES,
    )


def arrays_of(path, names, max_bytes, made):
    """Arrays of a `.npz` file by their names; those of Python objects are refused.

    Args:
        path: Path of the file.
        names: Names of the arrays that are read, where they are there.
        max_bytes: Largest size of each array.
        made: Sentence on how to make the file, for errors.

    Returns:
        Dict of names to arrays.

    Raises:
        ValueError: It is no such file, or an array holds Python objects or is too
            large.
    """
    hint = "Raise `max_bytes` if that much memory is free."
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                if name in names:
                    with archive.open(member) as file:
                        size = _bytes(f"{path}, {name}", file)
                    check_bytes(f"{path}, {name}", size, max_bytes, hint)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name in names}
    except ParameterError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = f"{' '.join(str(error).split())[:200]}. {made}"
        raise ParameterError(OWNER, "path", path, "a .npz file", reason) from None


def _bytes(name, file):
    """Size of an array by its header; raises for one of Python objects."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"{name} is of .npy version {version}")
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        constraint = "an array of numbers or text"
        hint = f"Python objects are pickles, which can run code: not loaded. {_PLAIN}"
        raise ParameterError(OWNER, name, "Python objects", constraint, hint)
    return math.prod(shape) * dtype.itemsize


def _images(name, images):
    if images.dtype != np.uint8:
        constraint, found = "uint8 from 0 to 255", str(images.dtype)
        hint = "Of images in [0, 1]: `np.round(images * 255).astype('uint8')`."
        raise ParameterError(OWNER, f"{name}.dtype", found, constraint, hint)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        constraint = "(images, height, width) or (images, height, width, 1 or 3)"
        raise ParameterError(OWNER, f"{name}.shape", images.shape, constraint)
    return images


def _features(name, features):
    if features.dtype.kind not in "biuf":
        raise ParameterError(OWNER, f"{name}.dtype", str(features.dtype), "numeric")
    if features.ndim != 2 or not features.shape[1]:
        constraint = "(examples, features)"
        hint = "Images have the name `images`."
        raise ParameterError(OWNER, f"{name}.shape", features.shape, constraint, hint)
    with np.errstate(over="ignore"):
        features = features.astype(np.float32)
    for row, column in np.argwhere(~np.isfinite(features))[:1]:
        value, place = float(features[row, column]), f"{name}[{row}, {column}]"
        hint = "Replace it, for example by the median of its column."
        raise ParameterError(OWNER, place, value, "finite in float32", hint)
    return features


def _classes(name_of, labels, given):
    """Class ids and names of labels that are numbers or text."""

    def place(index):
        return name_of(f"labels[{index}]")

    if given is not None:
        names = tuple(texts_of(name_of("class_names"), given))
        if labels.dtype.kind in "iu":
            for index in np.flatnonzero((labels < 0) | (labels >= len(names)))[:1]:
                constraint = f"from 0 to {len(names) - 1}, a place in `class_names`"
                value = int(labels[index])
                raise ParameterError(OWNER, place(index), value, constraint)
            return labels.astype(np.int64), names
        texts = texts_of(name_of("labels"), labels)
        codes = {text: code for code, text in enumerate(names)}
        for index, text in enumerate(texts):
            if text not in codes:
                raise ParameterError(OWNER, place(index), text, "in `class_names`")
        return np.array([codes[text] for text in texts], np.int64), names
    texts = texts_of(name_of("labels"), labels)
    if "" in texts:
        constraint = "a label"
        raise ParameterError(OWNER, place(texts.index("")), "", constraint)
    return coded(texts, place, "labels")


def texts_of(name, values):
    """A one-dimensional array of numbers or text as a list of text.

    Args:
        name: What to call it in errors.
        values: Array.

    Raises:
        ValueError: It has more axes, or holds something else.
    """
    if values.ndim != 1:
        raise ParameterError(OWNER, f"{name}.shape", values.shape, "one-dimensional")
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    if values.dtype.kind not in "biufU":
        constraint = "numbers or text"
        raise ParameterError(OWNER, f"{name}.dtype", str(values.dtype), constraint)
    return [str(value) for value in values.tolist()]


def _check_length(name, values, inputs):
    if len(values) != len(inputs):
        constraint = f"{len(inputs)}, the number of inputs"
        raise ParameterError(OWNER, f"len({name})", len(values), constraint)
