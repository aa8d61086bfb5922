"""Values of soft and hard bootstrapping."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, Z, check_linear, check_value, log_softmax
from tfrobustloss.losses import (
    HardBootstrap,
    SoftBootstrap,
    hard_bootstrap,
    soft_bootstrap,
)

ENTROPY = -np.dot(P, np.log(P))
MASS = (0.5, 0.3, 0.2)


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.378932),  # losses.md A6
        ({}, 1, 1.569057),  # losses.md A6
        ({"beta": 1.0}, 1, -math.log(0.2)),  # limit: cross-entropy
        ({"beta": 0.0}, 1, ENTROPY),  # limit: the prediction's entropy
        ({"beta": 0.6}, MASS, -np.dot(0.6 * np.array(MASS) + 0.4 * P, np.log(P))),
    ],
)
def test_soft_values(parameters, label, expected):
    check_value(soft_bootstrap, SoftBootstrap, parameters, label, expected)


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.356675),  # losses.md A6: right, so cross-entropy
        ({}, 1, 1.358885),  # losses.md A6
        ({"beta": 1.0}, 1, -math.log(0.2)),  # limit: cross-entropy
        ({"beta": 0.0}, 1, -math.log(0.7)),  # limit: the model believes itself
        ({"beta": 0.6}, MASS, -0.6 * np.dot(MASS, np.log(P)) - 0.4 * math.log(0.7)),
    ],
)
def test_hard_values(parameters, label, expected):
    check_value(hard_bootstrap, HardBootstrap, parameters, label, expected)


def test_soft_gradient_flows_through_the_target():
    # by hand: beta (p - label) + (1 - beta) d entropy, d entropy = -p (log p + H)
    log_p = log_softmax(Z)
    p = np.exp(log_p)
    d_entropy = -p * (log_p - np.dot(p, log_p))
    expected = 0.95 * (p - np.eye(3)[1]) + 0.05 * d_entropy
    slope = gradient(
        lambda z: soft_bootstrap([1], z, from_logits=True), np.array([Z], "float32")
    )
    np.testing.assert_allclose(slope, [expected], rtol=2e-6, atol=1e-8)


def test_hard_gradient_holds_the_predicted_class_constant():
    # by hand: p - (beta label + (1 - beta) one-hot of the largest)
    p = np.exp(log_softmax(Z))
    expected = p - (0.8 * np.eye(3)[1] + 0.2 * np.eye(3)[0])
    slope = gradient(
        lambda z: hard_bootstrap([1], z, from_logits=True), np.array([Z], "float32")
    )
    np.testing.assert_allclose(slope, [expected], rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("function", [soft_bootstrap, hard_bootstrap])
def test_linear_in_the_label(function):
    check_linear(function, {"beta": 0.6})
