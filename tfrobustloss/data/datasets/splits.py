"""Parses names of splits and their slices; splits datasets that have one split."""

import re

import numpy as np

from tfrobustloss._core.validation import ParameterError

_SLICE = re.compile(r"(?P<base>[^\[\]]+)(\[(?P<low>-?\d+%?)?:(?P<high>-?\d+%?)?\])?")


def parse(name, split, splits):
    """Parses a split, for example `"train[:50000]"`, into its name and slice.

    Args:
        name: Name of the dataset, for the error.
        split: Name of a split, or a slice of one in numbers of examples or percent.
        splits: Names of the splits there are.

    Returns:
        The name of the split, and a function of its number of examples that returns
        the slice with both ends, neither negative.

    Raises:
        ValueError: The dataset has no split of that name.
    """
    found = _SLICE.fullmatch(split) if isinstance(split, str) else None
    if found is None or found["base"] not in splits:
        known = ", ".join(f"'{one}'" for one in splits)
        constraint = f"one of {known}, the splits of {name!r}"
        hint = "A slice of one is written 'train[:50000]' or 'train[80%:]'."
        raise ParameterError("load", "split", split, constraint, hint)

    def place(text, count):
        if text is None:
            return None
        if text.endswith("%"):
            return round(int(text[:-1]) * count / 100)
        return int(text)

    def part(count):
        low, high = place(found["low"], count), place(found["high"], count)
        chosen = range(count)[low:high]
        return slice(chosen.start, max(chosen.start, chosen.stop))

    return found["base"], part


def every_kth(labels, k, split):
    """Splits a dataset: of each class, every k-th example is for testing.

    Args:
        labels: Class ids in the stored order, shape `(examples,)`.
        k: Int >= 2.
        split: `"train"` or `"test"`.

    Returns:
        Ascending indices of the split's examples.
    """
    labels = np.asarray(labels)
    is_test = np.zeros(len(labels), bool)
    for class_id in np.unique(labels):
        is_test[np.flatnonzero(labels == class_id)[k - 1 :: k]] = True
    return np.flatnonzero(is_test if split == "test" else ~is_test)
