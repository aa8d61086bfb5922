"""Families: the same as the losses they build, compiled or not; the canonical form."""

import math

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss.losses import canonical_taylor, families

FAMILIES = [
    (families.taylor(12), np.linspace(-1, 2, 12)),
    (families.taylor(16), np.linspace(-1, 2, 16)),
    (families.canonical_taylor(5), [-1.0, 0.4, 0.2, 0.3, -0.6, 0.5]),
    (families.adma(), [0.4]),
    (families.generalized_cross_entropy(), [0.3]),
    (families.bi_tempered_logistic(), [0.6, 1.7]),
]
IDS = [family.name for family, _ in FAMILIES]


def examples(num_classes=5, size=16):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(size, num_classes)).astype("float32") * 2
    return rng.integers(num_classes, size=size).astype("int32"), logits


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)).astype("float32")


def slope(function, y_pred):
    return backend.value_and_gradient(function, y_pred)[1][0]


@pytest.mark.parametrize(("family", "vector"), FAMILIES, ids=IDS)
def test_a_compiled_family_is_the_loss_it_builds(family, vector):
    labels, logits = examples()
    vector = np.asarray(vector, "float32")
    traces = []

    def function(logits, vector):
        traces.append(1)
        return family.function(labels, logits, vector)

    program = backend.compiled(backend.with_gradient(function), xla=True)
    for factor in (1.0, 0.9):
        given = map(backend.ops.convert_to_tensor, (logits, factor * vector))
        value, (gradient, _) = map(_numpy, program(*given))
        loss = family.build(factor * vector)
        np.testing.assert_allclose(value, _numpy(loss.call(labels, logits)), atol=3e-6)
        expected = slope(lambda z, loss=loss: loss.call(labels, z), logits)
        np.testing.assert_allclose(gradient, expected, atol=3e-6)
    # PyTorch traces nothing: the function runs once a call
    assert len(traces) == (2 if keras.backend.backend() == "torch" else 1)


def _numpy(values):
    if isinstance(values, list | tuple):
        return [_numpy(value) for value in values]
    return np.asarray(backend.ops.convert_to_numpy(values))


@pytest.mark.parametrize(("family", "vector"), FAMILIES, ids=IDS)
def test_what_a_family_says_of_itself(family, vector):
    assert family.dimension == len(family.names) == len(vector)
    for low, start, high in zip(family.low, family.initial, family.high, strict=True):
        assert low <= start <= high
    family.build(family.initial)
    with pytest.raises(ValueError, match=rf"vector.*{family.dimension} numbers"):
        family.build([0.5] * (family.dimension + 1))


def test_families_of_probabilities():
    labels, logits = examples()
    family = families.generalized_cross_entropy(from_logits=False)
    expected = families.generalized_cross_entropy().function(labels, logits, [0.3])
    value = family.function(labels, softmax(logits), [0.3])
    np.testing.assert_allclose(_numpy(value), _numpy(expected), atol=1e-6)
    assert not family.build([0.3]).from_logits


def test_taylor_lengths():
    with pytest.raises(ValueError, match="num_parameters=13"):
        families.taylor(13)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_canonical_form_is_a_taylor_loss(num_classes, one_hot):
    labels, logits = examples(num_classes)
    if one_hot:
        labels = np.eye(num_classes, dtype="float32")[labels]
    vector = np.random.default_rng(1).normal(size=6)
    loss = families.canonical_taylor(num_classes).build(vector)

    def ours(z):
        return canonical_taylor.canonical_loss(labels, z, vector, from_logits=True)

    np.testing.assert_allclose(
        _numpy(ours(logits)), _numpy(loss.call(labels, logits)), atol=2e-6
    )
    expected = slope(lambda z: loss.call(labels, z), logits)
    np.testing.assert_allclose(slope(ours, logits), expected, atol=2e-6)


@pytest.mark.parametrize("num_parameters", [12, 16])
@pytest.mark.parametrize("num_classes", [2, 7])
def test_every_taylor_loss_has_a_canonical_form(num_parameters, num_classes):
    # losses.md A1: on one-hot labels six numbers are left of the twelve
    labels, logits = examples(num_classes)
    theta = np.random.default_rng(2).normal(size=num_parameters)
    vector = canonical_taylor.from_theta(theta, num_classes)

    def taylor(z):
        return losses.taylor_loss(labels, z, theta, from_logits=True)

    def ours(z):
        return canonical_taylor.canonical_loss(labels, z, vector, from_logits=True)

    difference = _numpy(taylor(logits)) - _numpy(ours(logits))
    np.testing.assert_allclose(difference, difference[0], atol=5e-6)
    np.testing.assert_allclose(slope(ours, logits), slope(taylor, logits), atol=5e-6)


def squared_error(y_true, y_pred):
    p = np.asarray(_numpy(y_pred), "float64")
    return ((p - np.eye(p.shape[1])[y_true]) ** 2).sum(-1)


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.MeanAbsoluteError(), [-2, 0, 0, 0, 0, 0]),  # 2 (1 - p)
        (squared_error, [-2, 1, 0, 1, 0, 0]),  # 1 - 2 p + sum of p^2
    ],
)
def test_fit_finds_what_is_canonical(loss, expected, order):
    np.testing.assert_allclose(
        canonical_taylor.fit(loss, 4, order), expected, atol=1e-4
    )


@pytest.mark.parametrize(
    ("loss", "bound"),
    # measured on [0.1, 1]: .006, .088 and .008, of values that span 1.1, 2.3 and 1.3
    [
        (losses.GeneralizedCrossEntropy(0.7), 0.01),
        (losses.CrossEntropy(), 0.12),
        (losses.Adma(0.5), 0.012),
    ],
)
def test_fit_is_near_hand_made_losses(loss, bound):
    p = np.linspace(0.1, 1, 50)
    rows = np.column_stack([p, *[(1 - p) / 2] * 2]).astype("float32")
    labels = np.zeros(50, "int32")
    expected = _numpy(loss.call(labels, rows))
    errors = []
    for order in (3, 4):
        vector = canonical_taylor.fit(loss, 3, order, smallest=0.05)
        found = _numpy(canonical_taylor.canonical_loss(labels, rows, vector))
        error = found - expected
        errors.append(np.abs(error - error.mean()).max())
    assert errors[1] < errors[0] < bound


def test_the_start_is_the_fit_of_gce():
    start = families.canonical_taylor(10).initial
    expected = 1.5 * canonical_taylor.fit(losses.GeneralizedCrossEntropy(0.7), 10)
    np.testing.assert_allclose(start, expected)
    assert all(math.isfinite(value) for value in start)
    assert start[0] < 0


@pytest.mark.parametrize(
    ("name", "value"), [("num_classes", 1), ("order", 5), ("smallest", 1.0)]
)
def test_fit_limits(name, value):
    arguments = {"num_classes": 3, name: value}
    with pytest.raises(ValueError, match=f"`{name}`.*{name}={value}"):
        canonical_taylor.fit(losses.CrossEntropy(), **arguments)


def test_canonical_form_without_a_quartic_term():
    squared = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]  # (p^2 - 2 y p) / classes
    expected = [-2 / 4, 1 / 4, 0, 1 / 4, 0, 0]  # by hand
    np.testing.assert_allclose(
        canonical_taylor.from_theta(squared, 4), expected, rtol=0, atol=1e-15
    )
