"""Values of the mean absolute error and the symmetry that the theory asks for."""

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    Z,
    check_linear,
    check_value,
    log_softmax,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import MeanAbsoluteError, mean_absolute_error


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, 0.6),  # losses.md A2: 2 * (1 - 0.7)
        (1, 1.6),  # losses.md A2
        (2, 1.8),  # by hand
        ((0.5, 0.3, 0.2), 2 * (1 - (0.35 + 0.06 + 0.02))),  # by hand
    ],
)
def test_values(label, expected):
    check_value(mean_absolute_error, MeanAbsoluteError, {}, label, expected)


@pytest.mark.parametrize(("p", "expected"), [([1, 0, 0], 0.0), ([0, 1, 0], 2.0)])
def test_ends_of_the_range(p, expected):
    # by hand: sure and right, sure and wrong
    p = np.array([p], "float32")
    assert float(mean_absolute_error([0], p)[0]) == expected


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
def test_sum_over_labels_is_constant(num_classes):
    # Ghosh et al., theorem 1: the sum over labels is 2 * (classes - 1)
    p = random_probabilities((50, num_classes), concentration=0.3)
    p = p.astype("float32")
    total = sum(
        numpy(mean_absolute_error(np.full(50, label), p))
        for label in range(num_classes)
    )
    np.testing.assert_allclose(total, 2 * (num_classes - 1), rtol=1e-6)


def test_is_keras_mean_times_classes():
    # expected: Keras' built-in loss, a mean over classes where ours is a sum
    p = random_probabilities((50, 7)).astype("float32")
    one_hot = np.eye(7, dtype="float32")[np.arange(50) % 7]
    built_in = keras.losses.MeanAbsoluteError(reduction=None)
    expected = 7 * numpy(built_in(one_hot, p))
    actual = numpy(mean_absolute_error(one_hot, p))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_gradient_in_logits():
    # losses.md A2, by hand: -2 p_y (1[k = y] - p_k)
    p = np.exp(log_softmax(Z))
    expected = -2 * p[1] * (np.eye(3)[1] - p)
    slope = gradient(
        lambda z: mean_absolute_error([1], z, from_logits=True),
        np.array([Z], "float32"),
    )
    np.testing.assert_allclose(slope, [expected], rtol=2e-6)


def test_linear_in_the_label():
    check_linear(mean_absolute_error, {})
