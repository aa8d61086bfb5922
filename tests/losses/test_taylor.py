"""Values of the Taylor loss against a monomial-by-monomial reading of its equation."""

import json
import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    P,
    check_value,
    log_softmax,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import TaylorLoss, taylor_loss

# losses.md A1: index of theta -> (power of the prediction, power of the label)
MONOMIALS = {
    2: (1, 0), 3: (2, 0), 4: (3, 0), 5: (4, 0), 6: (1, 1), 7: (1, 2), 8: (2, 1),
    9: (3, 1), 10: (1, 3), 11: (2, 2), 12: (0, 1), 13: (0, 2), 14: (0, 3), 15: (0, 4),
}  # fmt: skip


def plain_taylor(theta, label, p):
    """The loss in float64, each monomial with its 1 / (i! j!)."""
    u = np.asarray(p, "float64") - theta[0]
    v = np.asarray(label, "float64") - theta[1]
    total = np.zeros_like(u)
    for index in range(2, len(theta)):
        i, j = MONOMIALS[index]
        total += theta[index] * u**i * v**j / math.factorial(i) / math.factorial(j)
    return total.mean(-1)


def zeros_but(length=12, **values):
    theta = [0.0] * length
    for name, value in values.items():
        theta[int(name[1:])] = value
    return theta


SHEET = (0.1, 0.2, 1, -2, 3, -4, 0.5, -0.6, 0.7, -0.8, 0.9, -1)
SQUARED = zeros_but(t3=2, t6=-2)
ABSOLUTE = zeros_but(t2=1, t6=-2)


@pytest.mark.parametrize(
    ("theta", "label", "expected"),
    [
        (SHEET, 0, 0.19861000),  # losses.md A1
        (SHEET, 1, 0.11849889),  # losses.md A1
        (SQUARED, 0, (0.14 - 1) / 3),  # by hand: squared error less label squared
        (SQUARED, 1, (1.14 - 1) / 3),
        (ABSOLUTE, 0, (0.6 - 1) / 3),  # by hand: absolute error less label
        (ABSOLUTE, 1, (1.6 - 1) / 3),
        # soft: the squares stay squares, sum (p - y)**2 - y**2
        (SQUARED, (0.5, 0.3, 0.2), (0.06 - 0.38) / 3),
        (zeros_but(16, t12=6), 0, 2.0),  # by hand: the label alone, 6 * 1 / 3
        (zeros_but(16, t1=1, t15=24), 2, 2 / 3),  # by hand: (0 - 1)**4 twice
        # one row per kept coefficient, around (0, 0): p**i / (i! j!) of the label
        (zeros_but(t7=1), 0, 0.7 / 2 / 3),
        (zeros_but(t8=1), 0, 0.49 / 2 / 3),
        (zeros_but(t9=1), 0, 0.343 / 6 / 3),
        (zeros_but(t10=1), 0, 0.7 / 6 / 3),
        (zeros_but(t11=1), 0, 0.49 / 4 / 3),
        (zeros_but(t4=1), 0, (0.343 + 0.008 + 0.001) / 6 / 3),
        (zeros_but(t5=1), 1, (0.2401 + 0.0016 + 0.0001) / 24 / 3),
    ],
)
def test_values(theta, label, expected):
    check_value(taylor_loss, TaylorLoss, {"theta": theta}, label, expected)


def random_theta(length, seed):
    generator = np.random.default_rng(seed)
    theta = generator.normal(0, 3, length)
    theta[:2] = generator.uniform(-0.5, 1.5, 2)
    return theta


@pytest.mark.parametrize("length", [12, 16])
@pytest.mark.parametrize("seed", range(5))
def test_every_monomial(length, seed):
    # expected: the plain implementation above
    theta = random_theta(length, seed)
    p = random_probabilities((30, 6), seed, 0.5).astype("float32")
    ids = np.arange(30) % 6
    one_hot = np.eye(6, dtype="float32")[ids]
    soft = random_probabilities((30, 6), seed + 100).astype("float32")
    for y_true, label in ((ids, one_hot), (one_hot, one_hot), (soft, soft)):
        expected = plain_taylor(theta, label, p)
        # float32 rounds each term: the sum of their sizes sets the scale
        scale = np.abs(theta).sum()
        actual = numpy(taylor_loss(y_true, p, theta))
        np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("length", [12, 16])
