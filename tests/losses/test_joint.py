"""Values of the joint asymmetric loss."""

import numpy as np
import pytest

from tests.losses.values import check_value, numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import JointAsymmetric, joint_asymmetric


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        # losses.md C: the sum of the checks of its halves
        ({"a": 1.0}, 0, 0.083556 + 0.046667),
        ({"a": 1.0}, 1, 0.377033 + 0.38),
        ({"a": 1.0, "gamma": 0.5}, 1, 0.376907 + 0.38),
        ({"alpha": 5.0, "beta": 0.1, "a": 5.0}, 1, 5 * 0.377033 + 0.1 * 23.54 / 3),
        ({"alpha": 0.0}, 0, (29.3**2 + 0.05) / 3),
        ({"beta": 0.0}, 0, 0.083556),  # limit: normalised cross-entropy
    ],
)
def test_values(parameters, label, expected):
    atol = 1e-4 if expected > 100 else 5e-6
    check_value(
        joint_asymmetric, JointAsymmetric, parameters, label, expected, atol=atol
    )


def test_is_what_the_combinator_gives():
    p = random_probabilities((20, 5)).astype("float32")
    ids = np.arange(20) % 5
    active, passive = losses.NormalizedFocal(), losses.AsymmetricMeanSquaredError(20.0)
    both = losses.ActivePassive(active, passive, 5.0, 1.0, reduction=None)
    direct = JointAsymmetric(5.0, 1.0, 20.0, gamma=0.5, reduction=None)
    np.testing.assert_allclose(numpy(both(ids, p)), numpy(direct(ids, p)), rtol=1e-6)
