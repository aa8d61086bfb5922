"""Transition matrices, and labels drawn from them."""

import numpy as np

from tfrobustloss._core.labels import check_holds, class_ids, stochastic_matrix
from tfrobustloss._core.validation import ParameterError, Range, check
from tfrobustloss.data.noise.class_maps import CLASS_MAPS
from tfrobustloss.data.noise.draws import SEED, uniform_draws

_LIMITS = {
    "num_classes": Range(low=2, integer=True),
    "rate": Range(low=0, high=1),
    "seed": SEED,
}


def symmetric(num_classes, rate):
    """Symmetric noise: every wrong class is equally likely; the true one is excluded.

        T[i, i] = 1 - rate,   T[i, j] = rate / (num_classes - 1)

    `rate` is thus the share of wrong labels. Papers that replace a label by any class,
    the true one included, have only `rate * (1 - 1 / num_classes)` wrong ones.

    Args:
        num_classes: Int >= 2.
        rate: Probability in [0, 1] that a label is wrong.

    Returns:
        Row-stochastic float64 matrix, shape `(num_classes, num_classes)`.

    Raises:
        ValueError: `num_classes` is below 2 or `rate` is outside [0, 1].

    Example:
        >>> symmetric(3, 0.5).tolist()
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]

    Reference:
        Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach", CVPR 2017.
    """
    check("symmetric", _LIMITS, num_classes=num_classes, rate=rate)
    num_classes = int(num_classes)
    matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def pair_flip(num_classes, rate):
    """Pair-flip noise: each class is confused with the next, the last with the first.

        T[i, i] = 1 - rate,   T[i, (i + 1) mod num_classes] = rate

    Args:
        num_classes: Int >= 2.
        rate: Probability in [0, 1] that a label is wrong. From 0.5 on, the wrong
            class is the likelier one and no loss can tell them apart.

    Returns:
        Row-stochastic float64 matrix, shape `(num_classes, num_classes)`.

    Raises:
        ValueError: `num_classes` is below 2 or `rate` is outside [0, 1].

    Example:
        >>> pair_flip(3, 0.25).tolist()
        [[0.75, 0.25, 0.0], [0.0, 0.75, 0.25], [0.25, 0.0, 0.75]]

    Reference:
        Han et al., "Co-teaching: Robust Training of Deep Neural Networks with
        Extremely Noisy Labels", NeurIPS 2018.
    """
    check("pair_flip", _LIMITS, num_classes=num_classes, rate=rate)
    num_classes = int(num_classes)
    flips = {i: (i + 1) % num_classes for i in range(num_classes)}
    return _flip_matrix(num_classes, flips, rate)


def asymmetric(dataset, rate):
    """Asymmetric noise: the published confusions of similar classes in a dataset.

    - `"mnist"`: 7→1, 2→7, 5↔6, 3→8.
    - `"cifar10"`: truck→automobile, bird→airplane, cat↔dog, deer→horse.
    - `"cifar100"`: each class → the next one of its superclass by class id, the last
      → the first. The superclasses are the official ones, not five ids in a row.

    For MNIST and CIFAR-10 the noise touches 5 of the 10 classes only: "40 %" there
    means about 20 % wrong labels over all. For CIFAR-100 it touches every class.

    Args:
        dataset: One of `"mnist"`, `"cifar10"`, `"cifar100"`.
        rate: Probability in [0, 1] that the label of a *touched* class is wrong. From
            0.5 on, the wrong class is the likelier one.

    Returns:
        Row-stochastic float64 matrix, shape `(classes, classes)`.

    Raises:
        ValueError: `dataset` has no published map or `rate` is outside [0, 1].

    Example:
        >>> asymmetric("cifar10", 0.4)[3, [3, 5]].tolist()  # a cat: cat, dog
        [0.6, 0.4]

    Reference:
        Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach", CVPR 2017; superclasses: Krizhevsky, "Learning Multiple
        Layers of Features from Tiny Images", 2009.
    """
    if not isinstance(dataset, str) or dataset not in CLASS_MAPS:
        known = ", ".join(f"'{name}'" for name in CLASS_MAPS)
        hint = (
            "No other dataset has a published class map: use `pair_flip` or "
            "`symmetric`, or give a matrix of your own to `corrupt`."
        )
        raise ParameterError("asymmetric", "dataset", dataset, f"one of {known}", hint)
    check("asymmetric", _LIMITS, rate=rate)
    return _flip_matrix(*CLASS_MAPS[dataset], rate)


