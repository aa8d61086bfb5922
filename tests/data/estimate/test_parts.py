"""The parts of the estimate: fit, calibration, Bayes' rule, recommendations."""

import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.data import noise
from tfrobustloss.data.estimate.likelihood import Likelihood
from tfrobustloss.data.estimate.matrices import (
    calibrate,
    class_shares,
    clean_probabilities,
    given_label,
    plateau,
)
from tfrobustloss.data.estimate.recommendation import concentration, recommend


def test_the_gradient_of_the_likelihood_is_that_of_its_differences():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), size=40)
    labels = generator.integers(3, size=40)
    model = Likelihood(labels, probabilities)._model
    weights = generator.random(40)
    point = model.start + generator.normal(0, 0.1, model.start.shape)
    steps = 1e-6 * np.eye(len(point))
    numeric = [
        (model.loss(point + step, weights)[0] - model.loss(point - step, weights)[0])
        / 2e-6
        for step in steps
    ]
    assert model.loss(point, weights)[1] == pytest.approx(np.array(numeric), abs=1e-7)


def test_the_fit_ends_where_the_gradient_does():
    generator = np.random.default_rng(0)
    clean = generator.dirichlet(np.full(3, 0.2), size=500)
    probabilities = clean @ noise.symmetric(3, 0.3)
    labels = (probabilities.cumsum(axis=1) < generator.random((500, 1))).sum(axis=1)
    fit = Likelihood(labels, probabilities)
    _, gradient = fit._model.loss(fit._point, np.ones(500))
    assert np.abs(gradient).max() < 1e-3
    matrix, again = fit.again(np.ones(500))  # goes on from there
    assert matrix == pytest.approx(fit.matrix, abs=1e-2)
    assert again == pytest.approx(fit.clean, abs=1e-2)


@pytest.mark.parametrize("power", [0.5, 1, 3])
def test_calibrate_undoes_a_power(power):
    generator = np.random.default_rng(0)
    true = generator.dirichlet(np.ones(4), size=5000)
    labels = (true.cumsum(axis=1) < generator.random((5000, 1))).sum(axis=1)
    sharp = true**power / (true**power).sum(axis=1, keepdims=True)
    found, temperature = calibrate(labels, sharp)
    assert temperature == pytest.approx(power, rel=0.1)
    assert np.abs(found - true).max() < 0.05


def test_clean_probabilities_invert_the_matrix():
    matrix = noise.symmetric(4, 0.4)
    clean = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    found = clean_probabilities(clean @ matrix, matrix, iterations=1000)
    assert found == pytest.approx(clean, abs=2e-3)
    # beyond the matrix' rows: the nearest there is, all of one class
    found = clean_probabilities(np.eye(4), matrix, iterations=1000)
    assert found == pytest.approx(np.eye(4), abs=1e-2)


def test_given_label_is_bayes_rule():
    matrix = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = given_label(np.array([0, 1]), np.array([[0.5, 0.5]] * 2), matrix)
    expected = [[0.8 / 1.2, 0.4 / 1.2], [0.2 / 0.8, 0.6 / 0.8]]
    assert found == pytest.approx(np.array(expected))
    impossible = given_label(np.array([1]), np.array([[1.0, 0.0]]), np.eye(2))
    assert impossible.tolist() == [[1.0, 0.0]]


def test_class_shares():
    matrix = noise.pair_flip(3, 0.3)
    shares = np.array([0.5, 0.3, 0.2])
    assert class_shares(matrix, shares @ matrix) == pytest.approx(shares, abs=1e-4)


def test_plateau_stops_where_other_classes_mix_in():
    labels = np.array([0] * 80 + [1] * 20 + [1] * 100)  # class 0: 80 % right
    one = np.concatenate([np.linspace(0.9, 0.7, 100), np.linspace(0.4, 0.0, 100)])
    probabilities = np.stack([one, 1 - one], axis=1)
    labels[:100] = labels[:100][np.random.default_rng(0).permutation(100)]
    found = plateau(labels, probabilities)
    assert found[0] == pytest.approx([0.8, 0.2], abs=0.06)
    assert found[1] == pytest.approx([0.0, 1.0], abs=0.01)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (noise.symmetric(5, 0.4), 0),
        (noise.pair_flip(5, 0.4), 1),
        (noise.symmetric(2, 0.4), 0),  # two classes: there is one other
        (np.eye(5), 0),
    ],
)
def test_concentration(matrix, expected):
    prior = np.full(len(matrix), 1 / len(matrix))
    assert concentration(matrix, prior) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("matrix", "first"),
    [
        (noise.symmetric(10, 0.01), "CrossEntropy"),
        (noise.symmetric(10, 0.2), "GeneralizedCrossEntropy"),
        (noise.symmetric(10, 0.5), "ForwardCorrection"),
        (noise.asymmetric("cifar10", 0.4), "ForwardCorrection"),
        (noise.symmetric(100, 0.5), "GeneralizedCrossEntropy"),
        (noise.pair_flip(100, 0.3), "SymmetricCrossEntropy"),
    ],
)
def test_recommended_losses_exist_and_take_their_settings(matrix, first):
    classes = len(matrix)
    prior, counts = np.full(classes, 1 / classes), np.full(classes, 500)
    rate = 1 - prior @ np.diag(matrix)
    chosen, warnings = recommend(matrix, prior, rate, rate, counts)
    assert warnings == []
    assert chosen[0]["loss"] == first
    for one in chosen:
        settings = dict(one["settings"])
        if settings.get("transition_matrix") == "estimated":
            settings["transition_matrix"] = matrix
        getattr(losses, one["loss"])(**settings)
        assert one["reason"].endswith((".", "."))


def test_doubts_are_said_and_no_matrix_is_relied_on():
    matrix, prior = noise.symmetric(3, 0.7), np.full(3, 1 / 3)
    chosen, warnings = recommend(matrix, prior, 0.7, 0.6, np.array([0, 20, 500]))
    assert [one for one in warnings if "No label of class 0" in one]
    assert [one for one in warnings if "Fewer than 200 labels of class 1" in one]
    assert [one for one in warnings if "Most labels of class 0, 1, 2" in one]
    assert "ForwardCorrection" not in [one["loss"] for one in chosen]
