"""Values of the active negative losses and of their negative half."""

import numpy as np
import pytest

from tests.losses.values import (
    P,
    check_linear,
    check_value,
    numpy,
    random_probabilities,
)
from tfrobustloss import losses
from tfrobustloss.losses import (
    ActiveNegativeCrossEntropy,
    ActiveNegativeFocal,
    active_negative_cross_entropy,
    active_negative_focal,
)

CROSS = (active_negative_cross_entropy, ActiveNegativeCrossEntropy)
FOCAL = (active_negative_focal, ActiveNegativeFocal)
NEGATIVE = {"alpha": 0.0, "beta": 1.0}
MASS = np.array((0.5, 0.3, 0.2))


def room(p, smallest, gamma):
    """g of the docstring, in float64."""
    p = np.maximum(p, smallest)
    focal = -((1 - p) ** gamma) * np.log(p)
    return -((1 - smallest) ** gamma) * np.log(smallest) - focal


@pytest.mark.parametrize(
    ("pair", "parameters", "label", "expected"),
    [
        (CROSS, NEGATIVE, 0, 0.642481),  # losses.md C, this and the following rows
        (CROSS, NEGATIVE, 1, 0.670898),
        (CROSS, {"alpha": 5.0, "beta": 5.0}, 0, 3.630186),
        (CROSS, {"alpha": 5.0, "beta": 5.0}, 1, 5.239652),
        (FOCAL, NEGATIVE, 0, 0.642467),
        (FOCAL, NEGATIVE, 1, 0.670404),
        (CROSS, {"beta": 0.0}, 1, 0.377033),  # limits: the normalised losses
        (FOCAL, {"beta": 0.0}, 1, 0.376907),
        (FOCAL, {**NEGATIVE, "gamma": 0.0}, 1, 0.670898),
        # the definition, where one class is below the smallest probability
        (
            CROSS,
            {**NEGATIVE, "min_probability": 0.15},
            1,
            1 - room(0.2, 0.15, 0) / room(P, 0.15, 0).sum(),
        ),
        (
            FOCAL,
            {**NEGATIVE, "min_probability": 0.15},
            MASS,
            1 - np.dot(MASS, room(P, 0.15, 0.5)) / room(P, 0.15, 0.5).sum(),
        ),
    ],
)
def test_values(pair, parameters, label, expected):
    check_value(*pair, parameters, label, expected)


@pytest.mark.parametrize("pair", [CROSS, FOCAL])
def test_sum_over_labels(pair):
    # both halves are symmetric: 1 and classes - 1
    p = random_probabilities((50, 10), concentration=0.3).astype("float32")
    parameters = {"alpha": 2.0, "beta": 0.5}
    total = sum(numpy(pair[0](np.full(50, k), p, **parameters)) for k in range(10))
    np.testing.assert_allclose(total, 2 + 0.5 * 9, rtol=1e-5)


@pytest.mark.parametrize("pair", [CROSS, FOCAL])
def test_linear_in_the_label(pair):
    check_linear(pair[0], {})


def test_is_what_the_combinator_gives():
    # the active half is the normalised loss itself, not a copy of it
    p = random_probabilities((20, 5)).astype("float32")
    ids = np.arange(20) % 5
    both = losses.ActivePassive(
        losses.NormalizedFocal(), ActiveNegativeFocal(0.0, 1.0), 3.0, 2.0
    )
    direct = ActiveNegativeFocal(3.0, 2.0)
    np.testing.assert_allclose(float(both(ids, p)), float(direct(ids, p)), rtol=1e-6)


@pytest.mark.parametrize("loss_class", [CROSS[1], FOCAL[1]])
def test_smallest_probability_of_many_classes(loss_class):
    p = np.full((1, 10), 0.1, "float32")
    with pytest.raises(ValueError, match=r"`min_probability`.*\(0, 0.09\].*=0.2"):
        loss_class(min_probability=0.2)([0], p)


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("pair", [CROSS, FOCAL])
def test_predictions_that_are_no_probabilities_stay_finite(pair, fill):
    assert np.isfinite(numpy(pair[0]([1], np.full((1, 4), fill, "float32")))).all()
