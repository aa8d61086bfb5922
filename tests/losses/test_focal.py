"""Values of the focal loss over a softmax."""

import math

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    P,
    Z,
    check_linear,
    check_value,
    log_softmax,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import Focal, focal

MASS = np.array((0.5, 0.3, 0.2))
WEIGHTS = [1.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, 0.032101),  # losses.md A11, this and the following rows
        ({}, 1, 1.030040),
        ({"alpha": 0.25}, 0, 0.008025),
        ({"alpha": 0.25}, 1, 0.257510),
        ({"gamma": 0.5}, 0, 0.195359),
        ({"gamma": 0.5}, 1, 1.439525),
        ({"gamma": 0.0}, 1, -math.log(0.2)),  # limit: cross-entropy
        ({"gamma": 0, "alpha": WEIGHTS}, 1, -0.5 * math.log(0.2)),  # by hand
        ({"alpha": WEIGHTS}, 2, -2 * 0.9**2 * math.log(0.1)),  # by hand
        ({"gamma": 1.3}, 2, -(0.9**1.3) * math.log(0.1)),  # the definition
        (
            {"gamma": 3, "alpha": WEIGHTS},
            MASS,
            -np.sum(MASS * WEIGHTS * (1 - P) ** 3 * np.log(P)),
        ),
    ],
)
def test_values(parameters, label, expected):
    check_value(focal, Focal, parameters, label, expected)


def test_equals_keras():
    # expected: Keras' built-in loss, on probabilities that it does not clip
    p = random_probabilities((50, 4), seed=3, concentration=5.0).astype("float32")
    one_hot = np.eye(4, dtype="float32")[np.arange(50) % 4]
    built_in = keras.losses.CategoricalFocalCrossentropy(
        alpha=0.25, gamma=2.0, reduction=None
    )
    loss = Focal(alpha=0.25, gamma=2.0, reduction=None)
    np.testing.assert_allclose(
        numpy(loss(one_hot, p)), numpy(built_in(one_hot, p)), rtol=5e-6
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0, 2.3])
def test_gradient_in_logits(gamma):
    # by hand: (gamma p m**(gamma-1) log p - m**gamma) (1[k = y] - p_k), m = 1 - p
    p = np.exp(log_softmax(Z))
    own = p[1]
    outer = gamma * own * (1 - own) ** (gamma - 1) * math.log(own)
    expected = (outer - (1 - own) ** gamma) * (np.eye(3)[1] - p)
    slope = gradient(
        lambda z: focal([1], z, gamma, from_logits=True), np.array([Z], "float32")
    )
    np.testing.assert_allclose(slope, [expected], rtol=3e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_sure_and_right_is_zero_and_flat(gamma):
    # Keras' binary form gives NaN at gamma = 0.5, logit 200 (losses.md A11)
    logits = np.array([[200.0, 0.0]], "float32")

    def loss(z):
        return focal([0], z, gamma, from_logits=True)

    assert float(loss(logits)[0]) == 0
    np.testing.assert_allclose(gradient(loss, logits), 0, atol=1e-12)


def test_linear_in_the_label():
    check_linear(focal, {"gamma": 1.5, "alpha": WEIGHTS})


@pytest.mark.parametrize(
    "alpha", [-0.25, [1.0, -1.0, 1.0], float("nan"), [[1.0, 1.0, 1.0]]]
)
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match=r"Focal: `alpha` must be .* Received: alpha="):
        Focal(alpha=alpha)


def test_alpha_of_another_number_of_classes():
    with pytest.raises(ValueError, match=r"focal: `alpha` .*There are 3 classes"):
        Focal(alpha=[1.0, 2.0])([0], np.array([P]))


@pytest.mark.parametrize("alpha", ["0.25", [1.0, "a"], True])
def test_alpha_of_another_kind(alpha):
    with pytest.raises((TypeError, ValueError), match=r"Focal: `alpha` must be "):
        Focal(alpha=alpha)
