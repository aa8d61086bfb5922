"""Labels of a batch as rows that can be mixed, checked where they can be seen."""

import numpy as np
from keras import ops

from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import ParameterError, Range

_NO_NUMBERS = "SUOMm"  # numpy's kinds: texts, objects, dates
_SLACK = 0.02  # what rounding to bfloat16 leaves of a sum of 1


def label_rows(owner, labels, num_classes, num_images):
    """Class ids or rows as float32 rows.

    A compiled program hides the values; there only shapes are checked.

    Args:
        owner: Name of the step that took the labels.
        labels: Class ids, shape `(batch,)` or `(batch, 1)`, or rows of label mass,
            shape `(batch, num_classes)`.
        num_classes: Int >= 2.
        num_images: Number of images, None where it is not known.

    Returns:
        Float32 tensor, shape `(batch, num_classes)`.

    Raises:
        ValueError: There are no labels, their shape does not fit, an id is no class,
            or a row is neither label mass of 1 in total nor zeros.
    """
    if labels is None:
        hint = "It mixes labels with images: call the recipe with both."
        raise ParameterError(owner, "labels", labels, "given", hint)
    seen = visible(labels)
    if seen is not None and seen.dtype.kind in _NO_NUMBERS:
        constraint, dtype = "numeric: class ids or rows", str(seen.dtype)
        raise ParameterError(owner, "labels.dtype", dtype, constraint)
    labels = ops.convert_to_tensor(labels)
    shape = tuple(labels.shape)
    are_rows = shape[1:] == (num_classes,)
    if not are_rows and shape[1:] not in ((), (1,)) or not shape:
        constraint = f"(batch,), (batch, 1) or (batch, {num_classes})"
        raise ParameterError(owner, "labels.shape", shape, constraint)
    if None not in (num_images, shape[0]) and num_images != shape[0]:
        constraint = f"{num_images}, one an image"
        raise ParameterError(owner, "len(labels)", shape[0], constraint)
    if are_rows:
        _check_rows(owner, seen)
        return ops.cast(labels, "float32")
    _check_ids(owner, seen, num_classes)
    if len(shape) == 2:
        labels = ops.squeeze(labels, -1)
    return ops.one_hot(ops.cast(labels, "int32"), num_classes, dtype="float32")


def _check_ids(owner, ids, num_classes):
    if ids is None:
        return
    ids = ids.reshape(-1)
    bad = ~((ids >= 0) & (ids < num_classes) & (ids == np.floor(ids)))
    for index in np.flatnonzero(bad)[:1]:
        limit = Range(0, num_classes - 1, integer=True)
        hint = "Number the classes from 0."
        place, value = f"labels[{index}]", ids[index].item()
        raise ParameterError(owner, place, value, limit, hint)


def _check_rows(owner, rows):
    if rows is None:
        return
    rows = rows.astype("float32")
    total = rows.sum(axis=-1)
    right = (np.abs(total - 1) <= _SLACK) | (total == 0)
    bad = ~(right & (rows >= 0).all(axis=-1))  # NaN is neither
    for index in np.flatnonzero(bad)[:1]:
        constraint = "0 or more a class and 1 in total, or zeros"
        place, value = f"labels[{index}]", rows[index][:5].tolist()
        raise ParameterError(owner, place, value, constraint)
