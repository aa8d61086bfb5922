"""Values of the Taylor cross-entropy, its limits and its bounds."""

import math

import numpy as np
import pytest
from keras import Variable

from tests.losses.values import (
    P,
    check_linear,
    check_value,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import TaylorCrossEntropy, taylor_cross_entropy


@pytest.mark.parametrize(
    ("order", "label", "expected"),
    [
        (1, 0, 0.3),  # losses.md C, this and the following rows
        (1, 1, 0.8),
        (2, 0, 0.345),
        (2, 1, 1.12),
        (3, 0, 0.354),
        (3, 1, 1.290667),
        (6, 0, 0.356633),
        (6, 1, 1.502293),
        (100, 0, -math.log(0.7)),  # limit: cross-entropy
        (2, 2, 0.9 + 0.9**2 / 2),  # by hand
        (2, (0.5, 0.3, 0.2), np.dot((0.5, 0.3, 0.2), 1 - P + (1 - P) ** 2 / 2)),
    ],
)
def test_values(order, label, expected):
    check_value(
        taylor_cross_entropy, TaylorCrossEntropy, {"order": order}, label, expected
    )


@pytest.mark.parametrize("order", [1, 2, 5])
def test_sum_over_labels_is_bounded(order):
    # Feng et al., lemma 1: K - 1 <= sum <= (K - 1) * (1 + 1/2 + ... + 1/order)
    p = np.concatenate([random_probabilities((200, 6)), np.eye(6)]).astype("float32")
    total = sum(
        numpy(taylor_cross_entropy(np.full(len(p), label), p, order=order))
        for label in range(6)
    )
    harmonic = sum(1 / i for i in range(1, order + 1))
    assert total.min() >= 5 * (1 - 1e-6)
    assert total.max() <= 5 * harmonic * (1 + 1e-6)
    np.testing.assert_allclose(total[-1], 5 * harmonic, rtol=1e-5)  # reached


def test_linear_in_the_label():
    check_linear(taylor_cross_entropy, {"order": 3})


@pytest.mark.parametrize("order", [0, 2.5, 101])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match=rf"`order` must be .* order={order}\."):
        taylor_cross_entropy([0], [P], order=order)


def test_a_variable_order_is_refused():
    with pytest.raises(TypeError, match="TaylorCrossEntropy: `order` .*plain int"):
        TaylorCrossEntropy(order=Variable(2, trainable=False, dtype="int32"))
