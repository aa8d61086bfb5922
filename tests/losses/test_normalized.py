"""Values of the normalised losses: each a share of the sum over all labels."""

import math

import numpy as np
import pytest

from tests.losses.values import (
    P,
    check_linear,
    check_value,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import (
    NormalizedCrossEntropy,
    NormalizedFocal,
    NormalizedGeneralizedCrossEntropy,
    focal,
    normalized_cross_entropy,
    normalized_focal,
    normalized_generalized_cross_entropy,
)

CROSS = (normalized_cross_entropy, NormalizedCrossEntropy)
FOCAL = (normalized_focal, NormalizedFocal)
GENERALIZED = (normalized_generalized_cross_entropy, NormalizedGeneralizedCrossEntropy)
ALL = [(CROSS, {}), (FOCAL, {}), (FOCAL, {"gamma": 2.0}), (GENERALIZED, {})]
MASS = np.array((0.5, 0.3, 0.2))


@pytest.mark.parametrize(
    ("pair", "parameters", "label", "expected"),
    [
        (CROSS, {}, 0, 0.083556),  # losses.md C, this and the following rows
        (CROSS, {}, 1, 0.377033),
        (FOCAL, {}, 0, 0.051150),
        (FOCAL, {}, 1, 0.376907),
        (GENERALIZED, {}, 0, 0.130175),
        (GENERALIZED, {}, 1, 0.398205),
        (FOCAL, {"gamma": 0.0}, 0, 0.083556),  # limit: normalised cross-entropy
        (FOCAL, {"gamma": 0}, 1, 0.377033),
        (GENERALIZED, {"q": 0.0}, 0, 0.083556),  # limit: normalised cross-entropy
        (GENERALIZED, {"q": 0}, 1, 0.377033),
        (GENERALIZED, {"q": 1.0}, 0, 0.15),  # by hand: (1 - p) / (classes - 1)
        (GENERALIZED, {"q": 1}, 1, 0.4),
        # the definitions, in float64
        (CROSS, {}, MASS, np.dot(MASS, np.log(P)) / np.log(P).sum()),
        (GENERALIZED, {"q": 0.1}, 2, (1 - 0.1**0.1) / (3 - (P**0.1).sum())),
        (
            FOCAL,
            {"gamma": 1.3},
            2,
            0.9**1.3 * math.log(0.1) / ((1 - P) ** 1.3 * np.log(P)).sum(),
        ),
    ],
)
def test_values(pair, parameters, label, expected):
    check_value(*pair, parameters, label, expected)


@pytest.mark.parametrize(("pair", "parameters"), ALL)
def test_sum_over_labels_is_one(pair, parameters):
    # Ma et al., lemma 1: a normalised loss is noise-tolerant because of this
    function, _ = pair
    p = random_probabilities((50, 10), concentration=0.3).astype("float32")
    total = sum(
        numpy(function(np.full(50, label), p, **parameters)) for label in range(10)
    )
    np.testing.assert_allclose(total, 1, rtol=1e-5)


@pytest.mark.parametrize(("pair", "parameters"), ALL)
def test_linear_in_the_label(pair, parameters):
    check_linear(pair[0], parameters)


def test_focal_is_a_share_of_the_focal_loss():
    p = random_probabilities((20, 6)).astype("float32")
    every = [numpy(focal(np.full(20, k), p, gamma=1.5)) for k in range(6)]
    share = numpy(normalized_focal(np.full(20, 2), p, gamma=1.5))
    np.testing.assert_allclose(share, every[2] / np.sum(every, 0), rtol=1e-5)


@pytest.mark.parametrize(("pair", "parameters"), ALL)
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_predictions_that_are_no_probabilities_stay_finite(pair, parameters, fill):
    # a sum over labels of 0 would be 0 / 0
    p = np.full((1, 4), fill, "float32")
    loss = numpy(pair[0]([1], p, **parameters))
    assert np.isfinite(loss).all()
