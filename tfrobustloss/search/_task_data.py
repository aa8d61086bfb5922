"""Arrays of a task: read from a dataset and split, or given."""

import functools
import hashlib

import keras
import numpy as np

from tfrobustloss import _limits, data

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
    splits = [(_scale(train.images[one]), train.labels[one]) for one in chosen]
    return [*splits, (_scale(test.images), test.labels)], train.num_classes


@functools.lru_cache(maxsize=4)
def _read(name, part, data_dir):
    return data.load(name, part, data_dir)


def _fits(name, value, most):
    if value > most:
        constraint = f"at most {most}, what the train split leaves"
        raise ValueError(_limits.error(_OWNER, name, constraint, value))


def given(task):
    """Train, validation and test as they came, as arrays; None for no test.

    Args:
        task: A `Task`.

    Returns:
        As `load`.

    Raises:
        ValueError: Lengths or labels do not fit.
    """
    if len(task.dataset) not in (2, 3):
        constraint = "a name, (train, validation) or (train, validation, test)"
        error = _limits.error(
            _OWNER, "dataset", constraint, f"{len(task.dataset)} things"
        )
        raise ValueError(error)
    if task.validation_size is not None:
        constraint = "left out when the validation data are given"
        raise ValueError(
            _limits.error(_OWNER, "validation_size", constraint, task.validation_size)
        )
    splits = [
        (np.asarray(inputs), np.asarray(labels).reshape(-1))
        for inputs, labels in task.dataset
    ]
    for inputs, labels in splits:
        if len(inputs) != len(labels) or not len(labels):
            constraint = "inputs and labels of one length, above 0"
            lengths = (len(inputs), len(labels))
            raise ValueError(_limits.error(_OWNER, "dataset", constraint, lengths))
        if not np.issubdtype(labels.dtype, np.integer):
            constraint = "class ids as labels"
            raise ValueError(
                _limits.error(_OWNER, "dataset", constraint, str(labels.dtype))
            )
    if task.train_size is not None:
        inputs, labels = splits[0]
        _fits("train_size", task.train_size, len(labels))
        kept = np.random.default_rng(0).permutation(len(labels))[: task.train_size]
        splits[0] = inputs[np.sort(kept)], labels[np.sort(kept)]
    num_classes = int(max(labels.max() for _, labels in splits)) + 1
    if isinstance(task.architecture, keras.Model):
        num_classes = task.architecture.output_shape[-1]
    elif not isinstance(task.noise, str):
        num_classes = len(task.noise)
    return [*splits, None][:3], max(num_classes, 2)


def _scale(images):
    """Bytes as float32 in [0, 1]."""
    return np.divide(images, 255, dtype="float32")


def digest(splits):
    """A few letters that change with the arrays."""
    result = hashlib.sha256()
    for inputs, labels in filter(None, splits):
        for values in (inputs, labels):
            result.update(np.ascontiguousarray(values).tobytes())
    return result.hexdigest()[:12]
