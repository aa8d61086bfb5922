"""Values of the label-distributionally robust loss, its limits and its scores."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, Z, check_value, numpy
from tfrobustloss.losses import (
    LabelDistributionallyRobust,
    label_distributionally_robust,
)


def by_definition(z, mass, margin, temperature, normalize=True):
    z, mass = np.asarray(z, "float64"), np.asarray(mass)
    if normalize:
        positive = np.log1p(np.exp(z))
        z = positive / positive.mean()
    apart = z - mass @ z + margin * (1 - mass)
    return temperature * np.log(np.exp(apart / temperature).mean())


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        # limit: cross-entropy less log(3)
        ({"margin": 0, "normalize": False}, 0, -math.log(0.7) - math.log(3)),
        ({"margin": 0.0, "normalize": False}, 1, -math.log(0.2) - math.log(3)),
        # by hand: the mean of p / 0.2 with the margin's factor at the others
        (
            {"margin": math.log(2), "normalize": False},
            1,
            math.log((2 * 0.7 / 0.2 + 1 + 2 * 0.1 / 0.2) / 3),
        ),
        (
            {"margin": 0.0, "temperature": 2.0, "normalize": False},
            2,
            2 * math.log((math.sqrt(7) + math.sqrt(2) + 1) / 3),
        ),
        (
            {"normalize": False},
            (0.5, 0.3, 0.2),
            by_definition(np.log(P), (0.5, 0.3, 0.2), 0.1, 1.0, normalize=False),
        ),
    ],
)
def test_values(parameters, label, expected):
    check_value(
        label_distributionally_robust,
        LabelDistributionallyRobust,
        parameters,
        label,
        expected,
    )


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_normalised_values(label, temperature):
    expected = by_definition(Z, np.eye(3)[label], 0.1, temperature)
    check_value(
        label_distributionally_robust,
        LabelDistributionallyRobust,
        {"temperature": temperature},
        label,
        expected,
        p=None,
        logits=Z,
    )


def test_a_small_temperature_is_a_hinge_on_the_nearest_class():
    loss = label_distributionally_robust(
        [1], np.array([Z], "float32"), 2.0, 0.01, normalize=False, from_logits=True
    )
    # by hand: 2 - 0 + margin, less log(3) temperatures
    assert float(numpy(loss)[0]) == pytest.approx(4 - 0.01 * math.log(3), rel=1e-6)


def test_a_large_temperature_is_nearly_symmetric():
    # Zhu et al.: symmetric as it grows, here to the mean over classes of d
    z = np.array([Z, -Z, [0.1, 0.2, 3.0]], "float32")
    total = sum(
        numpy(
            label_distributionally_robust(
                np.full(3, label), z, 0.0, 100.0, from_logits=True
            )
        )
        for label in range(3)
    )
    assert np.ptp(total) < 0.05
    np.testing.assert_allclose(total, 0, atol=0.05)


@pytest.mark.parametrize("level", [-30.0, -200.0, -1e4, 1e4, 1e38])
def test_scores_far_away_stay_finite(level):
    # where softplus is exp, normalised scores are those of a softmax, times 3
    logits = np.array([[level, level + 1, level - 1]], "float32")

    def loss(z):
        return label_distributionally_robust([0], z, from_logits=True)

    value, slope = float(numpy(loss(logits))[0]), gradient(loss, logits)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    if level in (-30.0, -200.0, -1e4):
        p = np.exp(np.diff(logits, prepend=logits[:, :1], axis=1).cumsum(axis=1)[0])
        h = 3 * p / p.sum()
        apart = h - h[0] + 0.1 * np.array([0, 1, 1])
        assert value == pytest.approx(np.log(np.exp(apart).mean()), rel=1e-4)
        assert np.abs(slope).max() > 0.1
