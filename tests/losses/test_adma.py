"""Values of Adma, its gradient, its bound and its small-factor limit."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, Z, check_linear, check_value, log_softmax, numpy
from tfrobustloss.losses import Adma, adma


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.232332),  # losses.md A9, this and the following rows
        ({}, 1, 0.792125),
        ({"scaling_factor": 0.5}, 0, 0.409639),
        ({"scaling_factor": 0.5}, 1, 1.154334),
        ({"scaling_factor": 0.1}, 0, 0.093596),
        ({"scaling_factor": 0.1}, 1, 0.375498),
        ({"scaling_factor": 0.5, "base": 2.0}, 0, 0.214089),
        ({"scaling_factor": 0.5, "base": 2}, 1, 0.636596),
        ({"scaling_factor": 1.0}, 2, math.e - math.exp(0.1)),  # by hand
        ({}, (0.5, 0.3, 0.2), np.dot((0.5, 0.3, 0.2), math.e - np.exp(P**0.2624))),
    ],
)
def test_values(parameters, label, expected):
    check_value(adma, Adma, parameters, label, expected)


@pytest.mark.parametrize(("label", "expected"), [(0, -0.848617), (1, -1.656592)])
def test_gradient_in_probabilities(label, expected):
    # losses.md A9: -a p ** (a - 1) exp(p ** a)
    slope = gradient(lambda p: adma([label], p), np.array([P], "float32"))
    np.testing.assert_allclose(slope[0, label], expected, atol=1e-6)


def test_gradient_in_logits():
    # the paper's eq. 8, through the softmax: -a p_y**a exp(p_y**a) (1[k = y] - p_k)
    p = np.exp(log_softmax(Z))
    power = p[1] ** 0.2624
    expected = -0.2624 * power * math.exp(power) * (np.eye(3)[1] - p)
    slope = gradient(lambda z: adma([1], z, from_logits=True), np.array([Z], "float32"))
    np.testing.assert_allclose(slope, [expected], rtol=2e-6)


@pytest.mark.parametrize("base", [math.e, 2.0, 10.0])
def test_range(base):
    # by hand: p = 1 gives 0, p = 0 gives base - 1
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], "float32")
    loss = numpy(adma([0, 0], logits, base=base, from_logits=True))
    np.testing.assert_allclose(loss, [0, base - 1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("base", [math.e, 3.0])
def test_small_factors_approach_cross_entropy(base):
    # losses.md A9: loss / a -> -base ln(base) log p; the next term is of order a
    factor = 1e-5
    loss = numpy(adma([0, 1, 2], np.array([P] * 3, "float32"), factor, base))
    expected = -base * math.log(base) * np.log(P)
    np.testing.assert_allclose(loss / factor, expected, rtol=5e-5)


@pytest.mark.parametrize(("factor", "convex"), [(0.3, True), (0.5, True), (0.7, False)])
def test_convex_up_to_one_half(factor, convex):
    # losses.md A9: the second derivative has the sign of 1 - a - a p ** a
    p = np.linspace(0.02, 0.98, 49)
    y_pred = np.stack([p, 1 - p], -1).astype("float32")
    slope = gradient(lambda y: adma(np.zeros(49, int), y, factor), y_pred)[:, 0]
    assert (np.diff(slope) > 0).all() == convex


def test_linear_in_the_label():
    check_linear(adma, {})
