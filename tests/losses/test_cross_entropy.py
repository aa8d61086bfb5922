"""Values of cross-entropy and its smoothed form."""

import math

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    P,
    check_linear,
    check_value,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import ConfidenceRegularized, CrossEntropy, cross_entropy


@pytest.mark.parametrize(
    ("parameters", "label", "expected"),
    [
        ({}, 0, -math.log(0.7)),  # by hand
        ({}, 1, 1.609438),  # losses.md A2: -log 0.2
        ({}, 2, 2.302585),  # by hand: log 10
        ({}, (0.5, 0.3, 0.2), -np.dot((0.5, 0.3, 0.2), np.log(P))),  # the definition
        ({"label_smoothing": 0.1}, 0, 0.463297),  # losses.md A7
        ({"label_smoothing": 0.1}, 1, 1.590784),  # losses.md A7
        ({"label_smoothing": 1.0}, 0, -np.log(P).mean()),  # limit: no label at all
        ({"label_smoothing": 1.0}, 2, -np.log(P).mean()),
        ({"label_smoothing": -0.4}, 0, -0.069815),  # field.md 1a, and the five below
        ({"label_smoothing": -0.4}, 1, 1.684053),
        ({"label_smoothing": -1.0}, 0, -0.709549),
        ({"label_smoothing": -1.0}, 1, 1.795977),
        ({"label_smoothing": -4.0}, 0, -3.908223),
        ({"label_smoothing": -4.0}, 1, 2.355592),
        (
            {"label_smoothing": -1.0},
            (0.5, 0.3, 0.2),
            np.log(P).mean() - 2 * np.dot((0.5, 0.3, 0.2), np.log(P)),
        ),
    ],
)
def test_values(parameters, label, expected):
    check_value(cross_entropy, CrossEntropy, parameters, label, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_equals_keras(smoothing):
    # expected: Keras' built-in loss on the same logits
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 5, (64, 10)).astype("float32")
    labels = generator.dirichlet(np.ones(10), 64).astype("float32")
    options = {"label_smoothing": smoothing, "from_logits": True, "reduction": None}
    built_in = keras.losses.CategoricalCrossentropy(**options)
    expected = numpy(built_in(labels, logits))
    actual = numpy(CrossEntropy(**options)(labels, logits))
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


def test_equals_keras_on_class_ids():
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 5, (64, 10)).astype("float32")
    ids = generator.integers(0, 10, 64)
    built_in = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    actual = float(CrossEntropy(from_logits=True)(ids, logits))
    np.testing.assert_allclose(actual, float(built_in(ids, logits)), rtol=1e-6)


def test_linear_in_the_label():
    check_linear(cross_entropy, {"label_smoothing": 0.2})
    check_linear(cross_entropy, {"label_smoothing": -1.5})


def test_a_hopeless_example_keeps_its_gradient():
    # by hand: softmax minus label; Keras' clip of probabilities makes it 0
    slope = gradient(
        lambda z: cross_entropy([0], z, from_logits=True),
        np.array([[-20.0, 0.0, 0.0]], "float32"),
    )
    np.testing.assert_allclose(slope, [[-1.0, 0.5, 0.5]], rtol=1e-6)


def test_probability_zero_counts_as_keras_epsilon():
    # the documented floor, 1e-7
    loss = float(cross_entropy([0], np.array([[0.0, 1.0]], "float32"))[0])
    assert loss == pytest.approx(-math.log(1e-7), rel=1e-6)
    slope = gradient(lambda p: cross_entropy([0], p), np.array([[0.0, 1.0]], "float32"))
    np.testing.assert_allclose(slope, [[-1e7, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [-0.25, -1.0, -4.0, -100.0])
def test_negative_smoothing_is_confidence_regularization(smoothing):
    p = random_probabilities((20, 4)).astype("float32")
    for y_true in (np.arange(20) % 4, random_probabilities((20, 4), seed=1)):
        smoothed = CrossEntropy(smoothing, reduction=None)(y_true, p)
        beta = -smoothing / (1 - smoothing)
        regularized = ConfidenceRegularized(beta, reduction=None)(y_true, p)
        expected = (1 - smoothing) * numpy(regularized)
        scale = 1e-6 * (1 - smoothing) * 20
        np.testing.assert_allclose(numpy(smoothed), expected, rtol=1e-5, atol=scale)


@pytest.mark.parametrize("smoothing", [-1.0, -8.0])
def test_bounds_of_negative_smoothing(smoothing):
    # by hand: -log(1e-7) at the others, or at the label and at all others but one
    low, high = CrossEntropy(smoothing).bounds(2)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
    least, most = numpy(cross_entropy([0, 0], sure, smoothing))
    assert (low, high) == pytest.approx((least, most), rel=1e-5)
    assert CrossEntropy(smoothing, True).bounds(3) == (-math.inf, math.inf)


def test_smoothing_above_1_is_refused():
    message = (
        r"CrossEntropy: `label_smoothing` must be in \(-inf, 1\]\. Received: .*1.5"
    )
    with pytest.raises(ValueError, match=message):
        CrossEntropy(1.5)
