"""Noise of multi-hot labels: each label of an example is flipped or lost by itself."""

import numpy as np

from tfrobustloss._core.labels import plain_array
from tfrobustloss._core.validation import ParameterError, check
from tfrobustloss.data.noise.draws import SEED, uniform_draws

_MISSING = -1
_ROUNDING = 1e-9  # of the sum of two rates


def corrupt_multi_hot(labels, flip_rates, seed, missing_rates=0.0):
    """Draws noisy multi-hot labels, the same for a seed on every machine.

    Each label is drawn by itself, at the rates of its class and its clean value. The
    noisy label of class `c` of example `i` depends on `i`, `c`, the number of classes,
    `seed`, its clean value and rates alone, so it does not change when examples are
    appended. A label that is flipped at flip rates of `r` and no missing rates is
    missing at missing rates of `r` and no flip rates, for the same seed.

    Args:
        labels: Multi-hot labels, shape `(..., classes)`, of 0, 1 and, for a missing
            label, which stays missing, -1. Integers, floats or bools.
        flip_rates: Probabilities in [0, 1] that a 0 becomes a 1 and that a 1 becomes a
            0: a pair for all classes, pairs of shape `(classes, 2)`, or a number for
            both. `(0, 0.3)` takes away 30 % of the positives of each class.
        seed: Int in [0, 2 ** 64).
        missing_rates: Probabilities that a 0 and that a 1 becomes -1, likewise.

    Returns:
        Array with the shape and dtype of `labels`.

    Raises:
        ValueError: `labels` hold other values, or their type cannot hold -1; rates are
            outside [0, 1], more than 1 together or of another shape; `seed` is
            negative.

    Example:
        >>> clean = [[1, 0, 1], [0, 1, 1], [1, 1, 0]]
        >>> corrupt_multi_hot(clean, (0, 0.4), seed=1).tolist()
        [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
        >>> corrupt_multi_hot(clean, 0, seed=1, missing_rates=(0, 0.4)).tolist()
        [[-1, 0, -1], [0, -1, 1], [1, -1, 0]]
    """
    owner = "corrupt_multi_hot"
    check(owner, {"seed": SEED}, seed=seed)
    labels = _multi_hot(owner, labels)
    thresholds = _thresholds(owner, flip_rates, labels.shape[-1], missing_rates)
    unsigned = labels.dtype.kind in "ub"
    if unsigned and thresholds[..., 0].any():
        constraint, hint = "a type that can hold -1", "Cast the labels to int8."
        dtype = labels.dtype.name
        raise ParameterError(owner, "labels.dtype", dtype, constraint, hint)
    counters = np.arange(labels.size).reshape(labels.shape)
    draws = uniform_draws(counters, seed)
    positive = labels == 1
    lost, changed = (
        draws < np.where(positive, thresholds[:, 1, kind], thresholds[:, 0, kind])
        for kind in range(2)
    )
    noisy = np.where(changed, ~positive, positive).astype(labels.dtype)
    if not unsigned:
        noisy[lost | (labels == _MISSING)] = _MISSING
    return noisy


def flip_thresholds(flip_rates, num_classes, missing_rates=0.0):
    """The thresholds by which `corrupt_multi_hot` draws.

    A label of class `c` and clean value `v` is missing at a uniform draw below
    `thresholds[c, v, 0]`, and else flipped below `thresholds[c, v, 1]`.

    Args:
        flip_rates: As in `corrupt_multi_hot`.
        num_classes: Int >= 1.
        missing_rates: As in `corrupt_multi_hot`.

    Returns:
        Float64 array, shape `(classes, 2, 2)`.

    Raises:
        ValueError: Rates are outside [0, 1], more than 1 together or of another shape.

    Example:
        >>> flip_thresholds((0.0, 0.25), num_classes=1, missing_rates=0.5).tolist()
        [[[0.5, 0.5], [0.5, 0.75]]]
    """
    return _thresholds("flip_thresholds", flip_rates, num_classes, missing_rates)


