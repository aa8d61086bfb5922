"""`Found`: examples as a reader of one kind of source returns them; class names."""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrobustloss._core.validation import ParameterError

OWNER = "read"
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


@dataclasses.dataclass(eq=False)
class Found:
    """What a reader found, before classes, test set and corrections are settled.

    Attributes:
        inputs: Images or features.
        labels: Class ids, shape `(examples,)`.
        class_names: Tuple of text, one a class.
        ids: List or array of text.
        place: Function of an index: where the example stands, for errors.
        kind: `"images"` or `"features"`.
        feature_names: As in `LabelledData`.
        encoding: As in `LabelledData`.
        table: As in `LabelledData`.
        notes: List of sentences.
    """

    inputs: Any
    labels: np.ndarray
    class_names: tuple[str, ...]
    ids: Any
    place: Callable[[int], str]
    kind: str
    feature_names: tuple[str, ...] | None = None
    encoding: Any = None
    table: Any = None
    notes: list[str] = dataclasses.field(default_factory=list)


def is_whole(text):
    """Whether a text is a whole number, for example `3`, `-1` or `2.0`."""
    return _WHOLE.fullmatch(text) is not None


def whole(text):
    """A whole number in its shortest form: `2.0` is `2`."""
    return str(int(text.partition(".")[0]))


def in_order(names):
    """Names in the order of scikit-learn: whole numbers by value, others as text."""
    names = list(names)
    if names and all(map(is_whole, names)):
        return tuple(sorted(names, key=lambda name: (int(whole(name)), name)))
    return tuple(sorted(names))


def coded(texts, place, column):
    """Labels of a column of text as class ids.

    Args:
        texts: List of text without empty ones; all of them whole numbers, which may be
            written `1` or `1.0`, or all of them words.
        place: Function of an index: where the label stands.
        column: Name of the column, for errors.

    Returns:
        Int64 class ids and the tuple of class names.

    Raises:
        ValueError: Numbers and words are mixed, or numbers are not whole.
    """
    names, ids = np.unique(np.asarray(texts, str), return_inverse=True)
    names = names.tolist()
    numbers = [is_number(name) for name in names]
    if any(numbers):
        _check_whole(names, numbers, ids, place, column)
        names = [whole(name) for name in names]
    ordered = in_order(set(names))
    codes = {name: code for code, name in enumerate(ordered)}
    return np.array([codes[name] for name in names], np.int64)[ids.ravel()], ordered


def _check_whole(names, numbers, ids, place, column):
    """Raises for labels of which some are numbers and not all are whole ones."""
    counts = np.bincount(ids.ravel())
    numeric = np.array(numbers)
    if not numeric.all():
        words_are_odd = counts[numeric].sum() >= counts[~numeric].sum()
        odd = ~numeric if words_are_odd else numeric
        constraint = "a number" if words_are_odd else "a word"
        constraint += ", as most labels are"
        hint = "Write all labels as whole numbers, or all as words."
    else:
        odd = np.array([not is_whole(name) for name in names])
        constraint = "a whole number"
        hint = (
            f"Column {column!r} has {len(names)} different values: does it hold the "
            "classes? Name another column by `label`."
        )
    for code in np.flatnonzero(odd)[:1]:
        index = int(np.flatnonzero(ids.ravel() == code)[0])
        raise ParameterError(OWNER, place(index), names[code], constraint, hint)


def is_number(text):
    """Whether Python reads a text as a finite number."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def listed(values, most=5):
    """The first few of some values in quotes, and how many more there are."""
    values = list(values)
    text = ", ".join(repr(str(value)) for value in values[:most])
    more = len(values) - most
    return text if more <= 0 else f"{text} and {more} more"


def check_bytes(name, size, max_bytes, hint):
    """Raises a ValueError if an array would be larger than `max_bytes`."""
    if size > max_bytes:
        constraint = f"at most {max_bytes / 2**30:.3g} GiB in memory (`max_bytes`)"
        raise ParameterError(OWNER, name, f"{size / 2**30:.3g} GiB", constraint, hint)
