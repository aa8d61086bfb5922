"""Ranges of pixel values: given by the user, or read off the images.

Operations such as erasing or posterisation need the smallest and the largest value that
a pixel may have. A wrong range does not fail, it spoils the images, so a range is never
guessed: where it cannot be seen it must be given.
"""

import keras
import numpy as np

from tfrobustloss._core.tensors import visible
from tfrobustloss._core.validation import ParameterError, ParameterTypeError

BYTES, UNIT, SIGNED = (0, 255), (0, 1), (-1, 1)
_BRIGHT = 63  # whole numbers that stay below may be of another range, such as [0, 16]
_WAY_OUT = (
    "Give the range of the images: `value_range=(0, 1)`, `(0, 255)`, `(-1, 1)`, or the "
    "smallest and largest value of standardised ones."
)


def check_range(owner, value_range):
    """`value_range` as a pair of floats or ints, or None.

    Raises:
        TypeError: It is not a pair of numbers.
        ValueError: The first number is not below the second, or one is not finite.
    """
    if value_range is None:
        return None
    constraint = "None or a pair: the smallest and the largest value of a pixel"
    is_pair = isinstance(value_range, tuple | list) and len(value_range) == 2
    if not is_pair or not all(isinstance(x, int | float) for x in value_range):
        raise ParameterTypeError(owner, "value_range", value_range, constraint)
    low, high = value_range
    if not (np.isfinite([low, high]).all() and low < high):
        raise ParameterError(owner, "value_range", value_range, constraint)
    return low, high


def pixel_range(owner, declared, images):
    """The range of pixel values: the declared one, held against what can be seen.

    Args:
        owner: Name of the operation that needs the range.
        declared: What the user gave, a pair, or None.
        images: Tensor as the recipe received it.

    Returns:
        Pair of numbers.

    Raises:
        ValueError: Nothing was declared and nothing can be seen, or the images are
            plainly of another range.
    """
    if declared is not None:
        _check_fits(owner, declared, images)
        return declared
    found = seen_range(images)
    if found is None:
        constraint = f"given: it does not show in {_described(images)}"
        raise ParameterError(owner, "value_range", None, constraint, _WAY_OUT)
    return found


def seen_range(images):
    """The range that dtype or values of images show, or None.

    uint8 is [0, 255]. Else the values decide, where a program that is being compiled
    does not hide them: all in [0, 1] or in [-1, 1], or whole numbers up to 255 of which
    one is above 63.
    """
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype == "uint8":
        return BYTES
    if dtype == "bool":
        return UNIT
    values = _values(images)
    if values is None:
        return None
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:
        return UNIT
    if low >= -1 and high <= 1:
        return SIGNED
    is_whole = (values == np.floor(values)).all()
    if low >= 0 and _BRIGHT < high <= 255 and is_whole:
        return BYTES
    return None


def _check_fits(owner, declared, images):
    """Raises if images are plainly not of a range.

    Resizing may overshoot a range, so only values more than half its width outside
    count. Fractions that all lie in [-1, 1] are not of a range like [0, 255].
    """
    low, high = declared
    width = high - low
    dtype = keras.backend.standardize_dtype(images.dtype)
    values = _values(images)
    if values is None:
        fits = dtype != "uint8" or high > 1
        shown = "uint8 images"
    else:
        least, most = float(values.min()), float(values.max())
        shown = f"images with values in [{least:g}, {most:g}]"
        fits = low - width / 2 <= least and most <= high + width / 2
        if width > 100 and -1 <= least and most <= 1:
            fits = fits and (values == np.floor(values)).all()
    if not fits:
        constraint = f"the range of the images; these are {shown}"
        raise ParameterError(owner, "value_range", declared, constraint, _WAY_OUT)


def _values(images):
    """Concrete values as float32, or None: while tracing, or of an empty batch."""
    values = visible(images)
    if values is None or not values.size:
        return None
    return values.astype("float32")


def _described(images):
    dtype = keras.backend.standardize_dtype(images.dtype)
    values = _values(images)
    if values is None:
        return f"{dtype} images of a compiled program"
    return f"{dtype} images with values in [{values.min():g}, {values.max():g}]"
