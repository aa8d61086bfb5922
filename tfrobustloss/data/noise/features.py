"""Feature noise and open-set noise: wrong inputs under unchanged labels."""

import numpy as np

from tfrobustloss._core.labels import plain_array
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.data.noise.draws import SEED, normal_draws, stream_seed, uniform_draws

_LIMITS = {"amount": Range(low=0, high=1), "seed": SEED}
_OPEN_LIMITS = {"rate": Range(low=0, high=1), "seed": SEED}
_KINDS = ("gaussian", "salt_and_pepper", "outliers")
_WHETHER, _WHAT = range(2)  # the streams of draws
_VALUES_A_CHUNK = 1 << 20


def feature_noise(images, kind, amount, seed, value_range=None):
    """Adds noise to images; their labels do not change.

    - `"gaussian"`: normal noise on every value, standard deviation `amount` times the
      length of `value_range`, cut to the range.
    - `"salt_and_pepper"`: a pixel is lost with probability `amount`, all its channels
      at once: half of the lost ones to the lowest value, half to the highest.
    - `"outliers"`: an image is replaced with probability `amount` by uniform noise.

    The noise of example `i` depends on `i`, `seed` and the shape of an example alone.

    Args:
        images: Array, shape `(examples, height, width, channels)`; of any other rank
            `(examples, ...)`, each value counts as a pixel.
        kind: `"gaussian"`, `"salt_and_pepper"` or `"outliers"`.
        amount: In [0, 1]; 0 changes nothing.
        seed: Int in [0, 2 ** 64).
        value_range: `(lowest, highest)`. None is `(0, 255)` for an integer type and
            `(0, 1)` for a float type.

    Returns:
        Array with the shape and dtype of `images`; integers are rounded.

    Raises:
        ValueError: `kind` is unknown, `amount` or `seed` is out of its range, images
            are not numbers inside `value_range`.

    Example:
        >>> grey = np.full((2, 1, 4, 1), 100, np.uint8)
        >>> feature_noise(grey, "salt_and_pepper", 0.5, seed=0)[:, 0, :, 0].tolist()
        [[0, 0, 100, 100], [255, 100, 255, 100]]
    """
    owner = "feature_noise"
    check(owner, _LIMITS, amount=amount, seed=seed)
    if kind not in _KINDS:
        known = ", ".join(f"'{one}'" for one in _KINDS)
        raise ParameterError(owner, "kind", kind, f"one of {known}")
    images = plain_array(owner, "images", images).copy()  # the caller's are not changed
    low, high = _checked_range(owner, images, value_range)
    if not images.size:
        return images
    change = {
        "gaussian": _gaussian,
        "salt_and_pepper": _salt_and_pepper,
        "outliers": _outliers,
    }[kind]
    step = max(1, _VALUES_A_CHUNK // images[0].size)
    for start in range(0, len(images), step):
        part = images[start : start + step]
        changed = change(part.astype(np.float64), start, amount, seed, low, high)
        if images.dtype.kind in "iu":
            changed = np.round(changed)
        part[...] = changed
    return images


def open_set(images, outside_images, rate, seed):
    """Replaces some images by those of another dataset; their labels do not change.

    Example `i` is replaced with probability `rate`, by an outside image drawn with
    replacement; both draws depend on `i` and `seed` alone.

    Args:
        images: Array, shape `(examples, ...)`.
        outside_images: Array of the other set, shape `(others, ...)`, of the same type
            and the same shape of an image.
        rate: Probability in [0, 1] that an image is replaced.
        seed: Int in [0, 2 ** 64).

    Returns:
        `(mixed, replaced)`: an array like `images`, and a boolean array of shape
        `(examples,)`, True where an image was replaced.

    Raises:
        ValueError: The two sets differ in type or shape, there is no outside image,
            or `rate` or `seed` is out of its range.

    Example:
        >>> ours, others = np.zeros((6, 1)), np.ones((3, 1))
        >>> mixed, replaced = open_set(ours, others, rate=0.5, seed=1)
        >>> replaced.tolist() == (mixed[:, 0] == 1).tolist()
        True

    Reference:
        Wang et al., "Iterative Learning with Open-set Noisy Labels", CVPR 2018.
    """
    owner = "open_set"
    check(owner, _OPEN_LIMITS, rate=rate, seed=seed)
    images = plain_array(owner, "images", images).copy()
    outside = plain_array(owner, "outside_images", outside_images)
    wanted = ("...", *images.shape[1:], str(images.dtype))
    if outside.shape[1:] != images.shape[1:] or outside.dtype != images.dtype:
        constraint = f"{wanted}, shape and type of `images`"
        given = (*outside.shape, str(outside.dtype))
        hint = "Resize and convert them first."
        raise ParameterError(owner, "outside_images", given, constraint, hint)
    if not len(outside):
        constraint = "at least one image"
        raise ParameterError(owner, "len(outside_images)", 0, constraint)
    counters = np.arange(len(images))
    replaced = uniform_draws(counters, stream_seed(seed, _WHETHER)) < rate
    which = uniform_draws(counters, stream_seed(seed, _WHAT)) * len(outside)
    images[replaced] = outside[which[replaced].astype(np.int64)]
    return images, replaced


def _checked_range(owner, images, value_range):
    if images.dtype.kind not in "fiu" or not images.ndim:
        constraint = "a numeric array of examples"
        dtype = str(images.dtype)
        raise ParameterError(owner, "images.dtype", dtype, constraint)
    if value_range is None:
        value_range = (0, 255) if images.dtype.kind in "iu" else (0, 1)
    low, high = value_range
    if not low < high:
        constraint = "(lowest, highest)"
        raise ParameterError(owner, "value_range", value_range, constraint)
    if images.size and not (images.min() >= low and images.max() <= high):
        extremes = (float(images.min()), float(images.max()))
        hint = "Give the `value_range` of your images."
        constraint = f"in [{low}, {high}]"
        raise ParameterError(owner, "images", extremes, constraint, hint)
    return low, high


def _counters(values, start):
    """A running number for each value, over all examples."""
    return np.arange(values.size).reshape(values.shape) + start * values[0].size


def _gaussian(images, start, amount, seed, low, high):
    drawn = normal_draws(_counters(images, start), stream_seed(seed, _WHAT))
    return np.clip(images + amount * (high - low) * drawn, low, high)


def _salt_and_pepper(images, start, amount, seed, low, high):
    pixels = images[..., :1] if images.ndim == 4 else images
    drawn = uniform_draws(_counters(pixels, start), stream_seed(seed, _WHETHER))
    images = np.where(drawn < amount / 2, low, images)
    return np.where((drawn >= amount / 2) & (drawn < amount), high, images)


def _outliers(images, start, amount, seed, low, high):
    examples = np.arange(len(images)) + start
    replaced = uniform_draws(examples, stream_seed(seed, _WHETHER)) < amount
    drawn = uniform_draws(_counters(images, start), stream_seed(seed, _WHAT))
    replaced = replaced.reshape(-1, *[1] * (images.ndim - 1))
    return np.where(replaced, low + (high - low) * drawn, images)
