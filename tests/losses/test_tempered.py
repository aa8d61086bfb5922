"""Values of the bi-tempered logistic loss."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.test_tempered_softmax import bisected
from tests.losses.values import (
    PRINTED,
    Z,
    check_value,
    log_softmax,
    numpy,
    random_probabilities,
)
from tfrobustloss._core.backend import value_and_gradient
from tfrobustloss.losses import (
    BiTemperedLogistic,
    bi_tempered_logistic,
    generalized_cross_entropy,
    tempered_softmax,
)


def plain_log(x, t):
    x = np.asarray(x, "float64")
    return np.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def plain_loss(label, logits, t1, t2):
    """The definition in float64, on the bisected softmax; 0 log 0 is 0."""
    p = bisected(np.asarray(logits, "float64"), t2)
    label = np.asarray(label, "float64")
    some = label > 0
    own = np.where(some, label * plain_log(np.where(some, label, 1), t1), 0)
    gain = np.where(some, label * plain_log(np.where(some, p, 1), t1), 0)
    return (own - gain - (label ** (2 - t1) - p ** (2 - t1)) / (2 - t1)).sum(-1)


# losses.md A10, logits (2, 0, -1), high precision: (t1, t2), loss of label 0, label 1
SHEET = [
    (1, 1, 0.16984602, 2.16984602),
    (0.8, 1.2, 0.15996437, 1.46334730),
    (0.5, 4, 0.52698393, 0.57327097),
    (0.2, 4, 0.37968320, 0.41321039),
    (0.8, 1, 0.09356814, 1.68691345),
    (1, 1.2, 0.26665279, 1.87426742),
    (0.8, 0.8, 0.03886316, 2.03886316),
    (0.5, 0.5, 0.0, 2.0),
]


@pytest.mark.parametrize(("t1", "t2", "first", "second"), SHEET)
def test_values(t1, t2, first, second):
    parameters = {"t1": t1, "t2": t2}
    # a probability of exactly 0 counts as 1e-7 when probabilities are given
    p = None if t2 == 0.5 else bisected(Z, t2)
    pair = (bi_tempered_logistic, BiTemperedLogistic)
    for label, expected in ((0, first), (1, second)):
        check_value(*pair, parameters, label, expected, p=p, logits=Z)


def test_probability_zero_counts_as_keras_epsilon():
    # by hand: -log_t(1e-7) + (1 - 1) / 1.5 at t1 = 0.5
    loss = bi_tempered_logistic([1], np.array([[1.0, 0.0]], "float32"), t1=0.5)
    expected = (1 - 1e-7**0.5) / 0.5 - (1 - (1 + 1e-7**1.5)) / 1.5
    assert float(loss[0]) == pytest.approx(expected, rel=1e-6)


MASS = [0.5, 0.3, 0.2]


@pytest.mark.parametrize("t1", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("t2", [0.8, 1.0, 1.2, 4.0])
def test_soft_values(t1, t2):
    # expected: the definition, above; of a full row and of one with a zero
    labels = np.array([MASS, [0.9, 0.1, 0.0]], "float32")
    logits, p = np.tile(np.float32(Z), (2, 1)), np.tile(bisected(Z, t2), (2, 1))
    expected = plain_loss(labels, logits, t1, t2)
    on_logits = bi_tempered_logistic(labels, logits, t1, t2, from_logits=True)
    on_p = bi_tempered_logistic(labels, np.float32(p), t1, t2)
    for loss in (on_logits, on_p):
        np.testing.assert_allclose(numpy(loss), expected, rtol=1e-6, atol=PRINTED)


def test_a_soft_value_in_every_way():
    parameters = {"t1": 0.3, "t2": 1.2}
    check_value(
        bi_tempered_logistic,
        BiTemperedLogistic,
        parameters,
        MASS,
        plain_loss(MASS, Z, **parameters),
        p=bisected(Z, 1.2),
        logits=Z,
    )


@pytest.mark.parametrize(
    ("t1", "t2", "label", "expected"),
    [
        (0.8, 1.2, 0, (-0.12093871, 0.08550770, 0.03543101)),  # losses.md A10
        (0.8, 1.2, 1, (0.42623766, -0.43808326, 0.01184559)),
        (1, 1, 0, (0.84379473 - 1, 0.11419520, 0.04201007)),  # softmax less label
        (1.0, 1.0, 1, (0.84379473, 0.11419520 - 1, 0.04201007)),
    ],
)
def test_gradient(t1, t2, label, expected):
    slope = gradient(
        lambda z: bi_tempered_logistic([label], z, t1, t2, from_logits=True),
        np.array([Z], "float32"),
    )
    np.testing.assert_allclose(slope, [expected], atol=2e-7)


@pytest.mark.parametrize("t2", [0.8, 0.9, 1.0, 1.05, 1.2, 1.5, 1.7, 2.0, 4.0, 5.0])
def test_gradient_is_that_of_finite_differences(t2):
    # of the definition in float64, of ids and of soft rows, all moved at once
    step = 1e-5
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 0.7, (3, 5)).astype("float32")
    ids = np.array([0, 3, 4])
    hard = np.eye(5)[ids]
    soft = 0.8 * hard + 0.2 * generator.dirichlet(np.ones(5), 3)
    moves = step * np.eye(5)[:, None]
    moved = np.stack([logits + moves, logits - moves])  # a row moves by itself
    for t1 in (0.0, 0.5, 0.8, 1.0):
        for y_true, rows in ((ids, hard), (soft.astype("float32"), soft)):
            up, down = plain_loss(np.broadcast_to(rows, moved.shape), moved, t1, t2)
            slope = gradient(
                lambda z, y=y_true, t=t1: bi_tempered_logistic(
                    y, z, t, t2, from_logits=True
                ),
                logits,
            )
            expected = (up - down).T / (2 * step)
            np.testing.assert_allclose(slope, expected, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.5, 4.0), (1.0, 1.0), (0.3, 0.8)])
def test_gradient_through_the_layer_is_the_same(t1, t2):
    # probabilities of tempered_softmax, differentiated through it
    logits = np.random.default_rng(0).normal(0, 1, (4, 5)).astype("float32")
    ids = [0, 1, 4, 2]
    direct = gradient(
        lambda z: bi_tempered_logistic(ids, z, t1, t2, from_logits=True), logits
    )
    through = gradient(
        lambda z: bi_tempered_logistic(ids, tempered_softmax(z, t2), t1, t2), logits
    )
    np.testing.assert_allclose(through, direct, atol=2e-6)


# --- limits


@pytest.mark.parametrize("t1", [1 - 1e-6, 1 - 1e-7, 1.0])
@pytest.mark.parametrize("t2", [1 - 1e-6, 1 - 1e-7, 1.0, 1 + 1e-7, 1 + 1e-6])
def test_temperatures_near_one_are_cross_entropy(t1, t2):
    # losses.md A10: the authors' code is off by 4 % at 1e-6 and by 9 % at 1e-7
    logits = np.random.default_rng(0).normal(0, 3, (20, 10)).astype("float32")
    ids = np.arange(20) % 10
    log_p = log_softmax(logits)
    expected = -log_p[np.arange(20), ids]
    loss = numpy(bi_tempered_logistic(ids, logits, t1, t2, from_logits=True))
    # the first term that |1 - t| multiplies is about log(p)**2
    worst = 1e-6 * (log_p**2).max()
    np.testing.assert_allclose(loss, expected, rtol=2e-6, atol=2e-6 + worst)
    slope = gradient(
        lambda z: bi_tempered_logistic(ids, z, t1, t2, from_logits=True), logits
    )
    expected = np.exp(log_p) - np.eye(10)[ids]
    np.testing.assert_allclose(slope, expected, atol=2e-6 + 2 * worst)


def test_both_at_one_is_divergence_for_soft_labels():
    # by hand: cross-entropy less the label's entropy
    logits = np.random.default_rng(0).normal(0, 3, (20, 10)).astype("float32")
    soft = random_probabilities((20, 10)).astype("float32")
    expected = (soft * (np.log(soft.astype("float64")) - log_softmax(logits))).sum(-1)
    loss = bi_tempered_logistic(soft, logits, 1.0, 1.0, from_logits=True)
    np.testing.assert_allclose(numpy(loss), expected, rtol=5e-6, atol=2e-6)


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.5, 4.0), (0.2, 0.9), (1.0, 1.0)])
def test_zero_where_the_prediction_is_the_label(t1, t2):
    # a Bregman divergence: 0, and flat, at p = label, and nowhere below 0
    logits = np.random.default_rng(0).normal(0, 1, (10, 6)).astype("float32")
    label = tempered_softmax(logits, t2)

    def loss(z):
        return bi_tempered_logistic(label, z, t1, t2, from_logits=True)

    np.testing.assert_allclose(numpy(loss(logits)), 0, atol=1e-6)
    np.testing.assert_allclose(gradient(loss, logits), 0, atol=1e-6)
    others = logits + np.random.default_rng(1).normal(0, 30, (10, 6))
    # far logits are nearly equal to t2 = 4; rounding alone gives 1e-6
    assert numpy(loss(others.astype("float32"))).min() > 1e-4


@pytest.mark.parametrize("t1", [0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("t2", [0.5, 1.0, 1.2, 4.0])
def test_bound_of_an_outlier(t1, t2):
    # by hand: p_y = 0 gives 1 / (1 - t1), less what the spread of p gives back, and
    # a wrong class of probability 1 gives back nothing
    logits = np.array([[-1e30, 1e30, -1e30]], "float32")
    loss = bi_tempered_logistic([0], logits, t1, t2, from_logits=True)
    # at t2 = 4 a class 1e30 away keeps p = x ** (-1 / 3), about 1e-10
    left = 1e-30 if t2 <= 1 else max(1e-30, 1e30 ** (1 / (1 - t2)))
    reached = (1 - left ** (1 - t1)) / (1 - t1)
    assert float(loss[0]) <= 1 / (1 - t1) * (1 + 1e-6)
    assert float(loss[0]) == pytest.approx(reached, rel=2e-3)


# --- what breaks the authors' code (losses.md A10)


@pytest.mark.parametrize(
    ("t1", "t2", "logits", "label", "expected"),
    [
        (0.8, 1.0, [100.0, 0.0], 0, 0.0),  # theirs: 4.1667 and NaN
        (0.8, 0.5, [3.0, 0.0, -3.0], 0, 0.0),  # theirs: NaN gradient
        # p of the label is 0: -log_t1(0) = 1 / (1 - t1), and p is 1 elsewhere
        (0.8, 0.5, [3.0, 0.0, -3.0], 2, 5.0),
    ],
)
def test_where_the_authors_code_fails(t1, t2, logits, label, expected):
    logits = np.array([logits], "float32")

    def loss(z):
        return bi_tempered_logistic([label], z, t1, t2, from_logits=True)

    # p = 0 counts as 1e-30, whose log_0.8 is 5e-6 short of the limit
    assert float(loss(logits)[0]) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert np.isfinite(gradient(loss, logits)).all()


def test_finite_with_a_plain_logarithm_of_a_class_of_probability_zero():
    # t1 = 1, t2 = 0.5: theirs is NaN; in theory infinite, here a log of -1e4
    logits = np.array([[3.0, 0.0, -3.0]], "float32")
    for label, expected in ((0, 0.0), (2, 1e4)):
        loss = bi_tempered_logistic([label], logits, 1.0, 0.5, from_logits=True)
        assert float(loss[0]) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("t2", [0.001, 0.2, 0.5, 0.8, 1.0, 1.2, 2.0, 5.0])
def test_finite_at_extreme_logits(t2):
    logits = np.array(
        [[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e30, 0, -1e30], [3e38, -3e38, 0], [0, 0, 0]],
        "float32",
    )
    ids = np.array([0, 0, 2, 1, 1])
    soft = (0.7 * np.eye(3)[ids] + 0.1).astype("float32")
    for t1 in (0.0, 0.5, 0.8, 1.0):
        for y_true in (ids, soft):
            value, (slope,) = value_and_gradient(
                lambda z, y=y_true, t=t1: bi_tempered_logistic(
                    y, z, t, t2, from_logits=True
                ),
                logits,
            )
            assert np.isfinite(value).all(), f"t1={t1}"
            assert np.isfinite(slope).all(), f"t1={t1}"


# --- label smoothing


def test_smoothing_is_kerass():
    # the definition, with the target that Keras' convention gives
    label = 0.9 * np.eye(3)[0] + 0.1 / 3
    expected = plain_loss(label, Z, 0.8, 1.2)
    parameters = {"t1": 0.8, "t2": 1.2, "label_smoothing": 0.1}
    check_value(
        bi_tempered_logistic,
        BiTemperedLogistic,
        parameters,
        0,
        expected,
        p=bisected(Z, 1.2),
        logits=Z,
    )


def test_smoothing_converts_from_the_authors():
    # losses.md A10: theirs at 0.1 is the target (.9, .05, .05), here 0.1 * 3 / 2
    parameters = {"t1": 0.8, "t2": 1.2, "label_smoothing": 0.15}
    pair = (bi_tempered_logistic, BiTemperedLogistic)
    check_value(*pair, parameters, 0, 0.04507899, p=None, logits=Z)
    check_value(
        *pair, {"t1": 0.8, "t2": 1.2}, (0.9, 0.05, 0.05), 0.04507899, p=None, logits=Z
    )


def test_smoothing_against_keras_at_one():
    # limit t1 = t2 = 1: Keras' smoothed cross-entropy less the target's entropy
    logits = np.random.default_rng(0).normal(0, 2, (8, 4)).astype("float32")
    one_hot = np.eye(4, dtype="float32")[np.arange(8) % 4]
    options = {"label_smoothing": 0.2, "from_logits": True, "reduction": None}
    built_in = keras.losses.CategoricalCrossentropy(**options)
    entropy = -(0.85 * math.log(0.85) + 3 * 0.05 * math.log(0.05))
    expected = numpy(built_in(one_hot, logits)) - entropy
    loss = BiTemperedLogistic(1.0, 1.0, **options)
    np.testing.assert_allclose(numpy(loss(one_hot, logits)), expected, atol=2e-6)


def test_activation_is_the_softmax_that_the_loss_sees():
    logits = ops.convert_to_tensor(np.array([Z], "float32"))
    p = BiTemperedLogistic(t2=4.0).activation(logits)
    np.testing.assert_allclose(numpy(p), [bisected(Z, 4.0)], atol=1e-7)


@pytest.mark.parametrize("t1", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("y_true", [[1], [[0.0, 1.0]]])
def test_an_impossible_label_costs_the_most(t1, y_true):
    # a temperature of .5 gives the far class no probability at all
    loss = BiTemperedLogistic(t1, 0.5, from_logits=True)
    value = float(numpy(loss(y_true, np.array([[10.0, 0.0]], "float32"))))
    assert value == pytest.approx(1 / (1 - t1), rel=1e-6)


@pytest.mark.parametrize("y_true", [[1], [[0.0, 1.0]]])
@pytest.mark.parametrize("gap", [20.0, 200.0, 1e4])
def test_cross_entropy_where_the_probability_underflows(y_true, gap):
    loss = BiTemperedLogistic(1.0, 1.0, from_logits=True)
    value = float(numpy(loss(y_true, np.array([[gap, 0.0]], "float32"))))
    assert value == pytest.approx(gap, rel=1e-5)


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0])
def test_times_a_constant_it_is_the_density_power_divergence(beta):
    # Basu et al.: sum of p ** (1 + beta) - (1 + 1 / beta) * p ** beta + 1 / beta
    p = random_probabilities((12, 4))
    ids = np.arange(12) % 4
    picked = np.take_along_axis(p, ids[:, np.newaxis], -1)[:, 0]
    expected = (p ** (1 + beta)).sum(-1) - (1 + 1 / beta) * picked**beta + 1 / beta
    logits = np.log(p).astype("float32") + 1.5
    loss = BiTemperedLogistic(1 - beta, 1.0, from_logits=True, reduction=None)
    received = (1 + beta) * numpy(loss(ids, logits))
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=2e-6)


def test_it_is_a_strictly_proper_score_and_generalized_cross_entropy_is_not():
    # the mean over labels of distribution q, of predictions from q to its largest class
    q = np.array([0.6, 0.3, 0.1])
    share = np.linspace(0, 1, 11)[:, np.newaxis]
    p = ((1 - share) * q + share * np.array([0.99, 0.005, 0.005])).astype("float32")

    def mean(function, **parameters):
        table = [numpy(function(np.full(11, k), p, **parameters)) for k in range(3)]
        return q @ np.array(table)

    assert mean(bi_tempered_logistic, t1=0.5, t2=1.0).argmin() == 0
    assert mean(generalized_cross_entropy, q=0.7).argmin() > 0