def test_gradient_of_every_monomial(length):
    # by hand: the derivative of u**i / i! is u**(i-1) / (i-1)!
    theta = random_theta(length, 0)
    p = random_probabilities((10, 4), 1).astype("float32")
    soft = random_probabilities((10, 4), 2).astype("float32")
    u, v = p.astype("float64") - theta[0], soft.astype("float64") - theta[1]
    expected = np.zeros_like(u)
    for index in range(2, 12):
        i, j = MONOMIALS[index]
        expected += (
            theta[index] * u ** (i - 1) * v**j / math.factorial(i - 1)
        ) / math.factorial(j)
    slope = gradient(lambda p: taylor_loss(soft, p, theta), p)
    np.testing.assert_allclose(slope, expected / 4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("index", range(16))
@pytest.mark.parametrize("form", ["ids", "soft"])
def test_which_parameters_reach_the_network(index, form):
    # Gao et al., eq. 4: 0..11 do; 12..15, the label alone, cannot
    theta = random_theta(16, 7)
    moved = theta.copy()
    moved[index] += 0.5
    p = random_probabilities((10, 4), 1).astype("float32")
    soft = random_probabilities((10, 4), 2).astype("float32")
    y_true = np.arange(10) % 4 if form == "ids" else soft
    before = gradient(lambda p: taylor_loss(y_true, p, theta), p)
    after = gradient(lambda p: taylor_loss(y_true, p, moved), p)
    if index < 12:
        assert np.abs(after - before).max() > 1e-3
    else:
        np.testing.assert_array_equal(after, before)
        values = [numpy(taylor_loss(y_true, p, t)) for t in (theta, moved)]
        assert np.abs(values[1] - values[0]).max() > 1e-3


@pytest.mark.parametrize(("theta", "norm"), [(SQUARED, 2), (ABSOLUTE, 1)])
def test_squared_and_absolute_error_up_to_a_constant(theta, norm):
    # losses.md A1: |p - y|**n - y**n; with one-hot labels the sum is 1
    p = random_probabilities((50, 5)).astype("float32")
    one_hot = np.eye(5)[np.arange(50) % 5]
    expected = ((np.abs(p - one_hot) ** norm).sum(-1) - 1) / 5
    actual = numpy(taylor_loss(np.arange(50) % 5, p, theta))
    np.testing.assert_allclose(actual, expected, atol=3e-7)


# --- eq. 5


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
@pytest.mark.parametrize("seed", range(4))
def test_eta_is_the_range(num_classes, seed):
    # Gao et al., eq. 5, on samples of the whole domain: flat, peaked, few classes,
    # vertices, and a share of one class with the rest spread evenly
    theta = random_theta(12 + 4 * (seed % 2), 50 + seed)
    eta = 2.5
    loss = TaylorLoss(theta, eta, num_classes, reduction=None, dtype="float32")
    low, high = loss.get_config()["bounds"]
    values = plain_taylor_of_samples(theta, num_classes, seed)
    scaled = eta * (values - low) / (high - low)
    # the grid of the bounds is fine to a few 1e-6 of the range
    assert scaled.min() >= -2e-5 * eta
    assert scaled.max() <= (1 + 2e-5) * eta
    assert scaled.min() <= 0.01 * eta
    assert scaled.max() >= 0.99 * eta


def plain_taylor_of_samples(theta, num_classes, seed):
    one = np.eye(num_classes)
    label = np.linspace(0, 1, 201)
    samples = [
        random_probabilities((1000, num_classes), seed),
        random_probabilities((1000, num_classes), seed, 0.1),
        one,
    ]
    # `few` classes share what the label leaves: where such a sum has its extremes
    for few in {1, 2, 3, 5, 10, 30, num_classes - 1} & set(range(1, num_classes)):
        rows = np.zeros((len(label), num_classes))
        rows[:, 0] = label
        rows[:, 1 : few + 1] = (1 - label)[:, None] / few
        samples.append(rows)
        for share in (0.1, 0.25, 0.5, 0.75, 0.9) if few < num_classes - 1 else ():
            uneven = rows.copy()
            uneven[:, 1 : few + 1] *= share
            uneven[:, few + 1] = (1 - share) * (1 - label)
            samples.append(uneven)
    p = np.concatenate(samples)
    return plain_taylor(theta, np.broadcast_to(one[0], p.shape), p)


def test_eta_by_hand():
    # squared error less a constant: 0 when right, 2 / 3 when sure and wrong
    loss = TaylorLoss(SQUARED, eta=3.0, num_classes=3, reduction=None)
    right, wrong, even = np.eye(3)[0], np.eye(3)[1], np.full(3, 1 / 3)
    value = numpy(loss([0, 0, 0], np.array([right, wrong, even], "float32")))
    # at equal probabilities the squared error is 4/9 + 2/9 = 2/3, a third of 2
    np.testing.assert_allclose(value, [0.0, 3.0, 1.0], atol=1e-6)


def test_eta_leaves_a_scaled_gradient():
    theta = random_theta(12, 3)
    p = random_probabilities((5, 4)).astype("float32")
    loss = TaylorLoss(theta, eta=2.0, num_classes=4, reduction=None)
    low, high = loss.get_config()["bounds"]
    plain = gradient(lambda p: taylor_loss([0, 1, 2, 3, 0], p, theta), p)
    scaled = gradient(lambda p: loss([0, 1, 2, 3, 0], p), p)
    np.testing.assert_allclose(scaled, plain * 2 / (high - low), rtol=1e-5, atol=1e-7)


def test_bounds_stay_with_the_config(monkeypatch):
    loss = TaylorLoss(SHEET, eta=2.0, num_classes=5, reduction=None)
    config = json.loads(json.dumps(loss.get_config()))
    assert config["num_classes"] == 5
    monkeypatch.setattr("tfrobustloss.losses.taylor.find_bounds", None)  # not again
    again = TaylorLoss.from_config(config)
    assert again.get_config()["bounds"] == config["bounds"]
    p = random_probabilities((5, 5)).astype("float32")
    ids = [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(numpy(again(ids, p)), numpy(loss(ids, p)))


def test_bounds_are_the_same_every_time():
    first, second = (
        TaylorLoss(SHEET, 1.0, 10).get_config()["bounds"] for _ in range(2)
    )
    assert first == second


def test_numbers_of_classes_must_agree():
    loss = TaylorLoss(SHEET, eta=2.0, num_classes=10)
    with pytest.raises(ValueError, match="`num_classes`.*10"):
        loss([0], np.array([P]))


@pytest.mark.parametrize("length", [0, 11, 13, 17])
def test_theta_of_another_length(length):
    with pytest.raises(ValueError, match=rf"`theta` .*12 or 16.*\({length},\)"):
        TaylorLoss([0.5] * length)
    with pytest.raises(ValueError, match="taylor_loss: `theta`"):
        taylor_loss([0], [[0.5, 0.5]], [0.5] * length)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_theta_not_finite(bad):
    with pytest.raises(
        ValueError, match=r"TaylorLoss: `theta` must be finite.*nan|inf"
    ):
        TaylorLoss([0.0] * 11 + [bad])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 1.0}, "`num_classes` must be given"),
        ({"eta": 0.0, "num_classes": 3}, r"`eta` must be in \(0, inf\)"),
        ({"eta": -1.0, "num_classes": 3}, r"`eta` .*eta=-1\.0"),
        ({"eta": 1.0, "num_classes": 1}, r"`num_classes` .*num_classes=1"),
        ({"eta": 1.0, "num_classes": 2.5}, r"`num_classes` .*integer.*2\.5"),
    ],
)
def test_bad_eta(options, message):
    with pytest.raises(ValueError, match=f"TaylorLoss: {message}"):
        TaylorLoss(SHEET, **options)


