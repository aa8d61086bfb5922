"""Values of the unhinged loss and of confidence regularization."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    P,
    Z,
    check_linear,
    check_value,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import (
    ConfidenceRegularized,
    Unhinged,
    confidence_regularized,
    unhinged,
)

MEAN_LOG = (math.log(0.7) + math.log(0.2) + math.log(0.1)) / 3


@pytest.mark.parametrize(
    ("beta", "label", "expected"),
    [
        (2.0, 0, -2.489124),  # losses.md C
        (2, 1, -1.236361),
        (0.0, 1, -math.log(0.2)),  # limit: cross-entropy
        (1.0, 1, MEAN_LOG - math.log(0.2)),  # by hand
        (0.5, (0.5, 0.3, 0.2), 0.5 * MEAN_LOG - np.dot((0.5, 0.3, 0.2), np.log(P))),
    ],
)
def test_values_of_confidence_regularized(beta, label, expected):
    check_value(
        confidence_regularized, ConfidenceRegularized, {"beta": beta}, label, expected
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, -5 / 3),  # by hand: mean of (2, 0, -1) is 1/3
        (1, 1 / 3),
        (2, 4 / 3),
        ((0.5, 0.3, 0.2), 1 / 3 - 0.8),
    ],
)
def test_values_of_unhinged(label, expected):
    check_value(unhinged, Unhinged, {}, label, expected, p=None, logits=Z)


def test_unhinged_of_two_classes_is_van_rooyens():
    # van Rooyen et al.: 1 - v with v = +-score; ours is half of it, less 1
    score = 0.7
    z = np.array([[0.0, score]], "float32")
    for label, side in ((1, 1), (0, -1)):
        loss = float(numpy(unhinged([label], z, from_logits=True))[0])
        assert 2 * loss + 1 == pytest.approx(1 - side * score, rel=1e-6)


def test_unhinged_has_one_gradient_everywhere():
    for z in ([[2.0, 0.0, -1.0]], [[-1e4, 1e4, 0.0]]):
        slope = gradient(
            lambda z: unhinged([1], z, from_logits=True), np.array(z, "float32")
        )
        np.testing.assert_allclose(slope, [[1 / 3, -2 / 3, 1 / 3]], atol=1e-6)


def test_unhinged_sums_to_zero_over_labels():
    p = random_probabilities((20, 4)).astype("float32")
    total = sum(numpy(unhinged(np.full(20, label), p)) for label in range(4))
    np.testing.assert_allclose(total, 0, atol=2e-6)


def test_linear_in_the_label():
    check_linear(confidence_regularized, {"beta": 2.0})
    check_linear(unhinged, {})
