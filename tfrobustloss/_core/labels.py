"""What counts as class ids and as a transition matrix, and the errors if it is not."""

import numpy as np

from tfrobustloss._core.validation import ParameterError, Range

_PASS_IDS = "Pass class ids; one-hot or soft labels give them by `.argmax(axis=-1)`."
_CAST = 'Pass class ids; whole numbers become such by `.astype("int64")`.'
_NUMBER = "Number the classes from 0."
# What a row of a transition matrix may miss 1 by. Six digits, as reports write them,
# leave 5e-7 an entry; the other 1e-4 is for few classes in five digits or float32.
_MATRIX_TOLERANCE = 1e-4
_MATRIX_TOLERANCE_A_CLASS = 1e-6


def plain_array(owner, name, values):
    """`values` as an array; nested lists must be of one length.

    Args:
        owner: Name of the function that took the values.
        name: Name of the argument.
        values: Array-like, any shape.

    Returns:
        Array.

    Raises:
        ValueError: Rows differ in length.
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
        if np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all():
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


def _way_to_ids(labels, width):
    """What turns labels into class ids: `argmax` of flat ones would be one number."""
    if width > 1 or labels.dtype.kind in "iu":
        return _PASS_IDS
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels).all() and (labels == np.floor(labels)).all()
        return _CAST if whole else "Pass class ids."
    return _CAST if labels.dtype.kind == "b" else _NUMBER


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
    matrix = plain_array(owner, name, matrix)
    if matrix.dtype.kind not in "fiu":
        dtype = str(matrix.dtype)
        raise ParameterError(owner, f"{name}.dtype", dtype, "numeric")
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1] or len(matrix) < 2:
        constraint = "(classes, classes) with at least 2 classes"
        shape = matrix.shape
        raise ParameterError(owner, f"{name}.shape", shape, constraint)
    matrix, classes = matrix.astype(np.float64), len(matrix)
    for row, column in np.argwhere(~((matrix >= 0) & np.isfinite(matrix)))[:1]:
        place, value = f"{name}[{row}, {column}]", float(matrix[row, column])
        raise ParameterError(owner, place, value, "in [0, 1]")
    sums = matrix.sum(axis=1, keepdims=True)
    off = np.abs(sums - 1)
    tolerance = max(_MATRIX_TOLERANCE, _MATRIX_TOLERANCE_A_CLASS * classes)
    for row in np.flatnonzero(off > tolerance)[:1]:
        hint = "A row holds the probabilities of the noisy labels of one clean class."
        place, value = f"{name}[{row}].sum()", float(sums[row, 0])
        raise ParameterError(owner, place, value, "1", hint)
    rounding = classes * np.finfo(np.float64).eps
    return np.where(off > rounding, matrix / sums, matrix)
