"""Values of sparse regularization, and the length of the logits."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, Z, check_linear, check_value, log_softmax, numpy
from tfrobustloss.losses import SparseRegularized, sparse_regularized

PLAIN = {"temperature": 1.0, "exponent": 0.1, "weight": 1.0, "normalize": False}
NORM = 2.610629  # losses.md C: sum of p ** 0.1


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        (PLAIN, 0, NORM - math.log(0.7)),
        (PLAIN, 1, NORM - math.log(0.2)),
        ({**PLAIN, "weight": 0}, 1, -math.log(0.2)),  # limit: cross-entropy
        ({**PLAIN, "exponent": 1.0}, 1, 1 - math.log(0.2)),  # limit: sum of p
        # by hand: p ** 2, normalised
        ({**PLAIN, "temperature": 0.5, "weight": 0.0}, 1, -math.log(0.04 / 0.54)),
        (PLAIN, (0.5, 0.3, 0.2), NORM - np.dot((0.5, 0.3, 0.2), np.log(P))),
    ],
)
def test_values(parameters, label, expected):
    check_value(sparse_regularized, SparseRegularized, parameters, label, expected)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e30])
def test_normalised_values(label, scale):
    # the definition in float64, the authors' settings for CIFAR-10
    log_p = log_softmax(Z / np.linalg.norm(Z) / 0.5)
    expected = 1.2 * np.exp(0.1 * log_p).sum() - log_p[label]
    logits = np.array([scale * Z], "float32")
    loss = sparse_regularized([label], logits, from_logits=True)
    assert float(numpy(loss)[0]) == pytest.approx(expected, rel=1e-5)


def test_gradient_of_short_logits_stays_small():
    # equal logits have no direction: the slope of z / 1e-3 / temperature
    def loss(z):
        return sparse_regularized([0], z, weight=0.0, from_logits=True)

    slope = gradient(loss, np.zeros((1, 3), "float32"))
    np.testing.assert_allclose(slope, 2000 * np.array([[-2, 1, 1]]) / 3, rtol=1e-5)


def test_gradient_is_across_the_logits():
    # a loss that does not see the length has no slope along it
    logits = np.array([Z], "float32")
    slope = gradient(lambda z: sparse_regularized([1], z, from_logits=True), logits)
    assert np.abs(slope).max() > 0.1
    assert abs(np.dot(slope[0], Z)) < 1e-5


def test_linear_in_the_label():
    check_linear(sparse_regularized, {})
