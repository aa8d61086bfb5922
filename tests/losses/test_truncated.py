"""Values of the truncated generalized cross-entropy, and its warm-up."""

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, check_linear, check_value, numpy
from tfrobustloss.losses import (
    TruncatedGeneralizedCrossEntropy,
    generalized_cross_entropy,
    truncated_generalized_cross_entropy,
)


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.315634),  # losses.md A3: q = 0.7, k = 0.5
        ({}, 1, 0.549183),
        ({}, 2, 0.549183),
        ({"q": 1.0, "k": 0.15}, 1, 0.8),  # by hand
        ({"q": 1.0, "k": 0.15}, 2, 0.85),
        ({"q": 0.0, "k": 0.15}, 2, -np.log(0.15)),  # limit: cross-entropy, cut
        ({"k": 0}, 1, 0.965527),  # limit: not truncated
        (
            {"q": 1.0},
            (0.5, 0.3, 0.2),
            np.dot((0.5, 0.3, 0.2), 1 - np.maximum(P, 0.5)),
        ),
    ],
)
def test_values(parameters, label, expected):
    check_value(
        truncated_generalized_cross_entropy,
        TruncatedGeneralizedCrossEntropy,
        parameters,
        label,
        expected,
    )


def test_linear_in_the_label():
    check_linear(truncated_generalized_cross_entropy, {"q": 0.5, "k": 0.15})


def test_a_new_model_learns_nothing_without_warm_up():
    logits = np.array([[0.3, 0.0, -0.2]], "float32")

    def slope(**parameters):
        return gradient(
            lambda z: truncated_generalized_cross_entropy(
                [0], z, from_logits=True, **parameters
            ),
            logits,
        )

    assert np.abs(slope()).max() == 0
    expected = gradient(
        lambda z: generalized_cross_entropy([0], z, from_logits=True), logits
    )
    np.testing.assert_allclose(slope(k=0.0), expected, rtol=1e-6)


def test_a_variable_is_the_warm_up():
    k = keras.Variable(0.0, trainable=False)
    loss = TruncatedGeneralizedCrossEntropy(k=k, reduction=None)
    p = np.array([P, P[::-1]], "float32")
    plain = numpy(generalized_cross_entropy([1, 2], p))
    np.testing.assert_allclose(numpy(loss([1, 2], p)), plain, rtol=1e-6)
    k.assign(0.5)
    received = numpy(loss([1, 2], p))
    np.testing.assert_allclose(received, [0.549183, 0.315634], atol=1e-6)
    assert loss.get_config()["k"] == 0.5
