"""Values of the cross-entropy of an epsilon-softmax, its floor and its ties."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, check_value, numpy
from tfrobustloss.losses import (
    ActivePassive,
    EpsilonSoftmaxCrossEntropy,
    MeanAbsoluteError,
    epsilon_softmax_cross_entropy,
)

MASS = (0.5, 0.3, 0.2)
RIGHT = math.log(1e4 + 1) - math.log(1e4 + 0.7)


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.000030),  # losses.md C, m = 1e4
        ({}, 1, 10.819878),
        ({"m": 0.0}, 1, -math.log(0.2)),  # limit: cross-entropy
        ({"m": 1}, 0, -math.log(1.7 / 2)),  # by hand, this and the following rows
        ({"m": 1}, 2, -math.log(0.1 / 2)),
        ({"m": 1e9}, 1, -math.log(1e-8)),  # p' is 2e-10, below the floor
        ({"m": 1e9, "floor": 0.0}, 1, math.log(1e9) - math.log(0.2)),
        ({"floor": 0.1}, 2, -math.log(0.1)),
        (
            {"m": 1},
            (0.5, 0.3, 0.2),
            -np.dot((0.5, 0.3, 0.2), np.log([0.85, 0.1, 0.05])),
        ),
    ],
)
def test_values(parameters, label, expected):
    check_value(
        epsilon_softmax_cross_entropy,
        EpsilonSoftmaxCrossEntropy,
        parameters,
        label,
        expected,
        atol=2e-6,  # of numbers near 20
    )


def test_a_sure_hit_keeps_its_digits():
    # log(m + 1) - log(m + p) would be 0 or 1e-3 in float32
    loss = epsilon_softmax_cross_entropy([0], np.array([P], "float32"))
    assert float(loss[0]) == pytest.approx(RIGHT, rel=1e-4)


def test_with_the_absolute_error_as_published():
    # losses.md C: a * CE_e + b * 2 * (1 - p); CIFAR-10, symmetric noise
    active = EpsilonSoftmaxCrossEntropy(m=1e5)
    loss = ActivePassive(active, MeanAbsoluteError(), alpha=0.01, beta=5.0)
    expected = 0.01 * (math.log(1e5 + 1) - math.log(0.2)) + 5 * 1.6
    received = float(numpy(loss([1], np.array([P], "float32"))))
    assert received == pytest.approx(expected, rel=1e-6)


def test_below_the_floor_there_is_no_gradient():
    # p is 4.5e-5: above 1e-8, but p / (m + 1) is not
    logits = np.array([[0.0, 10.0]], "float32")

    def slope(**parameters):
        return gradient(
            lambda z: epsilon_softmax_cross_entropy(
                [0], z, from_logits=True, **parameters
            ),
            logits,
        )

    assert np.abs(slope(m=1e4)).max() == 0
    np.testing.assert_allclose(slope(m=1e3), [[-1, 1]], atol=1e-4)
    np.testing.assert_allclose(slope(m=1e4, floor=0.0), [[-1, 1]], atol=1e-4)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_nothing_is_most_probable_among_equals(label):
    # so a model with equal logits has the gradient of cross-entropy
    rows = np.eye(3, dtype="float32")[[label]]
    for y_true in ([label], rows):
        loss = epsilon_softmax_cross_entropy(
            y_true, np.zeros((1, 3), "float32"), from_logits=True
        )
        assert float(numpy(loss)[0]) == pytest.approx(math.log(3e4 + 3), rel=1e-6)


def test_probabilities_that_tie_do_so_wherever_they_stand():
    # a vectorised logarithm of a number may differ by where in the batch it stands
    for tied in np.random.default_rng(0).uniform(0.35, 0.45, 100).astype("float32"):
        p = np.full((3, 5), (1 - 2 * tied) / 3, "float32")
        p[:, [1, 4]] = tied
        loss = numpy(epsilon_softmax_cross_entropy([1, 4, 1], p, m=1e4))
        expected = math.log(1e4 + 1) - math.log(tied)
        np.testing.assert_allclose(loss, expected, rtol=1e-6)
