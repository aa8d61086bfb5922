"""Values of cross-entropy and its smoothed form."""

import math

import keras
import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import P, check_linear, check_value, numpy
from tfrobustloss.losses import CrossEntropy, cross_entropy


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