def corrupt(labels, transition_matrix, seed):
    """Draws noisy labels, the same for a seed on every machine and NumPy version.

    The noisy label of example `i` depends on `i`, `seed`, its clean label and the
    matrix alone: it does not change when examples are appended, and is independent of
    that of another seed. Labels of more than one axis count `i` in row-major order, so
    shapes `(n,)` and `(n, 1)` agree.

    Args:
        labels: Integer class ids in [0, classes), any shape. Their dtype must be able
            to hold the highest class.
        transition_matrix: Row-stochastic matrix, shape `(classes, classes)`: row = the
            clean class, column = the noisy one.
        seed: Int in [0, 2 ** 64).

    Returns:
        Array with the shape and dtype of `labels`.

    Raises:
        ValueError: `labels` are not integers, out of range or one-hot;
            `transition_matrix` is not square, has an entry that is negative or not
            finite, or a row that does not sum to 1; `seed` is negative.

    Example:
        >>> corrupt([0, 1, 2, 0, 1, 2], symmetric(3, 0.5), seed=1).tolist()
        [0, 2, 0, 2, 0, 2]
        >>> corrupt([0, 1, 2, 0], symmetric(3, 0.5), seed=1).tolist()  # a prefix
        [0, 2, 0, 2]
    """
    check("corrupt", _LIMITS, seed=seed)
    matrix = stochastic_matrix("corrupt", "transition_matrix", transition_matrix)
    thresholds = class_thresholds(matrix)
    labels = class_ids("corrupt", "labels", labels, len(matrix))
    check_holds("corrupt", "labels", labels.dtype, len(matrix))
    flat = labels.reshape(-1)
    draws = uniform_draws(np.arange(flat.size), seed)
    noisy = np.empty_like(flat)
    for clean in np.unique(flat):  # by class: memory stays that of the labels
        where = np.flatnonzero(flat == clean)
        noisy[where] = np.searchsorted(thresholds[clean], draws[where], side="right")
    return noisy.reshape(labels.shape)


def class_thresholds(transition_matrix):
    """Cumulative sums of a matrix' rows, to draw classes by inversion.

    The noisy class of clean class `i` at the uniform draw `u` is the number of
    thresholds in row `i` that are <= `u`. From the last class of nonzero probability
    on, the threshold is 1 exactly, so that rounding of the sums can neither leave a
    gap at the end nor reach a class of probability 0.

    Args:
        transition_matrix: Row-stochastic matrix, shape `(classes, classes)`.

    Returns:
        Float64 array, shape `(classes, classes)`, rows ascending.

    Raises:
        ValueError: `transition_matrix` is not square, has an entry that is negative
            or not finite, or a row that does not sum to 1.

    Example:
        >>> class_thresholds([[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1]]).tolist()
        [[0.75, 1.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.0, 1.0]]
    """
    owner, name = "class_thresholds", "transition_matrix"
    matrix = stochastic_matrix(owner, name, transition_matrix)
    sums = np.cumsum(matrix, axis=1)  # term after term: the same on every machine
    last = len(matrix) - 1 - np.argmax(matrix[:, ::-1] > 0, axis=1)
    from_last_on = np.arange(len(matrix)) >= last[:, np.newaxis]
    return np.where(from_last_on, 1.0, np.minimum(sums, 1.0))


def realized_matrix(clean, noisy, num_classes):
    """Empirical transition matrix: the share of each noisy label in each clean class.

    Args:
        clean: Integer class ids in [0, num_classes), any shape.
        noisy: Integer class ids in [0, num_classes), same shape.
        num_classes: Int >= 2.

    Returns:
        Row-stochastic float64 matrix, shape `(num_classes, num_classes)`. A class that
        never occurs has the row of the identity.

    Raises:
        ValueError: Labels are not integers, out of range, one-hot or of different
            shapes, or `num_classes` is below 2.

    Example:
        >>> realized_matrix([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], num_classes=3).tolist()
        [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    check("realized_matrix", _LIMITS, num_classes=num_classes)
    num_classes = int(num_classes)
    clean, noisy = _label_pair("realized_matrix", clean, noisy, num_classes)
    cells = clean * num_classes + noisy
    counts = np.bincount(cells, minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    absent = counts.sum(axis=1) == 0
    counts[absent, absent] = 1
    return counts / counts.sum(axis=1, keepdims=True)


def realized_rate(clean, noisy):
    """Share of the labels that are wrong.

    Args:
        clean: Integer class ids >= 0, any shape, at least one.
        noisy: Integer class ids >= 0, same shape.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: Labels are not integers, negative, one-hot, of different shapes,
            or there are none.

    Example:
        >>> realized_rate([0, 1, 2, 2], [0, 1, 2, 0])
        0.25
    """
    clean, noisy = _label_pair("realized_rate", clean, noisy)
    if clean.size == 0:
        constraint = "at least one label"
        raise ParameterError("realized_rate", "clean", [], constraint)
    return float(np.mean(clean != noisy))


def _flip_matrix(num_classes, flips, rate):
    matrix = np.eye(num_classes)
    for clean, wrong in flips.items():
        matrix[clean, clean] = 1 - rate
        matrix[clean, wrong] = rate
    return matrix


def _label_pair(owner, clean, noisy, num_classes=None):
    """Clean and noisy labels as flat int64 class ids of one shape."""
    clean = class_ids(owner, "clean", clean, num_classes)
    noisy = class_ids(owner, "noisy", noisy, num_classes)
    if clean.shape != noisy.shape:
        constraint = f"{clean.shape}, the shape of `clean`"
        raise ParameterError(owner, "noisy.shape", noisy.shape, constraint)
    return clean.reshape(-1).astype(np.int64), noisy.reshape(-1).astype(np.int64)
