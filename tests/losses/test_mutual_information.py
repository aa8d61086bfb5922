"""Values of the determinant-based loss of a batch, and what counts in it."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.values import numpy, random_probabilities
from tfrobustloss._core.backend import double_precision
from tfrobustloss.losses import (
    ActivePassive,
    DeterminantMutualInformation,
    determinant_mutual_information,
)

IDS = np.array([0, 1, 2, 0, 1, 2, 2])
P = random_probabilities((7, 3), seed=4).astype("float32")


def authors(ids, p, weight=1.0):
    """The formula of the authors' code."""
    rows = np.eye(p.shape[-1])[ids] * np.reshape(weight, (-1, 1))
    return -math.log(abs(np.linalg.det(rows.T @ p)) + 0.001)


def value(*arguments, **options):
    return float(numpy(determinant_mutual_information(*arguments, **options)))


@pytest.mark.parametrize(
    ("ids", "p", "expected"),
    [
        ([0, 1], [[0.8, 0.2], [0.4, 0.6]], -math.log(0.401)),  # by hand
        ([1, 0], [[0.8, 0.2], [0.4, 0.6]], -math.log(0.401)),
        ([0, 0, 1], [[1, 0], [1, 0], [0, 1]], -math.log(2.001)),
        (IDS, P, authors(IDS, P)),
    ],
)
def test_values(ids, p, expected):
    p = np.array(p, "float32")
    rows = np.eye(p.shape[-1], dtype="float32")[ids]
    for y_true in (np.array(ids), np.array(ids)[:, None], rows):
        assert value(y_true, p) == pytest.approx(expected, abs=5e-5)
        with np.errstate(divide="ignore"):
            logits = np.maximum(np.log(p), -100)
        received = value(y_true, logits, from_logits=True)
        assert received == pytest.approx(expected, abs=5e-5)
        loss = DeterminantMutualInformation()
        assert float(numpy(loss(y_true, p))) == pytest.approx(expected, abs=5e-5)


def test_class_noise_costs_a_constant():
    # Xu et al., theorem 4.1: labels through a matrix T multiply the determinant
    noise = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    for seed in (0, 1):
        p = random_probabilities((400, 3), seed).astype("float32")
        ids = p.argmax(-1)
        clean = value(ids, p)
        noisy = value((np.eye(3)[ids] @ noise).astype("float32"), p)
        expected = -math.log(np.linalg.det(noise))
        assert noisy - clean == pytest.approx(expected, abs=1e-4)


SINGULAR = {
    "a class is missing": ([0, 1, 0, 1], random_probabilities((4, 3))),
    "one prediction for all": ([0, 1, 2], np.full((3, 3), 1 / 3)),
    "all zeros": ([0, 1, 2], np.zeros((3, 3))),
    "sure of one class": ([0, 1, 2], np.eye(3)[[0, 0, 0]]),
    "one example": ([2], random_probabilities((1, 3))),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_batch_is_finite(name):
    ids, p = SINGULAR[name]
    p = p.astype("float32")
    assert 6.5 < value(ids, p) < 6.91  # -log(0.001) is 6.908
    slope = gradient(lambda p: determinant_mutual_information(ids, p), p)
    assert np.isfinite(slope).all()


def test_a_hundred_classes_neither_overflow_nor_vanish():
    # the determinant is about 1e39 and 1e-100: beyond float32
    ids = np.arange(1000) % 100
    p = 0.7 * np.eye(100)[ids] + 0.3 * random_probabilities((1000, 100))
    rows = np.eye(100)[ids]
    _, expected = np.linalg.slogdet(rows.T @ p)
    assert value(ids, p.astype("float32")) == pytest.approx(-expected, rel=1e-4)
    few = value(ids[:100], (0.01 * p[:100]).astype("float32"))
    assert few == pytest.approx(-math.log(0.001), rel=1e-4)


def test_gradient_is_the_inverse():
    # d log(abs(det(M))) / dM is the inverse transposed; here with float64 differences
    with double_precision():
        p = P.astype("float64")
        slope = gradient(lambda p: determinant_mutual_information(IDS, p), p)
        moved = []
        for i in range(p.size):
            step = np.zeros(p.size)
            step[i] = 1e-5
            up, down = (p + side * step.reshape(p.shape) for side in (1, -1))
            moved.append((authors(IDS, up) - authors(IDS, down)) / 2e-5)
    np.testing.assert_allclose(slope.ravel(), moved, rtol=2e-3, atol=1e-4)


def test_weights_are_copies_and_zeros_remove():
    weight = np.array([0, 1, 2, 1, 3, 1, 0])
    copies = np.repeat(np.arange(7), weight)
    loss = DeterminantMutualInformation()
    expected = float(numpy(loss(IDS[copies], P[copies])))
    for given in (weight, weight[:, None].astype("float32")):
        assert float(numpy(loss(IDS, P, given))) == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(authors(IDS, P, weight), abs=5e-5)


def test_ignored_and_masked_examples_do_not_count():
    kept = np.array([True, True, False, True, True, True, False])
    expected = value(IDS[kept], P[kept])
    marked = np.where(kept, IDS, 255)
    loss = DeterminantMutualInformation(ignore_class=255)
    assert float(numpy(loss(marked, P))) == pytest.approx(expected, abs=1e-5)
    masking = keras.layers.Lambda(lambda x: x, mask=ops.convert_to_tensor(kept))
    received = DeterminantMutualInformation()(IDS, masking(P))
    assert float(numpy(received)) == pytest.approx(expected, abs=1e-5)


def test_order_and_axes_do_not_matter():
    order = np.array([6, 2, 0, 1, 5, 3, 4])
    expected = value(IDS, P)
    assert value(IDS[order], P[order]) == pytest.approx(expected, abs=1e-5)
    loss = DeterminantMutualInformation()
    images = loss(IDS[:6].reshape(3, 2), P[:6].reshape(3, 2, 3), np.array([1, 2, 1]))
    expected = authors(IDS[:6], P[:6], [1, 1, 2, 2, 1, 1])
    assert float(numpy(images)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("reduction", [None, "sum", "mean"])
def test_one_number_whatever_the_reduction(reduction):
    loss = DeterminantMutualInformation(reduction=reduction)(IDS, P)
    assert tuple(loss.shape) == ()
    assert float(numpy(loss)) == pytest.approx(value(IDS, P), abs=1e-6)


def test_is_no_part_of_a_combination_of_losses_per_example():
    with pytest.raises(TypeError, match="ActivePassive: `passive` must be"):
        ActivePassive(passive=DeterminantMutualInformation())
