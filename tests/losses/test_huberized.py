"""Values of the partially huberised losses, and where their line starts."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import check_linear, check_value
from tfrobustloss import losses
from tfrobustloss.losses import (
    PartiallyHuberizedCrossEntropy,
    PartiallyHuberizedGeneralizedCrossEntropy,
    partially_huberized_cross_entropy,
    partially_huberized_generalized_cross_entropy,
)

CROSS = (partially_huberized_cross_entropy, PartiallyHuberizedCrossEntropy)
GENERALIZED = (
    partially_huberized_generalized_cross_entropy,
    PartiallyHuberizedGeneralizedCrossEntropy,
)


@pytest.mark.parametrize(
    ("pair", "parameters", "label", "expected"),
    [
        (CROSS, {"tau": 2.0}, 0, 0.356675),  # losses.md C, this and the next rows
        (CROSS, {"tau": 2.0}, 1, 1.293147),
        (CROSS, {}, 0, 0.356675),
        (CROSS, {}, 1, 1.609438),
        (GENERALIZED, {}, 0, 0.315634),
        (GENERALIZED, {}, 1, 0.965527),
        (CROSS, {"tau": 1}, 1, 0.8),  # limits: 1 - p, cross-entropy, and each other
        (CROSS, {"tau": 1e12}, 1, -math.log(0.2)),
        (GENERALIZED, {"q": 1.0, "tau": 7.0}, 1, 0.8),
        (GENERALIZED, {"q": 1, "tau": 1}, 1, 0.8),
        (GENERALIZED, {"q": 0.0, "tau": 2.0}, 1, 1.293147),
        (GENERALIZED, {"q": 0.3, "tau": 1.0}, 1, 0.8),
        # by hand: the line starts at 1/4, where the loss is 1
        (GENERALIZED, {"q": 0.5, "tau": 2.0}, 1, 1 + 2 * 0.05),
        (GENERALIZED, {"q": 0.5, "tau": 2.0}, (0.5, 0.5, 0.0), 0.55 + 1 - 0.7**0.5),
    ],
)
def test_values(pair, parameters, label, expected):
    check_value(*pair, parameters, label, expected)


@pytest.mark.parametrize(
    ("pair", "parameters", "start", "bound"),
    [
        (CROSS, {"tau": 4.0}, 1 / 4, 1 + math.log(4)),
        (GENERALIZED, {"q": 0.5, "tau": 4.0}, 1 / 16, 2 * 0.75 + 4 / 16),
    ],
)
def test_slope_stays_at_tau(pair, parameters, start, bound):
    # Menon et al.: the loss is continued by its tangent of slope -tau
    own = np.array([0.25 * start, 0.9 * start, 1.1 * start, 0.9], "float32")
    p = np.stack([own, 1 - own], axis=1)
    slope = gradient(lambda p: pair[0](np.zeros(4, int), p, **parameters), p)[:, 0]
    np.testing.assert_allclose(slope[:2], -4, rtol=1e-5)
    assert (np.abs(slope[2:]) < 4).all()
    sure_and_wrong = np.array([[-1e4, 1e4]], "float32")
    loss = pair[0]([0], sure_and_wrong, **parameters, from_logits=True)
    assert float(loss[0]) == pytest.approx(bound, rel=1e-6)


def test_above_the_line_it_is_the_plain_loss():
    p = np.array([[0.3, 0.7], [0.6, 0.4]], "float32")
    huberized = partially_huberized_generalized_cross_entropy([0, 1], p, 0.7, 50.0)
    plain = losses.generalized_cross_entropy([0, 1], p, 0.7)
    np.testing.assert_allclose(huberized, plain, rtol=1e-6)


@pytest.mark.parametrize("pair", [CROSS, GENERALIZED])
def test_linear_in_the_label(pair):
    check_linear(pair[0], {"tau": 3.0})


@pytest.mark.parametrize("loss_class", [CROSS[1], GENERALIZED[1]])
def test_range(loss_class):
    with pytest.raises(ValueError, match=r"`tau` must be in \[1, .*tau=0.5"):
        loss_class(tau=0.5)
