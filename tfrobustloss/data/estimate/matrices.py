"""Probabilities of the clean class, from those of the noisy label.

A model trained on noisy labels says how likely each *label* is: its probabilities are
`q T`, where `q` are those of the clean class and `T` is the transition matrix.
"""

import numpy as np

_SMALLEST = 1e-8  # a probability of 0 says no more than this
_TINY = 1e-300


def log_softmax(logits):
    """Logarithm of the softmax over the last axis."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def calibrate(labels, probabilities):
    """Probabilities at the temperature at which the labels are likeliest.

    Out of the fold, a network's confidence is held against labels that it never saw,
    so this undoes the overconfidence of one that learnt wrong labels by heart.

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
        return -log_softmax(logits / np.exp(log_temperature))[place].mean()

    low, high = -np.log(10), np.log(10)
    ratio = (np.sqrt(5) - 1) / 2  # golden section: the loss has one minimum
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(20):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    temperature = float(np.exp((low + high) / 2))
    return np.exp(log_softmax(logits / temperature)), temperature


def clean_probabilities(probabilities, matrix, iterations=100):
    """The `q` whose `q T` is nearest to the probabilities, in relative entropy.

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
    """Probabilities of the clean class once the label is known as well."""
    both = clean * matrix[:, labels].T
    total = both.sum(axis=1, keepdims=True)
    return np.where(total > _TINY, both / np.maximum(total, _TINY), clean)
