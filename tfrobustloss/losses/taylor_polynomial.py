"""The Taylor loss' polynomial in the prediction, and its extremes on the simplex."""

import numpy as np


def class_terms(theta, v):
    """Coefficients of u^0 .. u^4 of one class, for `v = label - theta[1]`."""
    label_only = 0.0
    if len(theta) == 16:
        label_only = v * (
            theta[12] + v * (theta[13] / 2 + v * (theta[14] / 6 + v * theta[15] / 24))
        )
    return [
        label_only,
        theta[2] + v * (theta[6] + v * (theta[7] / 2 + v * theta[10] / 6)),
        theta[3] / 2 + v * (theta[8] / 2 + v * theta[11] / 4),
        theta[4] / 6 + v * (theta[9] / 6),
        theta[5] / 24,
    ]


def find_bounds(theta, num_classes):
    """Smallest and largest Taylor loss over predictions and one-hot labels.

    At an extreme the wrong classes take at most a few different values (their common
    slope is a cubic), so this looks at predictions of one value at the label, `m`
    classes sharing a second, one class with a third and zeros elsewhere, on a fine
    grid. No randomness: the same bounds on every machine.

    Args:
        theta: 12 or 16 numbers.
        num_classes: Int >= 2.

    Returns:
        `(low, high)`, floats.
    """
    theta = np.asarray(theta, "float64")
    label = np.linspace(0, 1, 401)[:, None, None]
    share = np.linspace(0, 1, 41)[None, :, None]
    others = num_classes - 1
    counts = np.unique(np.geomspace(1, others, 64).round().astype(int))[None, None, :]
    rest = 1 - label
    # `m` classes share `share * rest`; one more, if there is one, takes what is left
    share = np.where(counts == others, 1.0, share)
    total = _value(theta, label, 1.0)
    total = total + counts * _value(theta, share * rest / counts, 0.0)
    single = _value(theta, (1 - share) * rest, 0.0)
    total = total + np.where(counts < others, single, 0.0)
    total = total + np.maximum(others - counts - 1, 0) * _value(theta, 0.0, 0.0)
    total = total / num_classes
    return float(total.min()), float(total.max())


def _value(theta, p, label):
    c0, c1, c2, c3, c4 = class_terms(theta, label - theta[1])
    u = p - theta[0]
    return c0 + u * (c1 + u * (c2 + u * (c3 + u * c4)))
