"""Transition matrices by method, and the clean probabilities that a matrix implies.

`T[i, j] = P(label j | class i)`. A model trained on noisy labels predicts the *label*:
its probabilities are `q T`, where `q` are those of the clean class. All functions take
class ids and probabilities that are already checked. A class without labels, or without
evidence for it, gets the row of the identity.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

_SMALLEST = 1e-8  # a probability of 0 says no more than this
_SUM = 1e-12
_TINY = 1e-300


def anchor(labels, probabilities, percentile):
    """Row `i` is the prediction for the example most confidently labelled `i`.

    With a percentile below 100, it is the most confident example below the percentile,
    so that a single outlier cannot become a row.
    """
    num_classes = probabilities.shape[1]
    matrix = np.empty((num_classes, num_classes))
    for i in range(num_classes):
        column = probabilities[:, i]
        if percentile < 100:
            below = column < np.percentile(column, percentile, method="higher")
            if below.any():
                column = np.where(below, column, -1.0)
        matrix[i] = probabilities[column.argmax()]
    return known_rows(matrix, labels)


def confident_joint(labels, probabilities):
    """Joint distribution of class and label, shape `(classes, classes)`, sum 1.

    An example is counted for a class if its probability is at least the mean confidence
    of the examples with that label; for the likeliest of several, and not at all if
    there is none. The counts of a label are scaled to its frequency.
    """
    num_classes = probabilities.shape[1]
    given = np.bincount(labels, minlength=num_classes)
    own = probabilities[np.arange(len(labels)), labels]
    total = np.bincount(labels, own, minlength=num_classes)
    threshold = np.where(given > 0, total / np.maximum(given, 1), np.inf)
    # a mean may lie a rounding above all that it is the mean of
    above = np.where(probabilities >= threshold - 1e-9, probabilities, -1.0)
    guess, sure = above.argmax(axis=1), above.max(axis=1) >= 0
    counts = pair_counts(guess[sure], labels[sure], num_classes)
    least = (given > 0) & (np.diag(counts) == 0)
    counts[least, least] = 1  # each label that occurs is right at least once
    counts *= given / np.maximum(counts.sum(axis=0), 1)
    return counts / counts.sum()


def confident(labels, probabilities):
    """The confident joint, each row scaled to sum to 1."""
    joint = confident_joint(labels, probabilities)
    rows = joint.sum(axis=1, keepdims=True)
    matrix = np.where(rows > 0, joint / np.maximum(rows, _SUM), np.eye(len(joint)))
    return known_rows(matrix, labels)


def pair_counts(rows, columns, num_classes):
    """Contingency table of two arrays of class ids, float64."""
    cells = rows * num_classes + columns
    counts = np.bincount(cells, minlength=num_classes**2).astype(np.float64)
    return counts.reshape(num_classes, num_classes)


def class_shares(matrix, shares):
    """Maximum-likelihood shares of the clean classes, given those of the labels."""
    # a label that no class of the matrix can have would leave a share of 0
    matrix = (matrix + 1e-9) / (1 + 1e-9 * len(matrix))
    prior = np.maximum(shares, _SUM)
    for _ in range(500):  # expectation-maximisation
        step = matrix @ (shares / np.maximum(prior @ matrix, _SUM))
        prior = prior * step
        if np.abs(step - 1)[prior > 1e-9].max() < 1e-9:
            break
    return prior / prior.sum()


def plateau(labels, probabilities, width=2.0):
    """Row `i` holds label frequencies of the examples most confidently labelled `i`.

    Among the most confident, the share of label `i` is the diagonal entry; further down
    other classes mix in and it falls. The number of examples is the one with the
    highest lower end of the share's interval, `width` standard errors wide (Wilson
    1927).
    """
    num_classes = probabilities.shape[1]
    matrix = np.empty((num_classes, num_classes))
    number = np.arange(1, len(labels) + 1)
    square = width**2
    for i in range(num_classes):
        surest = labels[np.argsort(-probabilities[:, i], kind="stable")]
        share = (np.cumsum(surest == i) + square / 2) / (number + square)
        spread = np.sqrt(share * (1 - share) / (number + square))
        taken = np.argmax(share - width * spread) + 1
        matrix[i] = np.bincount(surest[:taken], minlength=num_classes)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return known_rows(matrix, labels)


def known_rows(matrix, labels):
    """Sets the rows of classes without labels to those of the identity."""
    num_classes = len(matrix)
    absent = np.bincount(labels, minlength=num_classes) == 0
    matrix = np.where(absent[:, np.newaxis], np.eye(num_classes), matrix)
    return matrix / matrix.sum(axis=1, keepdims=True)


def calibrate(labels, probabilities):
    """Scales probabilities by the temperature at which the labels are likeliest.

    The labels are ones that the network never saw, so this undoes the overconfidence
    of a network that has memorised wrong labels.

    Args:
        labels: Class ids, shape `(examples,)`.
        probabilities: Shape `(examples, classes)`.

    Returns:
        Probabilities, and the temperature in [0.1, 10].

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    logits = np.log(np.clip(probabilities, _SMALLEST, None))
    place = np.arange(len(labels)), labels

    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=-1)[place].mean()

    bounds, options = (-np.log(10), np.log(10)), {"xatol": 1e-5}
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options=options)
    temperature = float(np.exp(found.x))
    return softmax(logits / temperature, axis=-1), temperature


def clean_probabilities(probabilities, matrix, iterations=100):
    """The `q` whose `q T` is closest to the probabilities, in relative entropy.

    Where `T` has an inverse and `p T^-1` holds probabilities, `q` is that; elsewhere
    the inverse would give negative ones. Found by expectation-maximisation.

    Args:
        probabilities: Of the noisy label, shape `(examples, classes)`.
        matrix: Transition matrix, shape `(classes, classes)`.
        iterations: Number of steps.

    Returns:
        Float64 array, shape `(examples, classes)`, rows summing to 1.
    """
    direct = probabilities
    if np.linalg.cond(matrix) < 1e6:
        direct = np.linalg.solve(matrix.T, probabilities.T).T
    clean = np.clip(direct, 1e-3, None)  # from exactly 0 no step leads back
    clean /= clean.sum(axis=1, keepdims=True)
    for _ in range(iterations):
        step = (probabilities / np.maximum(clean @ matrix, _TINY)) @ matrix.T
        clean *= step
        if np.abs(clean * (step - 1)).max() < 1e-6:
            break
    return clean / clean.sum(axis=1, keepdims=True)


def given_label(labels, clean, matrix):
    """Posterior of the clean class given the label, by Bayes' rule."""
    both = clean * matrix[:, labels].T
    total = both.sum(axis=1, keepdims=True)
    return np.where(total > _TINY, both / np.maximum(total, _TINY), clean)
