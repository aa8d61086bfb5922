"""The Taylor loss without its redundancy: six numbers for one-hot labels."""

import numpy as np
from keras import ops

from tfrobustloss._core.validation import Range, check
from tfrobustloss.losses.labels import decode
from tfrobustloss.losses.taylor_polynomial import class_terms

NAMES = ("a1", "a2", "a3", "b2", "b3", "c")


def canonical_loss(y_true, y_pred, vector, from_logits=False):
    """A quartic of the label's probability and another of each other class's.

        loss = sum over classes of label * A(p) + (1 - label) * B(p)

        A(p) = a1 p + a2 p^2 + a3 p^3 + c p^4
        B(p) =        b2 p^2 + b3 p^3 + c p^4

    Every `taylor_loss` on one-hot labels is one of these, up to a constant: there is
    no `b1`, since probabilities add up to 1.

    Args:
        y_true: Class ids, shape `(...)` or `(..., 1)`, or one-hot labels, shape
            `(..., classes)`.
        y_pred: Probabilities in [0, 1], or logits, shape `(..., classes)`.
        vector: `a1, a2, a3, b2, b3, c`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        Loss per example, shape `(...)`, of either sign.

    Example:
        >>> loss = canonical_loss([0], [[0.7, 0.2, 0.1]], [-1, 0, 0, 0.5, 0, 0])
        >>> round(float(loss[0]), 4)  # -0.7 + 0.5 * (0.04 + 0.01)
        -0.675
    """
    labels, prediction = decode(y_true, y_pred, from_logits)
    a1, a2, a3, b2, b3, c = (vector[i] for i in range(6))
    p = prediction.probabilities()
    others = ops.sum(p * p * (b2 + p * (b3 + p * c)), axis=-1)
    # the term of `c` is the same for both, so that the difference is a cubic
    own = labels.pick(p * (a1 + p * ((a2 - b2) + p * (a3 - b3))))
    return others + own


def to_theta(vector, num_classes):
    """The 12 parameters of the `TaylorLoss` that equals a canonical one.

    With theta[0] = theta[1] = 0 the Taylor loss of a class is

        theta[2] p + theta[3] p^2 / 2 + theta[4] p^3 / 6 + theta[5] p^4 / 24     (B)
        + label * (theta[6] p + theta[8] p^2 / 2 + theta[9] p^3 / 6)         (A - B)

    for labels 0 and 1, and it is averaged over classes, not summed.

    Args:
        vector: `a1, a2, a3, b2, b3, c`.
        num_classes: Int >= 2.

    Returns:
        List of 12 floats.

    Example:
        >>> to_theta([-1, 0, 0, 0.5, 0, 0], num_classes=2)
        [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, -2.0, 0.0, -2.0, 0.0, 0.0, 0.0]
    """
    a1, a2, a3, b2, b3, c = (num_classes * float(value) for value in vector)
    # + 0.0 makes a plain zero of -0.0
    theta = [0, 0, 0, 2 * b2, 6 * b3, 24 * c, a1, 0, 2 * (a2 - b2), 6 * (a3 - b3), 0, 0]
    return [float(value) + 0.0 for value in theta]


def from_theta(theta, num_classes):
    """The canonical form of any Taylor loss, equal on one-hot labels up to a constant.

    Args:
        theta: 12 or 16 numbers.
        num_classes: Int >= 2.

    Returns:
        Array of `a1, a2, a3, b2, b3, c`.

    Example:
        >>> theta = to_theta([-1, 0, 2, 0.5, 0, 3], num_classes=4)
        >>> [round(x, 6) for x in from_theta(theta, num_classes=4).tolist()]
        [-1.0, 0.0, 2.0, 0.5, 0.0, 3.0]
    """
    theta = np.asarray(theta, "float64")
    shift = np.polynomial.Polynomial([-theta[0], 1])
    other, own = (
        np.polynomial.Polynomial(class_terms(theta, label - theta[1]))(shift).coef
        for label in (0, 1)
    )
    # a polynomial drops leading terms that are 0
    _, b1, b2, b3, c = np.pad(other, (0, 5 - len(other))) / num_classes
    _, a1, a2, a3, _ = np.pad(own, (0, 5 - len(own))) / num_classes
    return np.array([a1 - b1, a2, a3, b2, b3, c])


def fit(loss, num_classes, order=3, smallest=0.01):
    """The canonical loss nearest to a hand-made one, in the sense of least squares.

    The label's probability takes every value from `smallest` to 1 alike, and the rest
    is divided among the other classes in various ways; a constant is left free. What
    a loss does below `smallest`, where cross-entropy has no bound, is not fitted.

    Args:
        loss: `keras.losses.Loss` or a function `(y_true, y_pred) -> losses`, of class
            ids and probabilities.
        num_classes: Int >= 2.
        order: 3 for cubics, so that `c` is 0, or 4.
        smallest: Float in [0, 1), smallest probability of the label.

    Returns:
        Array of `a1, a2, a3, b2, b3, c`, to be given to `canonical_loss`.

    Example:
        >>> def absolute(y_true, y_pred):
        ...     return 1 - y_pred[:, 0]
        >>> [round(x, 3) + 0.0 for x in fit(absolute, 3).tolist()]
        [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    limits = {
        "num_classes": Range(low=2, integer=True),
        "order": Range(3, 4, integer=True),
        "smallest": Range(0, 1, open_high=True),
    }
    check("fit", limits, num_classes=num_classes, order=order, smallest=smallest)
    p = _sample(num_classes, smallest)
    function = getattr(loss, "call", loss)
    labels = np.zeros(len(p), "int32")
    values = ops.convert_to_numpy(function(labels, ops.convert_to_tensor(p)))
    own, others = p[:, 0].astype("float64"), p[:, 1:].astype("float64")
    columns = [
        own,
        own**2,
        own**3,
        (others**2).sum(-1),
        (others**3).sum(-1),
        own**4 + (others**4).sum(-1),
    ]
    matrix = np.stack([*columns[: 5 + (order == 4)], np.ones(len(p))], axis=1)
    # of several equally good solutions (two classes have some) the smallest
    solution = np.linalg.lstsq(matrix, values.astype("float64"), rcond=1e-7)[0]
    result = np.zeros(6)
    result[: 5 + (order == 4)] = solution[:-1]
    return result


def _sample(num_classes, smallest):
    """Predictions whose first class, the label's, covers its range evenly."""
    grid = np.linspace(smallest, 1, 200)
    generator = np.random.default_rng(0)
    shares = [
        generator.dirichlet(np.full(num_classes - 1, concentration), len(grid))
        for concentration in (0.1, 0.3, 1.0, 10.0)
    ]
    rows = [np.column_stack([grid, (1 - grid)[:, None] * share]) for share in shares]
    return np.concatenate(rows).astype("float32")