def realized_flip_rates(clean, noisy):
    """Shares of the known labels of each class that were flipped.

    Args:
        clean: Multi-hot labels, shape `(..., classes)`, of 0, 1 and -1.
        noisy: Multi-hot labels of the same shape.

    Returns:
        Float64 array, shape `(classes, 2)`: the share of the zeros that became a 1, and
        of the ones that became a 0; 0 where there are none. A label that is missing in
        either does not count.

    Raises:
        ValueError: Labels hold other values, or the shapes differ.

    Example:
        >>> clean = [[0, 1], [0, 1], [1, 1], [0, 1]]
        >>> noisy = [[1, 1], [0, 0], [1, 0], [-1, 1]]
        >>> realized_flip_rates(clean, noisy).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    owner = "realized_flip_rates"
    clean = _multi_hot(owner, clean, "clean")
    noisy = _multi_hot(owner, noisy, "noisy")
    if clean.shape != noisy.shape:
        constraint = f"{clean.shape}, the shape of `clean`"
        raise ParameterError(owner, "noisy.shape", noisy.shape, constraint)
    clean, noisy = (each.reshape(-1, clean.shape[-1]) for each in (clean, noisy))
    rates = []
    for value in (0, 1):
        there = (clean == value) & (noisy != _MISSING)
        flipped = there & (noisy == 1 - value)
        rates.append(flipped.sum(axis=0) / np.maximum(there.sum(axis=0), 1))
    return np.stack(rates, axis=-1)


def _multi_hot(owner, labels, name="labels"):
    labels = plain_array(owner, name, labels)
    if labels.dtype.kind not in "biuf":
        constraint = "a type of integers, floats or bools"
        raise ParameterError(owner, f"{name}.dtype", str(labels.dtype), constraint)
    if not labels.ndim or not labels.shape[-1]:
        constraint = "(..., classes), a column a class"
        raise ParameterError(owner, f"{name}.shape", labels.shape, constraint)
    for place in np.argwhere(~np.isin(labels, (0, 1, _MISSING)))[:1].tolist():
        value = labels[tuple(place)].item()
        hint = "Class ids become rows by `numpy.eye(classes)[ids]`."
        constraint = "0, 1 or -1 for a missing label"
        raise ParameterError(owner, f"{name}{place}", value, constraint, hint)
    return labels


def _thresholds(owner, flip_rates, num_classes, missing_rates):
    flips = _rates(owner, "flip_rates", flip_rates, num_classes)
    missing = _rates(owner, "missing_rates", missing_rates, num_classes)
    both = flips + missing
    for place in np.argwhere(both > 1 + _ROUNDING)[:1].tolist():
        value = float(missing[tuple(place)])
        rest = 1 - float(flips[tuple(place)])
        constraint = f"at most {rest:g}, the rest of `flip_rates{place}`"
        raise ParameterError(owner, f"missing_rates{place}", value, constraint)
    # 0.7 + 0.3 may fall short of 1, and then a label stay by chance
    both = np.where(np.abs(both - 1) < _ROUNDING, 1.0, both)
    return np.stack([missing, both], axis=-1)


def _rates(owner, name, rates, num_classes):
    """Rates as float64 pairs, shape `(classes, 2)`."""
    rates = plain_array(owner, name, rates)
    if rates.dtype.kind not in "fiu":
        raise ParameterError(owner, f"{name}.dtype", str(rates.dtype), "numeric")
    pairs = (num_classes, 2)
    if rates.shape not in ((), (2,), pairs):
        constraint = f"a number, a pair (of zeros, of ones), or pairs of shape {pairs}"
        raise ParameterError(owner, f"{name}.shape", rates.shape, constraint)
    for place in np.argwhere(~((rates >= 0) & (rates <= 1)))[:1].tolist():
        value = float(rates[tuple(place)])
        where = f"{name}{place}" if place else name
        raise ParameterError(owner, where, value, "in [0, 1]")
    return np.broadcast_to(rates.astype(np.float64), pairs)
