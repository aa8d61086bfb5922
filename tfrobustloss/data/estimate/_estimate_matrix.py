"""Transition matrices from noisy labels and predicted probabilities, by method.

Each function takes class ids and probabilities that are already checked, and gives the
matrix `T[i, j] = P(label j | class i)`. A class without labels, or one that no example
speaks for, gets the row of the identity.
"""

import numpy as np

_TINY = 1e-12


def anchor(labels, probabilities, percentile):
    """Row `i`: what is predicted for the example that is surest to be labelled `i`.

    With a percentile below 100, that example is the surest of those below the
    percentile, so that one outlier cannot be a row.
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
    """Shares of examples by class and label, shape `(classes, classes)`, sum 1.

    An example is counted for the class that it is predicted to be with at least the
    mean confidence of the examples with that label; for the likeliest such class if
    there are several, not at all if there is none. The counts of a label are scaled to
    how often it occurs.
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
    matrix = np.where(rows > 0, joint / np.maximum(rows, _TINY), np.eye(len(joint)))
    return known_rows(matrix, labels)


def pair_counts(rows, columns, num_classes):
    """How often each pair of class ids occurs, float64."""
    cells = rows * num_classes + columns
    counts = np.bincount(cells, minlength=num_classes**2).astype(np.float64)
    return counts.reshape(num_classes, num_classes)


def class_shares(matrix, shares):
    """Shares of the clean classes under which the labels' shares are likeliest."""
    # a label that no class of the matrix can have must not leave nothing
    matrix = (matrix + 1e-9) / (1 + 1e-9 * len(matrix))
    prior = np.maximum(shares, _TINY)
    for _ in range(500):  # expectation-maximisation
        step = matrix @ (shares / np.maximum(prior @ matrix, _TINY))
        prior = prior * step
        if np.abs(step - 1)[prior > 1e-9].max() < 1e-9:
            break
    return prior / prior.sum()


def plateau(labels, probabilities, width=2.0):
    """Row `i`: the labels of the examples that are surest to be labelled `i`.

    Among the surest, the share of label `i` is the diagonal entry; further down other
    classes mix in and it falls. As many are taken as raise the lower end of its
    interval, `width` standard errors below it (Wilson 1927).
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
    """The matrix, with rows of the identity for classes without labels."""
    num_classes = len(matrix)
    absent = np.bincount(labels, minlength=num_classes) == 0
    matrix = np.where(absent[:, np.newaxis], np.eye(num_classes), matrix)
    return matrix / matrix.sum(axis=1, keepdims=True)
