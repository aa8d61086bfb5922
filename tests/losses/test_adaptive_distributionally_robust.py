"""Values of ALDR-KL, its limits, and the gradient with its temperature held."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, Z, check_value, numpy
from tfrobustloss.losses import (
    AdaptiveLabelDistributionallyRobust,
    adaptive_label_distributionally_robust,
)

LOG3 = math.log(3)


def by_definition(z, mass, margin=1.0, alpha=2.0, temperature=1.0, own=None):
    """Loss and temperature of one example, from the formula of field.md."""
    z, mass = np.asarray(z, "float64"), np.asarray(mass)
    h = z * len(z) / np.abs(z).sum()
    p = np.exp(h / temperature)
    p /= p.sum()
    log_classes = math.log(len(z))
    if own is None:
        divergence = (p * np.log(len(z) * p)).sum()
        own = temperature * (1 - divergence / (alpha * log_classes))
    apart = h - mass @ h + margin * (1 - mass)
    first = own * np.log(np.exp(apart / own).mean())
    return first - alpha * log_classes / 2 / temperature * (own - temperature) ** 2, own


def test_the_temperature_of_the_check_vector():
    # field.md 1a: z = (2, 0, -1), one step
    assert by_definition(Z, np.eye(3)[0])[1] == pytest.approx(0.738604, abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, -0.678702),  # field.md 1a
        ({}, 1, 2.138503),
        ({}, 2, by_definition(Z, np.eye(3)[2])[0]),
        ({"margin": 0.0}, 1, by_definition(Z, np.eye(3)[1], 0.0)[0]),
        (
            {"alpha": 1.5, "temperature": 3.0},
            1,
            by_definition(Z, np.eye(3)[1], 1.0, 1.5, 3.0)[0],
        ),
        ({}, (0.5, 0.3, 0.2), by_definition(Z, (0.5, 0.3, 0.2))[0]),
    ],
)
def test_values(parameters, label, expected):
    check_value(
        adaptive_label_distributionally_robust,
        AdaptiveLabelDistributionallyRobust,
        parameters,
        label,
        expected,
        p=None,
        logits=Z,
    )


def test_probabilities_stand_for_their_logarithms():
    p = np.array([P], "float32")
    expected = by_definition(np.log(P), np.eye(3)[1])[0]
    received = adaptive_label_distributionally_robust([1], p)
    assert float(numpy(received)[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e30])
def test_the_length_of_logits_does_not_matter(size):
    logits = np.array([Z], "float32") * np.float32(size)
    loss = adaptive_label_distributionally_robust([1], logits, from_logits=True)
    assert float(numpy(loss)[0]) == pytest.approx(2.138503, rel=1e-5)


def test_a_large_alpha_keeps_the_temperature():
    # limit: t = temperature, and the penalty, (t - temperature) ** 2 * alpha, is 0
    fixed = by_definition(Z, np.eye(3)[1], own=1.0)[0]
    loss = adaptive_label_distributionally_robust(
        [1], np.array([Z], "float32"), alpha=1e6, from_logits=True
    )
    assert float(numpy(loss)[0]) == pytest.approx(fixed, rel=1e-5)


def test_the_gradient_holds_the_temperature():
    own = by_definition(Z, np.eye(3)[1])[1]
    expected = []
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        up, down = (
            by_definition(Z + side * step, np.eye(3)[1], own=own)[0] for side in (1, -1)
        )
        expected.append((up - down) / 2e-6)
    slope = gradient(
        lambda z: adaptive_label_distributionally_robust([1], z, from_logits=True),
        np.array([Z], "float32"),
    )
    np.testing.assert_allclose(slope, [expected], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "logits", [[0, 0, 0], [1e-38, 0, 0], [3e38, -3e38, 3e38], [-1e4, -1e4, -1e4]]
)
def test_finite_everywhere(logits):
    logits = np.array([logits], "float32")

    def loss(z):
        return adaptive_label_distributionally_robust([0], z, from_logits=True)

    value = float(numpy(loss(logits))[0])
    low, high = AdaptiveLabelDistributionallyRobust().bounds(3)
    assert low <= value <= high
    assert np.isfinite(gradient(loss, logits)).all()
    if (logits == logits[0, 0]).all():  # by hand: t is 1, and d is 1 at two of three
        assert value == pytest.approx(math.log((1 + 2 * math.e) / 3), rel=1e-6)
