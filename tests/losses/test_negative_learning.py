"""Values of negative learning, and what random complementary labels estimate."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import check_linear, check_value, numpy, random_probabilities
from tfrobustloss.losses import NegativeLearning, cross_entropy, negative_learning

OTHERS = [1.203973, 0.223144, -math.log(0.9)]  # -log(1 - p); losses.md C


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({"complementary": True}, 0, OTHERS[0]),
        ({"complementary": True}, 1, OTHERS[1]),
        ({"complementary": True}, (0.5, 0.3, 0.2), np.dot((0.5, 0.3, 0.2), OTHERS)),
        ({}, 0, (OTHERS[1] + OTHERS[2]) / 2),  # by hand, from those
        ({}, 1, (OTHERS[0] + OTHERS[2]) / 2),
        ({}, (0.5, 0.3, 0.2), np.dot((0.25, 0.35, 0.4), OTHERS)),
    ],
)
def test_values(parameters, label, expected):
    check_value(negative_learning, NegativeLearning, parameters, label, expected)


def test_is_what_random_labels_estimate():
    # the authors draw a class other than the label: here each of them once
    p = random_probabilities((8, 5)).astype("float32")
    ids = np.arange(8) % 5
    drawn = [
        numpy(negative_learning((ids + shift) % 5, p, complementary=True))
        for shift in range(1, 5)
    ]
    loss = numpy(negative_learning(ids, p))
    np.testing.assert_allclose(loss, np.mean(drawn, 0), rtol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_two_classes_are_cross_entropy(from_logits):
    y_pred = random_probabilities((20, 2)).astype("float32")
    if from_logits:
        y_pred = np.log(y_pred)
    ids = np.arange(20) % 2
    expected = numpy(cross_entropy(ids, y_pred, from_logits=from_logits))
    loss = numpy(negative_learning(ids, y_pred, from_logits=from_logits))
    np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("gap", [0.0, 1.0, 10.0, 90.0, 1e4])
def test_a_sure_and_wrong_prediction_keeps_its_gradient(gap):
    # -log(1 - p) of the largest logit, exactly: log(e**gap + 2) - log(2)
    logits = np.array([[gap, 0.0, 0.0]], "float32")

    def loss(z):
        return negative_learning([0], z, complementary=True, from_logits=True)

    expected = np.logaddexp(gap, math.log(2)) - math.log(2)
    assert float(numpy(loss(logits))[0]) == pytest.approx(expected, rel=1e-5)
    p = math.exp(gap - np.logaddexp(gap, math.log(2)))
    slope = gradient(loss, logits)
    np.testing.assert_allclose(slope, [[p, -p / 2, -p / 2]], rtol=1e-4)


def test_linear_in_the_label():
    check_linear(negative_learning, {})
    check_linear(negative_learning, {"complementary": True})
