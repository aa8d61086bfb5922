"""Values of the asymmetric losses, and the claim in their name."""

import math

import numpy as np
import pytest

from tests.losses.values import P, check_linear, check_value, numpy
from tfrobustloss import losses
from tfrobustloss.losses import (
    AsymmetricExponential,
    AsymmetricGeneralizedCrossEntropy,
    AsymmetricMeanSquaredError,
    AsymmetricUnhinged,
    asymmetric_exponential,
    asymmetric_generalized_cross_entropy,
    asymmetric_mean_squared_error,
    asymmetric_unhinged,
)

GENERALIZED = (
    asymmetric_generalized_cross_entropy,
    AsymmetricGeneralizedCrossEntropy,
)
UNHINGED = (asymmetric_unhinged, AsymmetricUnhinged)
EXPONENTIAL = (asymmetric_exponential, AsymmetricExponential)
SQUARED = (asymmetric_mean_squared_error, AsymmetricMeanSquaredError)
MASS = np.array((0.5, 0.3, 0.2))


@pytest.mark.parametrize(
    ("pair", "parameters", "label", "expected"),
    [
        (GENERALIZED, {}, 0, 0.258827),  # losses.md C, this and the following rows
        (GENERALIZED, {}, 1, 0.751820),
        (GENERALIZED, {"a": 6.0, "q": 1.5}, 0, 0.785159),
        (GENERALIZED, {"a": 6.0, "q": 1.5}, 1, 2.054922),
        (UNHINGED, {}, 0, 6.489),
        (UNHINGED, {}, 1, 19.250667),
        (EXPONENTIAL, {}, 0, 0.755784),
        (EXPONENTIAL, {}, 1, 0.923116),
        (SQUARED, {}, 0, (29.3**2 + 0.05) / 3),  # by hand: 286.18 in losses.md
        (SQUARED, {}, 1, (29.8**2 + 0.5) / 3),
        # limits: 1 - p, and at q = 0 a logarithm
        (GENERALIZED, {"a": 2.0, "q": 1.0}, 1, 0.8),
        (UNHINGED, {"a": 2, "q": 1}, 1, 0.8),
        (GENERALIZED, {"a": 2.0, "q": 0.0}, 1, math.log(3 / 2.2)),
        (UNHINGED, {"a": 2.0, "q": 0.0}, 1, math.log(1.8)),
        (GENERALIZED, {"a": 1e-6, "q": 0.7}, 1, 0.965527),  # generalised, A3
        (SQUARED, {"a": 1.0}, 0, 0.046667),  # losses.md A2: the squared error
        (SQUARED, {"a": 1}, 1, 0.38),
        # the definitions, in float64
        (GENERALIZED, {"a": 1e-5, "q": 0.5}, 2, 2 * (1.00001**0.5 - 0.10001**0.5)),
        (GENERALIZED, {"a": 500.0, "q": 0.1}, 2, 10 * (501**0.1 - 500.1**0.1)),
        (UNHINGED, {"a": 3.0, "q": 0.1}, 2, 10 * (2.9**0.1 - 2**0.1)),
        (UNHINGED, {"a": 1 + 1e-9, "q": 0.5}, 2, 2 * (0.9**0.5 - 1e-9**0.5)),
        (EXPONENTIAL, {"a": 0.1}, 0, math.exp(-7)),
        (SQUARED, {"a": 4.0}, MASS, np.mean((P - 4 * MASS) ** 2)),
    ],
)
def test_values(pair, parameters, label, expected):
    atol = 1e-4 if expected > 100 else None
    check_value(*pair, parameters, label, expected, atol=atol)


@pytest.mark.parametrize("pair", [GENERALIZED, UNHINGED, EXPONENTIAL])
def test_linear_in_the_label(pair):
    check_linear(pair[0], {})


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (asymmetric_generalized_cross_entropy, {"a": 0.5, "q": 1.5}),
        (asymmetric_unhinged, {"a": 1.5, "q": 0.7}),
        (asymmetric_unhinged, {"a": 5.5, "q": 3.0}),
        (asymmetric_exponential, {"a": 2.5}),
    ],
)
def test_the_most_frequent_label_wins(function, parameters):
    # Zhou et al., definition 1: what is expected under noisy labels is least where
    # the most frequent label has all the probability; 0.6 / 0.4 is noise enough here
    p = np.linspace(0, 1, 201)
    p = np.stack([p, 1 - p], axis=1).astype("float32")
    first, second = (numpy(function(np.full(201, k), p, **parameters)) for k in (0, 1))
    expected = 0.6 * first + 0.4 * second
    assert np.argmin(expected) == 200


def test_cross_entropy_is_not_asymmetric():
    p = np.linspace(0.005, 0.995, 199)
    p = np.stack([p, 1 - p], axis=1).astype("float32")
    first, second = (numpy(losses.cross_entropy(np.full(199, k), p)) for k in (0, 1))
    assert p[np.argmin(0.6 * first + 0.4 * second), 0] == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    ("loss_class", "name", "bad"),
    [
        (AsymmetricUnhinged, "a", 1.0),
        (AsymmetricGeneralizedCrossEntropy, "a", 0.0),
        (AsymmetricGeneralizedCrossEntropy, "q", -1.0),
        (AsymmetricMeanSquaredError, "a", 0.5),
    ],
)
def test_ranges(loss_class, name, bad):
    with pytest.raises(ValueError, match=rf"`{name}` must be .*{name}={bad}"):
        loss_class(**{name: bad})
