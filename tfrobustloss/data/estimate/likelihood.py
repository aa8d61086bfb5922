"""The maximum-likelihood transition matrix, fitted by L-BFGS.

The model is `P(label | x) = softmax(scale * u(x) + offset) T`, where `u` is the
logarithm of the clean probabilities that a first, rough matrix gives. Scale and offset
let them be sharper and shifted. `T` is then what remains of the labels' spread where
the clean class is sure. The likelihood has more than one peak, so the fit starts from
several first matrices, and the one that makes the labels likeliest is kept. A first
matrix with too little noise leaves some of it in `u`, which no scale takes out: the
matrix that is found then has too little as well, of pair noise most. So the fit is
repeated from the matrix found, as long as that makes the labels much likelier. Where
the data cannot tell unsure classes from wrong labels, classes are taken to be sure: by
a prior on the scale, and by taking the noisiest of equally likely matrices.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from tfrobustloss.data.estimate import matrices

_FLOOR = 1e-3
_SMALLEST = 1e-4  # entry of the first matrix: its logarithm is a parameter
_RIGHT = 0.9  # diagonal of the plainest first matrix
_ITERATIONS, _AGAIN = 300, 20
_TOLERANCE = 1e-7  # of the mean loss of an example
_LOG_SCALE = 2.0  # mean of its prior: sharp
_EQUAL = 2.0  # difference of log likelihoods that means nothing
_ROUNDS, _GAIN = 20, 10.0  # refits from the matrix found; what each has to gain
_TINY = 1e-300


class Likelihood:
    """Maximum-likelihood fit to all examples, with refits to reweighted ones.

    Args:
        labels: Class ids, shape `(examples,)`.
        probabilities: Calibrated, shape `(examples, classes)`.

    Attributes:
        matrix: Transition matrix, shape `(classes, classes)`.
        clean: Clean probabilities, shape `(examples, classes)`.
    """

    def __init__(self, labels, probabilities):
        ends = [
            _End(labels, probabilities, first)
            for first in _first_matrices(labels, probabilities)
        ]
        least = max(end.likelihood for end in ends) - _EQUAL
        likely = [end for end in ends if end.likelihood >= least]
        best = min(likely, key=lambda end: np.trace(end.matrix))
        for _ in range(_ROUNDS):
            end = _End(labels, probabilities, best.matrix)
            if end.likelihood < best.likelihood + _GAIN:
                break
            best = end
        self._model, self._point = best.model, best.point
        self.matrix, self.clean = best.matrix, best.clean

    def again(self, weights):
        """Refits with other weights of the examples, from the fit to all of them."""
        return self._model.unfold(self._model.solve(weights, self._point, _AGAIN))


class _End:
    """The fit from one first matrix, and the log likelihood of the labels."""

    def __init__(self, labels, probabilities, first):
        self.model = _Model(labels, probabilities, first)
        everything = np.ones(len(labels))
        self.point = self.model.solve(everything, self.model.start, _ITERATIONS)
        self.matrix, self.clean = self.model.unfold(self.point)
        chosen = (self.clean * self.matrix[:, labels].T).sum(axis=1)
        self.likelihood = np.log(np.maximum(chosen, _TINY)).sum()


def _first_matrices(labels, probabilities):
    num_classes = probabilities.shape[1]
    plain = np.full((num_classes, num_classes), (1 - _RIGHT) / (num_classes - 1))
    np.fill_diagonal(plain, _RIGHT)
    surest = matrices.plateau(labels, probabilities)
    return plain, surest, matrices.anchor(labels, probabilities, 100)


class _Model:
    """The likelihood as a function of its parameters, for one initial matrix."""

    def __init__(self, labels, probabilities, first):
        self._labels = labels
        self._features = np.log(
            matrices.clean_probabilities(probabilities, first) + _FLOOR
        )
        logits = np.log(np.clip(first, _SMALLEST, None))
        self._first = softmax(logits, axis=-1)
        self._num_classes = len(first)
        zeros = np.zeros(1 + self._num_classes)
        self.start = np.concatenate([zeros, logits.ravel()])

    def solve(self, weights, start, iterations):
        """Most likely parameters, found from a starting point."""
        options = {"maxiter": iterations, "ftol": _TOLERANCE, "gtol": 0.0}
        found = minimize(
            self.loss, start, weights, method="L-BFGS-B", jac=True, options=options
        )
        return found.x

    def unfold(self, point):
        """Transition matrix and clean probabilities."""
        scale, offset, logits = self._split(point)
        clean = softmax(scale * self._features + offset, axis=-1)
        return softmax(logits, axis=-1), clean

    def _split(self, point):
        k = self._num_classes
        scale = np.exp(np.clip(point[0], -5, 5))
        return scale, point[1 : k + 1], point[k + 1 :].reshape(k, k)

    def loss(self, point, weights):
        """Mean negative log likelihood with a weak prior, and its gradient.

        The prior is that of an example of each class with the first matrix' labels,
        and of normal distributions of the scale's logarithm and of the offset.
        """
        used = np.flatnonzero(weights)
        labels, features, weights = (
            values[used] for values in (self._labels, self._features, weights)
        )
        scale, offset, logits = self._split(point)
        log_matrix = log_softmax(logits, axis=-1)
        matrix = np.exp(log_matrix)
        clean = softmax(scale * features + offset, axis=-1)
        both = clean * matrix[:, labels].T
        total = np.maximum(both.sum(axis=1), _TINY)
        class_given_label = both * (weights / total)[:, np.newaxis]
        change = class_given_label - weights[:, np.newaxis] * clean
        counts = np.stack(
            [
                np.bincount(labels, column, minlength=self._num_classes)
                for column in class_given_label.T
            ]
        )
        counts += self._first
        value = -(weights @ np.log(total)) - (self._first * log_matrix).sum()
        value += (point[0] - _LOG_SCALE) ** 2 / 2 + offset @ offset / 2
        gradient = np.concatenate(
            [
                [point[0] - _LOG_SCALE - scale * (change * features).sum()],
                offset - change.sum(axis=0),
                (counts.sum(axis=1, keepdims=True) * matrix - counts).ravel(),
            ]
        )
        examples = weights.sum()
        return value / examples, gradient / examples
