"""Values of the Brier score and of the squared hinge of probabilities."""

import keras
import numpy as np
import pytest

from tests.losses.values import check_value, numpy, random_probabilities
from tfrobustloss.losses import (
    MeanSquaredError,
    SquaredHinge,
    mean_squared_error,
    squared_hinge,
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, 0.14),  # losses.md A2
        (1, 1.14),
        (2, 0.49 + 0.04 + 0.81),  # by hand
        ((0.5, 0.3, 0.2), 0.04 + 0.01 + 0.01),
        ((0.7, 0.2, 0.1), 0.0),
    ],
)
def test_values_of_squared_error(label, expected):
    check_value(mean_squared_error, MeanSquaredError, {}, label, expected)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, 0.913333),  # losses.md A2
        (1, 1.58),
        (2, (1.7**2 + 1.2**2 + 0.9**2) / 3),  # by hand
        ((0.5, 0.3, 0.2), (1 + 1.08**2 + 1.06**2) / 3),
    ],
)
def test_values_of_squared_hinge(label, expected):
    check_value(squared_hinge, SquaredHinge, {}, label, expected)


@pytest.mark.parametrize("classes", [2, 7])
def test_equal_keras_up_to_the_scale(classes):
    p = random_probabilities((30, classes), seed=1).astype("float32")
    ids = np.arange(30) % classes
    rows = np.eye(classes, dtype="float32")[ids]
    squares = numpy(keras.losses.mean_squared_error(rows, p)) * classes
    received = numpy(mean_squared_error(ids, p))
    np.testing.assert_allclose(received, squares, rtol=1e-5, atol=3e-7)
    hinges = numpy(keras.losses.squared_hinge(rows, p))
    np.testing.assert_allclose(numpy(squared_hinge(ids, p)), hinges, rtol=1e-5)


def test_squared_error_is_a_proper_score():
    # the mean over labels drawn from q is smallest where p is q
    q = np.array([0.5, 0.3, 0.2])
    p = np.concatenate([[q], random_probabilities((50, 3))]).astype("float32")
    mean = sum(
        q[label] * numpy(mean_squared_error(np.full(51, label), p))
        for label in range(3)
    )
    assert mean.argmin() == 0
