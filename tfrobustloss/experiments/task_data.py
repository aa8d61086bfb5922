"""Arrays of a task: read from a dataset and split, or given."""

import functools
import hashlib

import keras
import numpy as np

from tfrobustloss import data
from tfrobustloss._core.models import check_logits
from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_OWNER = "Task"
_MOST_VALIDATION = 2000


def load(task):
    """Train, validation and test of a named dataset: the first two share a split.

    Args:
        task: A `Task`.

    Returns:
        List of three pairs of inputs and labels, and the number of classes.

    Raises:
        ValueError: There is no such dataset, or it is too small.
    """
    train, test = (
        _read(task.dataset, part, task.data_dir) for part in ("train", "test")
    )
    total = len(train.labels)
    size = task.validation_size or min(total // 4, _MOST_VALIDATION)
    _fits("validation_size", size, total - 1)
    rest = task.train_size or total - size
    _fits("train_size", rest, total - size)
    shuffled = np.random.default_rng(0).permutation(total)
    chosen = np.sort(shuffled[size : size + rest]), np.sort(shuffled[:size])
    splits = [(scaled(train.images[one]), train.labels[one]) for one in chosen]
    return [*splits, (scaled(test.images), test.labels)], train.num_classes


@functools.lru_cache(maxsize=4)
def _read(name, part, data_dir):
    return data.load(name, part, data_dir)


def _fits(name, value, most):
    if value > most:
        constraint = f"at most {most}, what the train split leaves"
        raise ParameterError(_OWNER, name, value, constraint)


def given(task):
    """Train, validation and test as they came, as arrays; None for no test.

    Args:
        task: A `Task`.

    Returns:
        As `load`.

    Raises:
        ValueError: Lengths or labels do not fit.
    """
    constraint = "a name, (train, validation) or (train, validation, test)"
    if not isinstance(task.dataset, tuple | list):
        kind = type(task.dataset).__name__
        raise ParameterTypeError(_OWNER, "dataset", kind, constraint)
    if len(task.dataset) not in (2, 3):
        received = f"{len(task.dataset)} things"
        raise ParameterError(_OWNER, "dataset", received, constraint)
    if task.validation_size is not None:
        constraint = "left out when the validation data are given"
        raise ParameterError(
            _OWNER, "validation_size", task.validation_size, constraint
        )
    splits = [_pair(one, isinstance(task.architecture, str)) for one in task.dataset]
    for inputs, labels in splits:
        _check_arrays(inputs, labels)
    if task.train_size is not None:
        inputs, labels = splits[0]
        _fits("train_size", task.train_size, len(labels))
        kept = np.random.default_rng(0).permutation(len(labels))[: task.train_size]
        splits[0] = inputs[np.sort(kept)], labels[np.sort(kept)]
    num_classes = int(max(labels.max() for _, labels in splits)) + 1
    if isinstance(task.architecture, keras.Model):
        num_classes = check_logits(_OWNER, "architecture", task.architecture)
    elif not isinstance(task.noise, str):
        num_classes = len(task.noise)
    return [*splits, None][:3], max(num_classes, 2)


def _pair(part, by_name):
    """Inputs and labels of a part of what was given, as arrays."""
    if isinstance(part, data.ImageDataset):
        part = scaled(part.images) if by_name else part.images, part.labels
    if not isinstance(part, tuple | list) or len(part) != 2:
        constraint = "pairs (inputs, labels), one for train, one for validation"
        kind = type(part).__name__
        raise ParameterTypeError(_OWNER, "dataset", kind, constraint)
    return np.asarray(part[0]), np.asarray(part[1]).reshape(-1)


def _check_arrays(inputs, labels):
    """Raises if inputs and labels do not belong together or are no numbers."""
    lengths = (len(inputs) if inputs.ndim else 0, len(labels))
    found = None
    if lengths[0] != lengths[1] or not lengths[0]:
        found = "inputs and labels of one length, above 0", lengths
    elif not np.issubdtype(labels.dtype, np.integer):
        found = "class ids as labels", str(labels.dtype)
    elif inputs.dtype.kind not in "biuf":
        found = "numbers as inputs", str(inputs.dtype)
    elif not np.isfinite(inputs).all():
        wrong = int((~np.isfinite(inputs)).sum())
        found = "finite numbers as inputs", f"{wrong} that are NaN or infinite"
    if found:
        raise ParameterError(_OWNER, "dataset", found[1], found[0])


def check_labels(splits, num_classes):
    """Raises if a class id is none of the classes.

    Args:
        splits: List of pairs of inputs and labels, or None.
        num_classes: Int.

    Raises:
        ValueError: A label is below 0 or above `num_classes - 1`.
    """
    for _, labels in filter(None, splits):
        if labels.min() < 0 or labels.max() >= num_classes:
            constraint = f"labelled by class ids from 0 to {num_classes - 1}"
            received = f"ids from {labels.min()} to {labels.max()}"
            raise ParameterError(_OWNER, "dataset", received, constraint)


def scaled(images):
    """Bytes as float32 in [0, 1]."""
    return np.divide(images, 255, dtype="float32")


def digest(splits):
    """A few letters that change with the arrays."""
    result = hashlib.sha256()
    for inputs, labels in filter(None, splits):
        for values in (inputs, labels):
            result.update(np.ascontiguousarray(values).tobytes())
    return result.hexdigest()[:12]
