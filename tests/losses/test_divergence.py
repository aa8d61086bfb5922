"""Values of the Jensen-Shannon divergence as a loss."""

import math

import numpy as np
import pytest

from tests.losses.values import P, check_value, numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import JensenShannon, jensen_shannon

MASS = np.array((0.5, 0.3, 0.2))


def divergence(label, p, pi):
    """The definition, in float64."""
    mixture = pi * label + (1 - pi) * p

    def kl(x):
        some = x > 0
        return np.sum(x[some] * np.log(x[some] / mixture[some]))

    scale = -(1 - pi) * math.log(1 - pi)
    return (pi * kl(label) + (1 - pi) * kl(p)) / scale


@pytest.mark.parametrize(
    ("pi", "label", "expected"),
    [
        (0.1, 0, 0.353084),  # losses.md C, this and the following rows
        (0.1, 1, 1.503738),
        (0.5, 0, 0.338390),
        (0.5, 1, 1.219973),
        (0.9, 0, 0.319883),
        (0.9, 1, 0.993358),
        (1e-6, 1, -math.log(0.2)),  # limit: cross-entropy, up to 1e-5
        (0.999999, 1, divergence(np.eye(3)[1], P, 0.999999)),  # slowly to 1 - p
        (0.5, MASS, divergence(MASS, P, 0.5)),
        (0.9, (0.5, 0.5, 0.0), divergence(np.array((0.5, 0.5, 0.0)), P, 0.9)),
        (0.3, P, 0.0),  # a prediction like the label has no divergence from it
    ],
)
def test_values(pi, label, expected):
    atol = 2e-5 if pi == 1e-6 else None
    check_value(jensen_shannon, JensenShannon, {"pi": pi}, label, expected, atol=atol)


@pytest.mark.parametrize("pi", [1e-6, 0.1, 0.5, 0.9, 0.999999])
def test_sure_and_wrong_is_the_bound(pi):
    logits = np.array([[-1e4, 1e4]], "float32")
    bound = 1 + pi * math.log(pi) / ((1 - pi) * math.log1p(-pi))
    for y_true in ([0], np.array([[1.0, 0.0]], "float32")):
        loss = jensen_shannon(y_true, logits, pi, from_logits=True)
        assert float(loss[0]) == pytest.approx(bound, rel=1e-5)


@pytest.mark.parametrize("pi", [0.05, 0.3, 0.5, 0.7, 0.99])
def test_against_the_definition(pi):
    p = random_probabilities((30, 6), concentration=0.3)
    p = np.maximum(p, 1e-6)
    p /= p.sum(-1, keepdims=True)
    soft = random_probabilities((30, 6), seed=1)
    ids = np.arange(30) % 6
    for y_true, rows in ((ids, np.eye(6)[ids]), (soft.astype("float32"), soft)):
        expected = [divergence(row, q, pi) for row, q in zip(rows, p, strict=True)]
        actual = numpy(jensen_shannon(y_true, p.astype("float32"), pi))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def test_lies_between_its_limits():
    # falls with pi from cross-entropy towards 1 - p
    p = random_probabilities((20, 4)).astype("float32")
    ids = np.arange(20) % 4
    values = [numpy(jensen_shannon(ids, p, pi)) for pi in (1e-6, 0.1, 0.5, 0.9)]
    values = [*values, numpy(losses.generalized_cross_entropy(ids, p, 1.0))]
    values[0] = numpy(losses.cross_entropy(ids, p))
    assert all((a >= b - 1e-6).all() for a, b in zip(values, values[1:], strict=False))