def test_eta_of_a_constant_loss():
    # p appears nowhere
    with pytest.raises(ValueError, match="`theta` .*not constant"):
        TaylorLoss(zeros_but(16, t12=1), eta=1.0, num_classes=3)


def test_eta_of_a_loss_that_is_constant_on_the_simplex():
    # only the sum of the probabilities appears, which is 1: (sum p) / K
    with pytest.raises(ValueError, match="`theta` .*not constant"):
        TaylorLoss(zeros_but(t2=1), eta=1.0, num_classes=3)


def test_eta_needs_bounds_in_the_function():
    with pytest.raises(ValueError, match="taylor_loss: `bounds` .*TaylorLoss"):
        taylor_loss([0], [[0.5, 0.5]], SHEET, eta=1.0)


def test_large_theta_in_half_precision():
    # losses.md A1: theta of order 1e3 overflows in float16; computed in float32
    theta = np.array(SHEET) * ([1, 1] + [1e3] * 10)
    loss = TaylorLoss(theta, dtype="float16", reduction=None)
    p = np.exp(log_softmax([[3.0, 1.0, 0.0]])).astype("float16")
    expected = plain_taylor(theta, [[1, 0, 0]], p.astype("float32"))
    np.testing.assert_allclose(numpy(loss([0], p)), expected, rtol=1e-3)
