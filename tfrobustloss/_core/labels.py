"""Rules for labels: class ids, rows of label mass, transition matrices."""

import numpy as np
from keras import ops

from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import ParameterError, Range

# What a row of numbers may miss a sum of 1 by, depending on where it comes from.
MASS_TOLERANCE = 0.02  # label mass: what rounding to bfloat16 leaves
_PROBABILITY_TOLERANCE = 1e-3  # a softmax of 100 classes in half precision
# Six digits of a transition matrix, as reports write them, leave 5e-7 an entry; the
# 1e-4 is for few classes in five digits or float32.
_MATRIX_TOLERANCE = 1e-4
_MATRIX_TOLERANCE_A_CLASS = 1e-6

_NOT_NUMERIC = "SUOMm"  # kinds of NumPy types: texts, objects, dates
_PASS_IDS = "Pass class ids; one-hot or soft labels give them by `.argmax(axis=-1)`."
_CAST = 'Pass class ids; whole numbers are cast by `.astype("int64")`.'
_NUMBER = "Number the classes from 0."
_SOFTMAX = "Logits become probabilities by `keras.ops.softmax`."


def plain_array(owner, name, values):
    """`values` as an array; nested lists must be of one length.

    Args:
        owner: Name of the function that took the values.
        name: Name of the argument.
        values: Array-like, any shape.

    Returns:
        Array.

    Raises:
        ValueError: Nested lists differ in length.
    """
    try:
        return np.asarray(values)
    except ValueError:
        lengths = [len(row) if hasattr(row, "__len__") else 0 for row in values][:5]
        constraint = "one number for all rows"
        raise ParameterError(owner, f"len({name}[i])", lengths, constraint) from None


def integers(owner, name, values, low, high=np.inf, hint=""):
    """`values` as an array of whole numbers in [low, high].

    Args:
        owner: Name of the function that took the values.
        name: Name of the argument.
        values: Array-like, any shape.
        low: Smallest value allowed.
        high: Largest value allowed.
        hint: What to do about values of another type.

    Returns:
        Array of an integer type.

    Raises:
        ValueError: The type is not an integer one, or a value is out of range.
    """
    values = plain_array(owner, name, values)
    if values.dtype.kind not in "iu":
        dtype = str(values.dtype)
        constraint = "an integer type"
        raise ParameterError(owner, f"{name}.dtype", dtype, constraint, hint)
    for position in np.argwhere((values < low) | (values > high))[:1].tolist():
        place = f"{name}{position}" if position else name
        value = int(values[tuple(position)])
        limit = Range(low, high, integer=True)
        raise ParameterError(owner, place, value, limit)
    return values


def class_ids(owner, name, labels, num_classes=None):
    """`labels` as an array of class ids in [0, num_classes).

    Args:
        owner: Name of the function that took the labels.
        name: Name of the argument.
        labels: Array-like, any shape.
        num_classes: Number of classes; None where only the sign can be checked.

    Returns:
        Array of an integer type.

    Raises:
        ValueError: The labels are one-hot or ragged, not integers or out of range.
    """
    labels = plain_array(owner, name, labels)
    width = labels.shape[-1] if labels.ndim > 1 and labels.size else 0
    if width > 1 and num_classes in (None, width):
        rows = labels.reshape(-1, width)
        if _is_one_hot(rows).all():
            constraint, row = "a class id, not a one-hot row", rows[0].tolist()
            raise ParameterError(owner, f"{name}[0]", row, constraint, _PASS_IDS)
    high = np.inf if num_classes is None else num_classes - 1
    return integers(owner, name, labels, 0, high, _way_to_ids(labels, width))


def check_holds(owner, name, dtype, num_classes):
    """Raises a ValueError if an integer type is too narrow for the highest class."""
    dtype = np.dtype(dtype)
    if np.iinfo(dtype).max < num_classes - 1:
        constraint = f"a type that can hold class {num_classes - 1}"
        hint = "Cast the labels to int64."
        raise ParameterError(owner, f"{name}.dtype", dtype.name, constraint, hint)


