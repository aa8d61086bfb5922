"""Values of symmetric cross-entropy and its two halves."""

import math

import numpy as np
import pytest

from tests.losses.values import P, check_value, numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import (
    ReverseCrossEntropy,
    SymmetricCrossEntropy,
    reverse_cross_entropy,
    symmetric_cross_entropy,
)

REVERSE = {"alpha": 0.0, "beta": 1.0}


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        (REVERSE, 0, 2.763102),  # losses.md A4, this and the following rows
        (REVERSE, 1, 7.368272),
        ({}, 0, 2.798770),
        ({}, 1, 7.529216),
        ({"alpha": 6.0, "beta": 0.1}, 0, 2.416360),
        ({"alpha": 6.0, "beta": 0.1}, 1, 10.393455),
        ({"alpha": 2.0, "beta": 0.0}, 1, -2 * math.log(0.2)),  # limit: cross-entropy
        ({**REVERSE, "log_zero": -4.0}, 1, 3.2),  # by hand: 4 * (1 - 0.2)
        ({**REVERSE, "log_zero": -2.0}, 0, 0.6),  # by hand: the mean absolute error
        # by hand: -sum p log(label), the zero entry counting as log_zero
        (
            {**REVERSE, "log_zero": -5.0},
            (0.5, 0.5, 0.0),
            0.9 * math.log(2) + 0.1 * 5,
        ),
        # a smoothed label has no zeros: -sum p log(label) alone
        (REVERSE, (0.8, 0.1, 0.1), -np.dot(P, np.log((0.8, 0.1, 0.1)))),
    ],
)
def test_values(parameters, label, expected):
    check_value(
        symmetric_cross_entropy, SymmetricCrossEntropy, parameters, label, expected
    )


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 2.763102),  # losses.md A4
        ({}, 1, 7.368272),
        ({"log_zero": -4.0}, 1, 3.2),  # by hand: 4 * (1 - 0.2)
        # by hand: -sum p log(label), the zero entry counting as log_zero
        ({"log_zero": -5.0}, (0.5, 0.5, 0.0), 0.9 * math.log(2) + 0.1 * 5),
    ],
)
def test_values_of_the_reverse_half(parameters, label, expected):
    check_value(reverse_cross_entropy, ReverseCrossEntropy, parameters, label, expected)


def test_authors_formula():
    # YisenWang/symmetric_cross_entropy_for_noisy_labels, loss.py, in numpy:
    # both arguments clipped, labels at 1e-4 and predictions at 1e-7
    p = random_probabilities((50, 10), seed=2, concentration=0.5)
    p = np.clip(p.astype("float32"), 1e-7, 1).astype("float64")
    ids = np.arange(50) % 10
    label = np.clip(np.eye(10)[ids], 1e-4, 1)
    cross = -np.log(p[np.arange(50), ids])
    reverse = -np.sum(p * np.log(label), axis=1)
    expected = 0.1 * cross + reverse
    for y_true in (ids, np.eye(10, dtype="float32")[ids]):
        actual = numpy(symmetric_cross_entropy(y_true, p.astype("float32")))
        np.testing.assert_allclose(actual, expected, rtol=3e-6, atol=2e-6)


def test_reverse_half_is_symmetric():
    # Wang et al., section 3: the sum over labels is the constant -A (classes - 1)
    p = random_probabilities((50, 10), concentration=0.3).astype("float32")
    total = sum(
        numpy(symmetric_cross_entropy(np.full(50, label), p, **REVERSE, log_zero=-4))
        for label in range(10)
    )
    np.testing.assert_allclose(total, 4 * 9, rtol=1e-6)


def test_beta_zero_is_cross_entropy_at_any_label():
    p = random_probabilities((20, 5)).astype("float32")
    soft = random_probabilities((20, 5), seed=1).astype("float32")
    loss = symmetric_cross_entropy(soft, p, alpha=1.0, beta=0.0)
    expected = numpy(losses.cross_entropy(soft, p))
    np.testing.assert_allclose(numpy(loss), expected, rtol=1e-6)
