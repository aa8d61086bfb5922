"""Values of the S-divergence loss, its limits, and where it is a proper score."""

import math

import numpy as np
import pytest
from scipy import optimize

from tests.losses.values import check_linear, check_value, log_softmax, numpy
from tfrobustloss import losses
from tfrobustloss._core.backend import double_precision
from tfrobustloss.losses import SDivergence, s_divergence

SETTINGS = [(0.5, 0.0), (0.5, -0.5), (0.3, -0.5), (0.1, -0.3), (1.0, -0.7), (0.2, -1)]


def divergence(g, f, alpha, lambda_):
    """Ghosh et al.'s S-divergence of two distributions, from its definition."""
    a, b = 1 + lambda_ * (1 - alpha), alpha - lambda_ * (1 - alpha)
    first = (f ** (1 + alpha)).sum(-1) / a
    cross = (1 + alpha) / (a * b) * (f**b * g**a).sum(-1)
    return first - cross + (g ** (1 + alpha)).sum(-1) / b


@pytest.mark.parametrize(
    ("alpha", "lambda_", "label", "expected"),
    [
        (0.5, 0.0, 0, 0.196747),  # field.md 1a, this and the following seven
        (0.5, 0.0, 1, 1.365087),
        (0.5, -0.5, 0, 0.234875),
        (0.5, -0.5, 1, 1.478117),
        (0.3, -0.5, 0, 0.332837),
        (0.3, -0.5, 1, 1.692163),
        (0.1, -0.3, 0, 0.400999),
        (0.1, -0.3, 1, 1.724894),
        (1.0, 0.0, 0, 0.14),  # by hand: Brier, 0.3 ** 2 + 0.2 ** 2 + 0.1 ** 2
        (1.0, -0.7, 1, 1.14),  # by hand: 0.7 ** 2 + 0.8 ** 2 + 0.1 ** 2
        (1e-9, 0.0, 1, -math.log(0.2)),  # limit: cross-entropy
    ],
)
def test_values(alpha, lambda_, label, expected):
    check_value(
        s_divergence, SDivergence, {"alpha": alpha, "lambda_": lambda_}, label, expected
    )


@pytest.mark.parametrize(("alpha", "lambda_"), SETTINGS)
def test_is_the_divergence_from_a_one_hot_label(alpha, lambda_):
    p = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    ids = np.arange(30) % 4
    expected = divergence(np.eye(4)[ids], p, alpha, lambda_)
    received = numpy(s_divergence(ids, p.astype("float32"), alpha, lambda_))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=2e-6)
    sure = s_divergence([2], np.eye(4, dtype="float32")[[2]], alpha, lambda_)
    assert float(numpy(sure)[0]) == pytest.approx(0, abs=2e-6)


def test_linear_in_the_label():
    check_linear(s_divergence, {"alpha": 0.4, "lambda_": -0.6})


def mean_under(q, p, alpha, lambda_):
    """Mean of the loss over labels of distribution `q`, float64."""
    with double_precision():
        loss = SDivergence(alpha, lambda_, dtype="float64", reduction=None)
        table = [numpy(loss(np.full(len(p), k), p)) for k in range(len(q))]
    return np.asarray(table).T @ q


def nearby(q, count=4000):
    """Distributions all over the simplex, most of them close to `q`."""
    random = np.random.default_rng(0)
    steps = 10.0 ** random.uniform(-3, 0, (count, 1))
    return (1 - steps) * q + steps * random.dirichlet(np.ones(len(q)), count)


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.05, 0.0), (0.5, 0.0), (1.0, -0.7)])
def test_a_strictly_proper_score(alpha, lambda_):
    # the excess is the Bregman divergence of sum(p ** (1 + alpha)) / alpha, whose
    # second derivatives are at least 1 + alpha
    q = np.array([0.55, 0.3, 0.1, 0.05])
    p = nearby(q)
    least = mean_under(q, q[np.newaxis], alpha, lambda_)
    excess = mean_under(q, p, alpha, lambda_) - least
    assert (excess >= (1 + alpha) / 2 * ((p - q) ** 2).sum(-1) - 1e-6).all()


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.5, -0.5), (0.3, -0.5), (0.1, -1.0)])
def test_elsewhere_the_order_of_the_probabilities_is_right(alpha, lambda_):
    q = np.array([0.55, 0.3, 0.1, 0.05])
    a, b = 1 + lambda_ * (1 - alpha), alpha - lambda_ * (1 - alpha)

    def mean(z):
        p = np.exp(log_softmax(z))
        return (p ** (1 + alpha)).sum() / a - (1 / a + 1 / b) * (q * p**b).sum() + 1 / b

    best = np.exp(log_softmax(optimize.minimize(mean, np.log(q)).x))
    assert (np.diff(best) < 0).all()
    # and not the probabilities themselves, which the docstring says
    least = mean_under(q, np.stack([best, q]), alpha, lambda_)
    assert least[0] == pytest.approx(mean(np.log(best)), rel=1e-5)
    assert least[0] < least[1] - 5e-4
    assert np.abs(best - q).max() > 0.02


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0])
def test_density_power_divergence_is_bi_tempered(beta):
    logits = np.random.default_rng(1).normal(0, 3, (20, 5)).astype("float32")
    ids = np.arange(20) % 5
    options = {"from_logits": True, "reduction": None}
    tempered = losses.BiTemperedLogistic(1 - beta, 1.0, **options)
    loss = SDivergence(beta, **options)
    received, expected = numpy(loss(ids, logits)), numpy(tempered(ids, logits))
    np.testing.assert_allclose(received, (1 + beta) * expected, rtol=1e-5, atol=2e-6)


def test_bounds():
    logits = np.array([[-200.0, 200.0, 0.0]], "float32")
    for alpha, lambda_ in SETTINGS:
        low, high = SDivergence(alpha, lambda_).bounds(3)
        wrong = s_divergence([0], logits, alpha, lambda_, from_logits=True)
        assert low == 0
        assert float(numpy(wrong)[0]) == pytest.approx(high, rel=1e-5)
