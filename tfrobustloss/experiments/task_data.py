"""Loads the arrays of a `Task`, or checks those that it was given."""

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tfrobustloss import data
from tfrobustloss._core.models import check_logits
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

# Inputs and labels.
Split = tuple[np.ndarray, np.ndarray]
# Train, validation and test.
Splits = tuple[Split, Split | None, Split | None]

_OWNER = "Task"
_MOST_VALIDATION = {"clean": 2000, "noisy": 20_000}


def load(task: Any) -> tuple[Splits, int]:
    """Train, validation and test of a named dataset; validation is split from train.

    Args:
        task: A `Task`.

    Returns:
        Three pairs of inputs and labels, the second None for a `validation_size` of
        0, and the number of classes.

    Raises:
        ValueError: There is no such dataset, or it is too small.
    """
    train, test = (
        read(task.dataset, part, task.data_dir) for part in ("train", "test")
    )
    total = len(train.labels)
    size = task.validation_size
    if size is None:
        size = min(total // 4, _MOST_VALIDATION[task.validation])
    hint = f"The train split has {total} images."
    limit = Range(0, total - 1, integer=True, hint=hint)
    check(_OWNER, {"validation_size": limit}, validation_size=size)
    rest = task.train_size or total - size
    if size:
        hint += f" {size} of them are for validation."
    limit = Range(1, total - size, integer=True, hint=hint)
    check(_OWNER, {"train_size": limit}, train_size=rest)
    kept, held_out = (
        (scaled(train.images[rows]), train.labels[rows])
        for rows in (_subset(total, size, size + rest), _subset(total, 0, size))
    )
    testing = scaled(test.images), test.labels
    return (kept, held_out if size else None, testing), train.num_classes


@functools.lru_cache(maxsize=4)
def read(name: str, part: str, data_dir: str | None) -> data.ImageDataset:
    """Loads a split of a dataset; tasks that share one read it once."""
    return data.load(name, part, data_dir)


def _subset(total: int, begin: int, end: int) -> np.ndarray:
    """A part of the shuffled indices up to `total`, in increasing order."""
    return np.sort(np.random.default_rng(0).permutation(total)[begin:end])


def labelled(task: Any) -> tuple[Splits, int]:
    """The splits of a task on `LabelledData`; the test is None where it has none.

    Args:
        task: A `Task`.

    Returns:
        As `load`.

    Raises:
        ValueError: Noise is to be added, a size does not fit, or clean validation
            labels are wanted and none are trusted.
    """
    own = task.dataset
    if not isinstance(task.noise, str) or task.noise != "none":
        constraint = "'none' for labels that are wrong already"
        raise ParameterError(_OWNER, "noise", task.noise, constraint)
    inputs = own.inputs
    if isinstance(task.architecture, str) and inputs.dtype == np.uint8:
        inputs = scaled(inputs)
    test = None
    if own.test is not None:
        test_inputs = own.test.inputs
        if inputs.dtype != test_inputs.dtype:
            test_inputs = scaled(test_inputs)
        test = test_inputs, own.test.labels
    kept, held_out = _held_out(task, len(own))
    if task.train_size is not None:
        limit = Range(1, len(kept), integer=True, hint=f"{len(kept)} are left.")
        check(_OWNER, {"train_size": limit}, train_size=task.train_size)
        kept = kept[_subset(len(kept), 0, task.train_size)]
    train, validation = ((inputs[rows], own.labels[rows]) for rows in (kept, held_out))
    return (train, validation if len(held_out) else None, test), own.num_classes


def _held_out(task: Any, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation examples of `LabelledData`."""
    own, size = task.dataset, task.validation_size
    everything = np.arange(total)
    if size == 0:
        return everything, everything[:0]
    if task.validation == "noisy":
        if size is None:
            size = max(1, min(total // 4, _MOST_VALIDATION["noisy"]))
        limit = Range(1, total - 1, integer=True, hint=f"There are {total} examples.")
        check(_OWNER, {"validation_size": limit}, validation_size=size)
        return data.split_validation(own.labels, size / total)
    if own.trusted is None:
        constraint = "'noisy' for data without trusted examples"
        hint = "Or name those with right labels: `data.read(..., trusted=FILE)`."
        raise ParameterError(_OWNER, "validation", task.validation, constraint, hint)
    if size is not None and size != len(own.trusted):
        constraint = f"None or {len(own.trusted)}, the number of trusted examples"
        raise ParameterError(_OWNER, "validation_size", size, constraint)
    return np.setdiff1d(everything, own.trusted), own.trusted


def given(task: Any) -> tuple[Splits, int]:
    """Train, validation and test of a task that holds its data; None for no test.

    Args:
        task: A `Task`.

    Returns:
        As `load`.

    Raises:
        TypeError: The data are not in one of the forms that `Task` takes.
        ValueError: Lengths or labels do not match.
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
        limit = Range(1, len(labels), integer=True)
        check(_OWNER, {"train_size": limit}, train_size=task.train_size)
        kept = _subset(len(labels), 0, task.train_size)
        splits[0] = inputs[kept], labels[kept]
    num_classes = int(max(labels.max() for _, labels in splits)) + 1
    if isinstance(task.architecture, keras.Model):
        num_classes = check_logits(_OWNER, "architecture", task.architecture)
    elif not isinstance(task.noise, str):
        num_classes = len(task.noise)
    train, validation, *test = splits
    return (train, validation, test[0] if test else None), max(num_classes, 2)


def _pair(part: Any, is_scaled: bool) -> Split:
    """Inputs and labels of one split, as arrays."""
    if isinstance(part, data.ImageDataset):
        part = scaled(part.images) if is_scaled else part.images, part.labels
    if not isinstance(part, tuple | list) or len(part) != 2:
        constraint = "pairs (inputs, labels), one for train, one for validation"
        kind = type(part).__name__
        raise ParameterTypeError(_OWNER, "dataset", kind, constraint)
    return np.asarray(part[0]), np.asarray(part[1]).reshape(-1)


def _check_arrays(inputs: np.ndarray, labels: np.ndarray) -> None:
    """Raises if inputs and labels differ in length or are not numbers."""
    lengths = (len(inputs) if inputs.ndim else 0, len(labels))
    found: tuple[str, Any] | None = None
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


def check_labels(splits: Iterable[Split | None], num_classes: int) -> None:
    """Raises if a class id is out of range.

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


def scaled(images: np.ndarray) -> np.ndarray:
    """Bytes as float32 in [0, 1]."""
    return np.divide(images, 255, dtype="float32")


def digest(splits: Iterable[Split | None]) -> str:
    """Hash of the arrays, 12 hexadecimal digits."""
    result = hashlib.sha256()
    for inputs, labels in filter(None, splits):
        for values in (inputs, labels):
            result.update(np.ascontiguousarray(values).tobytes())
    return result.hexdigest()[:12]