def flat_class_ids(owner, labels, num_classes=None):
    """Class ids or one-hot rows as flat class ids.

    Args:
        owner: Name of the function that took the labels.
        labels: Class ids, shape `(examples,)` or `(examples, 1)`, or one-hot rows,
            shape `(examples, classes)`.
        num_classes: Number of classes; None is the highest class id plus one, or the
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
    width = labels.shape[1] if labels.ndim == 2 else 1
    if labels.ndim not in (1, 2) or width > 1 and num_classes not in (None, width):
        constraint = "(examples,), (examples, 1) or one-hot rows of all classes"
        raise ParameterError(owner, "labels.shape", labels.shape, constraint)
    if width > 1:
        for row in np.flatnonzero(~_is_one_hot(labels))[:1]:
            name, value = f"labels[{row}]", labels[row].tolist()
            constraint = "a class id or a one-hot row"
            raise ParameterError(owner, name, value, constraint, _PASS_IDS)
        return labels.argmax(axis=1), width
    ids = class_ids(owner, "labels", labels.reshape(-1), num_classes).astype(np.int64)
    return ids, int(num_classes or max(2, ids.max() + 1))


def labels_and_probabilities(owner, labels, probabilities):
    """Labels, and the probabilities that a model gives their examples.

    Args:
        owner: Name of the function that took them.
        labels: Class ids or one-hot rows, as in `flat_class_ids`.
        probabilities: Array-like, shape `(examples, classes)`, rows summing to 1
            within 1e-3.

    Returns:
        Int64 class ids, shape `(examples,)`, and float64 probabilities whose rows
        sum to 1.

    Raises:
        ValueError: Labels are not class ids, probabilities are not rows that sum to 1,
            or the numbers of examples differ.
    """
    name = "probabilities"
    values = _numeric(owner, name, probabilities)
    if values.ndim != 2 or values.shape[1] < 2:
        constraint, shape = "(examples, classes), 2 classes or more", values.shape
        hint = "Two classes by one probability `p` are `stack([1 - p, p], axis=-1)`."
        raise ParameterError(owner, f"{name}.shape", shape, constraint, hint)
    values = values.astype(np.float64)
    high = 1 + _PROBABILITY_TOLERANCE
    _check_entries(owner, name, values, high, _SOFTMAX)
    sums = _row_sums(owner, name, values, _PROBABILITY_TOLERANCE, _SOFTMAX)
    labels, _ = flat_class_ids(owner, labels, values.shape[1])
    if len(labels) != len(values):
        constraint = f"{len(labels)}, the number of labels"
        raise ParameterError(owner, f"len({name})", len(values), constraint)
    return labels, values / sums


def label_rows(owner, labels, num_classes, num_images):
    """Class ids or rows of label mass as float32 rows, which can be mixed.

    Shapes are always checked, values where they are visible: not in a compiled program.

    Args:
        owner: Name of the step that took the labels.
        labels: Class ids, shape `(batch,)` or `(batch, 1)`, or rows of label mass,
            shape `(batch, num_classes)`.
        num_classes: Int >= 2.
        num_images: Number of images, None if unknown.

    Returns:
        Float32 tensor, shape `(batch, num_classes)`.

    Raises:
        ValueError: There are no labels, their shape does not fit, an id is out of
            range, or a row is neither label mass of 1 in total nor zeros.
    """
    if labels is None:
        hint = "It mixes labels with images: call the recipe with both."
        raise ParameterError(owner, "labels", labels, "given", hint)
    seen = visible(labels)
    if seen is not None and seen.dtype.kind in _NOT_NUMERIC:
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
        _check_mass(owner, seen)
        return ops.cast(labels, "float32")
    _check_ids(owner, seen, num_classes)
    if len(shape) == 2:
        labels = ops.squeeze(labels, -1)
    return ops.one_hot(ops.cast(labels, "int32"), num_classes, dtype="float32")


def probability_rows(owner, name, rows, shape):
    """`rows` of probabilities as float32; sums of 1 within 0.02.

    Args:
        owner: Name of the function that took the rows.
        name: Name of the argument.
        rows: Array-like.
        shape: `(examples, classes)`, which they must have.

    Returns:
        Float32 array.

    Raises:
        ValueError: The shape is another one, an entry is not in [0, 1], or a row does
            not sum to 1.
    """
    rows = _numeric(owner, name, rows)
    if rows.shape != shape:
        constraint = f"{shape}, a row an example and a column a class"
        raise ParameterError(owner, f"{name}.shape", rows.shape, constraint)
    _check_entries(owner, name, rows, 1 + MASS_TOLERANCE, _SOFTMAX)
    _row_sums(owner, name, rows, MASS_TOLERANCE, _SOFTMAX)
    return rows.astype(np.float32)


def stochastic_matrix(owner, name, matrix):
    """`matrix` as a square float64 array whose rows are probabilities.

    Rows that miss a sum of 1 by rounding, such as six digits or float32, are divided
    by their sum. Rows that are exact in float64 stay as they are, bit by bit.

    Args:
        owner: Name of the function that took the matrix.
        name: Name of the argument.
        matrix: Array-like, shape `(classes, classes)`.

    Returns:
        Float64 array, shape `(classes, classes)`.

    Raises:
        ValueError: The matrix is not square or smaller than 2, an entry is negative
            or not finite, or a row does not sum to 1 within 1e-4, from 100 classes on
            within 1e-6 a class.
    """
    matrix = _numeric(owner, name, matrix)
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1] or len(matrix) < 2:
        constraint = "(classes, classes) with at least 2 classes"
        raise ParameterError(owner, f"{name}.shape", matrix.shape, constraint)
    matrix, classes = matrix.astype(np.float64), len(matrix)
    _check_entries(owner, name, matrix, np.finfo(np.float64).max)
    tolerance = max(_MATRIX_TOLERANCE, _MATRIX_TOLERANCE_A_CLASS * classes)
    hint = "A row holds the probabilities of the noisy labels of one clean class."
    sums = _row_sums(owner, name, matrix, tolerance, hint)
    rounding = classes * np.finfo(np.float64).eps
    return np.where(np.abs(sums - 1) > rounding, matrix / sums, matrix)


def _numeric(owner, name, values):
    values = plain_array(owner, name, values)
    if values.dtype.kind not in "fiu":
        dtype = str(values.dtype)
        raise ParameterError(owner, f"{name}.dtype", dtype, "numeric")
    return values


def _check_entries(owner, name, values, high, hint=""):
    bad = ~((values >= 0) & (values <= high))  # NaN is neither
    for row, column in np.argwhere(bad)[:1]:
        place, value = f"{name}[{row}, {column}]", float(values[row, column])
        raise ParameterError(owner, place, value, "in [0, 1]", hint)


def _row_sums(owner, name, values, tolerance, hint):
    """Sums of rows, shape `(rows, 1)`, all of them 1 within the tolerance."""
    sums = values.sum(axis=1, keepdims=True)
    for row in np.flatnonzero(np.abs(sums - 1) > tolerance)[:1]:
        place, value = f"{name}[{row}].sum()", float(sums[row, 0])
        raise ParameterError(owner, place, value, "1", hint)
    return sums


def _is_one_hot(rows):
    """Mask of the rows with a single 1 and zeros elsewhere, shape `(rows,)`."""
    if rows.dtype.kind in _NOT_NUMERIC:
        return np.zeros(len(rows), bool)
    return np.isin(rows, (0, 1)).all(axis=1) & (rows.sum(axis=1) == 1)


def _way_to_ids(labels, width):
    """Hint on how to make class ids; `argmax` of flat labels would be one number."""
    if width > 1 or labels.dtype.kind in "iu":
        return _PASS_IDS
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels).all() and (labels == np.floor(labels)).all()
        return _CAST if whole else "Pass class ids."
    return _CAST if labels.dtype.kind == "b" else _NUMBER


def _check_ids(owner, ids, num_classes):
    if ids is None:
        return
    ids = ids.reshape(-1)
    bad = ~((ids >= 0) & (ids < num_classes) & (ids == np.floor(ids)))
    for index in np.flatnonzero(bad)[:1]:
        limit = Range(0, num_classes - 1, integer=True)
        place, value = f"labels[{index}]", ids[index].item()
        raise ParameterError(owner, place, value, limit, _NUMBER)


def _check_mass(owner, rows):
    if rows is None:
        return
    rows = rows.astype("float32")
    total = rows.sum(axis=-1)
    right = (np.abs(total - 1) <= MASS_TOLERANCE) | (total == 0)
    bad = ~(right & (rows >= 0).all(axis=-1))  # NaN is neither
    for index in np.flatnonzero(bad)[:1]:
        constraint = "0 or more a class and 1 in total, or zeros"
        place, value = f"labels[{index}]", rows[index][:5].tolist()
        raise ParameterError(owner, place, value, constraint)
