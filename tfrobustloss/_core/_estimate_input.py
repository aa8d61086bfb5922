"""What labels and probabilities an estimate of noise takes, as plain arrays."""

import numpy as np

from tfrobustloss._core.labels import class_ids, plain_array
from tfrobustloss._core.validation import ParameterError

_ROW_TOLERANCE = 1e-3  # softmax in half precision and 100 classes is inside
_PASS_IDS = "Soft labels give class ids by `.argmax(axis=-1)`."
_PASS_PROBABILITIES = "Logits become probabilities by `keras.ops.softmax`."


def check_labels(owner, labels, num_classes=None):
    """Class ids or one-hot rows as flat class ids.

    Args:
        owner: Name of the function that took the labels.
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or one-hot rows,
            shape `(examples, classes)`.
        num_classes: Number of classes; None is the highest class id and 1, or the
            width of one-hot rows, at least 2.

    Returns:
        Int64 class ids, shape `(examples,)`, and the number of classes.

    Raises:
        ValueError: There are no labels, or they are neither class ids in range nor
            one-hot rows.
    """
    labels = plain_array(owner, "labels", labels)
    if labels.size == 0:
        raise ParameterError(owner, "labels", [], "at least one label")
    if labels.ndim == 2 and labels.shape[1] > 1:
        width = labels.shape[1]
        constraint = "(examples,), (examples, 1) or one-hot rows of all classes"
        if num_classes not in (None, width):
            shape = labels.shape
            raise ParameterError(owner, "labels.shape", shape, constraint)
        hot = np.isin(labels, (0, 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        for row in np.flatnonzero(~hot)[:1]:
            constraint = "a class id or a one-hot row"
            name, value = f"labels[{row}]", labels[row].tolist()
            raise ParameterError(owner, name, value, constraint, _PASS_IDS)
        return labels.argmax(axis=1), width
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        constraint = "(examples,), (examples, 1) or one-hot rows of all classes"
        shape = labels.shape
        raise ParameterError(owner, "labels.shape", shape, constraint)
    ids = class_ids(owner, "labels", labels.reshape(-1), num_classes).astype(np.int64)
    return ids, int(num_classes or max(2, ids.max() + 1))


def check_both(owner, labels, probabilities):
    """Labels and the probabilities that a model gives their examples.

    Args:
        owner: Name of the function that took them.
        labels: Class ids or one-hot rows, as in `check_labels`.
        probabilities: Array-like, shape `(examples, classes)`, rows summing to 1
            within 1e-3.

    Returns:
        Int64 class ids, shape `(examples,)`, and float64 probabilities whose rows
        sum to 1.

    Raises:
        ValueError: One is not what it should be, or the numbers of examples differ.
    """
    name = "probabilities"
    values = plain_array(owner, name, probabilities)
    if values.dtype.kind not in "fiu":
        dtype = str(values.dtype)
        raise ParameterError(owner, f"{name}.dtype", dtype, "numeric")
    if values.ndim != 2 or values.shape[1] < 2:
        constraint, shape = "(examples, classes), 2 classes or more", values.shape
        hint = "Two classes by one probability `p` are `stack([1 - p, p], axis=-1)`."
        raise ParameterError(owner, f"{name}.shape", shape, constraint, hint)
    values = values.astype(np.float64)
    bad = ~((values >= 0) & (values <= 1 + _ROW_TOLERANCE))  # NaN is neither
    for row, column in np.argwhere(bad)[:1]:
        place, value = f"{name}[{row}, {column}]", float(values[row, column])
        hint = _PASS_PROBABILITIES
        raise ParameterError(owner, place, value, "in [0, 1]", hint)
    sums = values.sum(axis=1, keepdims=True)
    for row in np.flatnonzero(np.abs(sums[:, 0] - 1) > _ROW_TOLERANCE)[:1]:
        place, value = f"{name}[{row}].sum()", float(sums[row, 0])
        hint = _PASS_PROBABILITIES
        raise ParameterError(owner, place, value, "1", hint)
    labels, _ = check_labels(owner, labels, values.shape[1])
    if len(labels) != len(values):
        constraint = f"{len(labels)}, the number of labels"
        raise ParameterError(owner, f"len({name})", len(values), constraint)
    return labels, values / sums
