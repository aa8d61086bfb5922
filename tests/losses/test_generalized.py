"""Values of generalized cross-entropy and its two limits."""

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
from tfrobustloss import losses
from tfrobustloss.losses import GeneralizedCrossEntropy, generalized_cross_entropy


@pytest.mark.parametrize(
    ("q", "label", "expected"),
    [
        (0.7, 0, 0.315634),  # losses.md A3, this and the following rows
        (0.7, 1, 0.965527),
        (0.5, 0, 0.326680),
        (0.5, 1, 1.105573),
        (0.3, 0, 0.338255),
        (0.3, 1, 1.276554),
        (1.0, 0, 0.3),  # limit: half the mean absolute error
        (1.0, 1, 0.8),
        (1, 2, 0.9),  # an int is a number too
        (0.0, 0, -math.log(0.7)),  # limit: cross-entropy
        (0, 1, -math.log(0.2)),
        (1e-9, 1, -math.log(0.2)),
        # the definition, in float64
        (1e-3, 1, (1 - 0.2**1e-3) / 1e-3),
        (1e-6, 1, -math.expm1(1e-6 * math.log(0.2)) / 1e-6),
        (0.7, (0.5, 0.3, 0.2), np.dot((0.5, 0.3, 0.2), (1 - P**0.7) / 0.7)),
    ],
)
def test_values(q, label, expected):
    check_value(
        generalized_cross_entropy, GeneralizedCrossEntropy, {"q": q}, label, expected
    )


def test_default_is_the_papers():
    # losses.md A3: q = 0.7
    check_value(generalized_cross_entropy, GeneralizedCrossEntropy, {}, 1, 0.965527)


@pytest.mark.parametrize(("label", "expected"), [(0, -1.112937), (1, -1.620657)])
def test_gradient_in_probabilities(label, expected):
    # losses.md A3: -p ** (q - 1)
    slope = gradient(
        lambda p: generalized_cross_entropy([label], p), np.array([P], "float32")
    )
    np.testing.assert_allclose(slope[0, label], expected, atol=1e-6)
    assert np.count_nonzero(slope) == 1


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_sure_and_wrong_is_the_bound(q):
    # by hand: p = 0 gives 1 / q; from logits there is no floor under p
    logits = np.array([[-1e4, 1e4]], "float32")
    loss = generalized_cross_entropy([0], logits, q=q, from_logits=True)
    assert float(loss[0]) == pytest.approx(1 / q, rel=1e-6)


@pytest.mark.parametrize("q", [0.0, 0.3, 0.7, 1.0])
def test_sure_and_right_is_zero(q):
    p = np.array([[1.0, 0.0]], "float32")
    assert float(generalized_cross_entropy([0], p, q=q)[0]) == 0


@pytest.mark.parametrize("q", [0.2, 0.7, 1.0])
def test_sum_over_labels_is_bounded(q):
    # Zhang & Sabuncu, lemma 1: (K - K**(1-q)) / q <= sum <= (K - 1) / q
    num_classes = 10
    p = random_probabilities((500, num_classes), concentration=0.5)
    p = np.concatenate([p, np.eye(10), np.full((1, 10), 0.1)]).astype("float32")
    total = sum(
        numpy(generalized_cross_entropy(np.full(len(p), label), p, q=q))
        for label in range(num_classes)
    )
    # at q=0.2 the probability 1e-7 that stands for 0 costs 1 / q * 1e-7**q a class
    floor = (num_classes - 1) * 1e-7**q / q
    low = (num_classes - num_classes ** (1 - q)) / q
    assert total.min() >= low * (1 - 1e-6)
    assert total.max() <= (num_classes - 1) / q * (1 + 1e-6)
    # both are reached: at equal probabilities and at a vertex
    np.testing.assert_allclose(total[-1], low, rtol=1e-6)
    np.testing.assert_allclose(total[-2], (num_classes - 1) / q - floor, rtol=1e-5)


def test_is_the_first_term_of_the_bi_tempered_loss():
    # losses.md A3: GCE(q) = -log_t1(p) with q = 1 - t1
    p = random_probabilities((20, 4)).astype("float32")
    loss = numpy(generalized_cross_entropy(np.zeros(20, int), p, q=0.3))
    expected = -numpy(losses.log_t(p[:, 0], 0.7))
    np.testing.assert_allclose(loss, expected, rtol=5e-6)


def test_equals_keras_away_from_the_edges():
    # expected: Keras' built-in loss, which takes ids and probabilities only
    p = random_probabilities((50, 4), seed=3, concentration=5.0).astype("float32")
    ids = np.arange(50) % 4
    built_in = keras.losses.CategoricalGeneralizedCrossEntropy(q=0.5, reduction=None)
    loss = GeneralizedCrossEntropy(q=0.5, reduction=None)
    np.testing.assert_allclose(numpy(loss(ids, p)), numpy(built_in(ids, p)), rtol=1e-5)


@pytest.mark.parametrize("q", [0.0, 0.5])
def test_linear_in_the_label(q):
    check_linear(generalized_cross_entropy, {"q": q})
