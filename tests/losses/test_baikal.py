"""Values of Baikal, and its pole."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, check_linear, check_value, numpy
from tfrobustloss.losses import Baikal, baikal

LOGS = -np.log(P).sum()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, 5.697269),  # losses.md B6
        (1, 9.268698),
        (2, LOGS + 10),  # by hand
        ((0.5, 0.3, 0.2), LOGS + 0.5 / 0.7 + 0.3 / 0.2 + 0.2 / 0.1),
    ],
)
def test_values(label, expected):
    check_value(baikal, Baikal, {}, label, expected, atol=2e-6)


def test_the_pole_is_finite_and_still_has_a_gradient():
    logits = np.array([[-1e4, 0.0]], "float32")
    loss = float(numpy(baikal([0], logits, from_logits=True))[0])
    assert loss == pytest.approx(1e7 + 1e4, rel=1e-5)
    slope = gradient(lambda z: baikal([0], z, from_logits=True), logits)
    np.testing.assert_allclose(slope, [[-1e7, 1e7]], rtol=1e-5)


def test_sure_is_not_best():
    # with the others equal, the best prediction of label 0 is neither sure nor even
    best = np.linspace(0.34, 0.999, 660)
    p = np.stack([best, (1 - best) / 2, (1 - best) / 2], -1).astype("float32")
    losses = numpy(baikal(np.zeros(len(p), int), p))
    # derivative of 1/p - log(p) - 2 log((1-p)/2): -1/p**2 - 1/p + 2/(1-p) = 0
    root = np.roots([3, 0, -1])  # 2 p**2 - (1 + p)(1 - p) = 3 p**2 - 1
    assert best[losses.argmin()] == pytest.approx(root.max(), abs=2e-3)
    assert losses.min() > 3 * math.log(3) + 1


def test_linear_in_the_label():
    check_linear(baikal, {})
