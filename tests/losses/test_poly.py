"""Values of Poly-1."""

import math

import numpy as np
import pytest

from tests.losses.values import P, check_linear, check_value
from tfrobustloss.losses import PolyCrossEntropy, poly_cross_entropy


@pytest.mark.parametrize(
    ("epsilon", "label", "expected"),
    [
        (1.0, 0, 0.656675),  # losses.md C, this and the following rows
        (1.0, 1, 2.409438),
        (-1.0, 0, 0.056675),
        (-1, 1, 0.809438),
        (0.0, 1, -math.log(0.2)),  # limit: cross-entropy
        (2.0, 2, -math.log(0.1) + 2 * 0.9),  # by hand
        (1.0, (0.5, 0.3, 0.2), np.dot((0.5, 0.3, 0.2), 1 - P - np.log(P))),
    ],
)
def test_values(epsilon, label, expected):
    parameters = {"epsilon": epsilon}
    check_value(poly_cross_entropy, PolyCrossEntropy, parameters, label, expected)


def test_default_is_that_of_image_classification():
    check_value(poly_cross_entropy, PolyCrossEntropy, {}, 2, -math.log(0.1) + 1.8)


def test_linear_in_the_label():
    check_linear(poly_cross_entropy, {"epsilon": 1.5})
