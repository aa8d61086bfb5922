"""Values of the two corrections and the theorems they rest on."""

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import (
    P,
    check_linear,
    check_value,
    log_softmax,
    numpy,
    random_probabilities,
)
from tfrobustloss.losses import (
    BackwardCorrection,
    ForwardCorrection,
    backward_correction,
    forward_correction,
)

EVEN = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
PAIR = [[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]]
IDENTITY = np.eye(3)
# rows are the true class: a transposed matrix would give other numbers below
SKEW = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.4, 0.6]]
MASS = np.array((0.5, 0.3, 0.2))


@pytest.mark.parametrize(
    ("matrix", "label", "expected"),
    [
        (EVEN, 0, 0.527633),  # losses.md A5
        (EVEN, 1, 1.427116),  # losses.md A5
        (PAIR, 0, -np.log(0.7 * 0.7 + 0.1 * 0.3)),  # by hand: the column of label 0
        (SKEW, 1, -np.log(0.7 * 0.1 + 0.2 * 0.7 + 0.1 * 0.4)),  # by hand
        (IDENTITY, 1, -np.log(0.2)),  # limit: cross-entropy
        (np.full((3, 3), 1 / 3), 2, np.log(3)),  # by hand: any label is as likely
        (SKEW, MASS, -np.dot(MASS, np.log(P @ SKEW))),  # the definition
    ],
)
def test_forward_values(matrix, label, expected):
    check_value(
        forward_correction,
        ForwardCorrection,
        {"transition_matrix": matrix},
        label,
        expected,
    )


@pytest.mark.parametrize(
    ("matrix", "label", "expected"),
    [
        (EVEN, 0, -0.100278),  # losses.md A5
        (EVEN, 1, 1.689383),  # losses.md A5
        (IDENTITY, 1, -np.log(0.2)),  # limit: cross-entropy
        (SKEW, 2, -np.linalg.inv(SKEW)[2] @ np.log(P)),  # the definition
        (SKEW, MASS, -MASS @ np.linalg.inv(SKEW) @ np.log(P)),
    ],
)
def test_backward_values(matrix, label, expected):
    check_value(
        backward_correction,
        BackwardCorrection,
        {"transition_matrix": matrix},
        label,
        expected,
    )


def random_matrix(num_classes, seed):
    """Noise of every kind, with a diagonal that keeps it invertible."""
    rows = random_probabilities((num_classes, num_classes), seed)
    return 0.5 * np.eye(num_classes) + 0.5 * rows


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_backward_is_unbiased(num_classes):
    # Patrini et al., theorem 1: the mean over the noise is the clean cross-entropy
    matrix = random_matrix(num_classes, seed=num_classes)
    p = random_probabilities((20, num_classes), seed=1).astype("float32")
    of_label = np.stack(
        [
            numpy(backward_correction(np.full(20, label), p, matrix))
            for label in range(num_classes)
        ],
        axis=-1,
    )
    mean_over_noise = of_label @ matrix.T  # column i: clean class i
    clean = -np.log(np.maximum(p.astype("float64"), 1e-7))
    scale = np.abs(of_label).max()
    np.testing.assert_allclose(mean_over_noise, clean, atol=1e-6 * scale)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_forward_is_least_at_the_clean_probabilities(num_classes):
    # Patrini et al., theorem 2: the noisy minimiser is the clean distribution
    matrix = random_matrix(num_classes, seed=num_classes)
    clean = random_probabilities((1, num_classes), seed=2, concentration=3.0)
    noisy = (clean @ matrix).astype("float32")

    def risk(logits):
        return forward_correction(
            np.repeat(noisy, len(logits), 0), logits, matrix, from_logits=True
        )

    best = np.log(clean).astype("float32")
    np.testing.assert_allclose(gradient(risk, best), 0, atol=2e-7)
    others = best + np.random.default_rng(3).normal(0, 0.5, (100, num_classes))
    least = float(risk(best)[0])
    # a shift of all logits alone changes nothing but rounding
    assert numpy(risk(others.astype("float32"))).min() > least * (1 - 1e-6)
    assert numpy(risk(others.astype("float32"))).mean() > least * 1.001


def test_forward_gradient_in_logits():
    # by hand: p minus the posterior of the clean class, given the noisy label
    logits = np.array([[2.0, 0.0, -1.0]], "float32")
    p = np.exp(log_softmax(logits))[0]
    posterior = p * np.array(SKEW)[:, 1]
    expected = p - posterior / posterior.sum()
    for y_true in ([1], np.eye(3, dtype="float32")[[1]]):
        slope = gradient(
            lambda z, y_true=y_true: forward_correction(
                y_true, z, SKEW, from_logits=True
            ),
            logits,
        )
        np.testing.assert_allclose(slope, [expected], rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("logit", [50.0, 1e4])
def test_forward_of_an_impossible_label_is_finite(logit):
    # PAIR never labels class 1 as 0; ids and rows must still agree
    logits = np.array([[0.0, logit, 0.0]], "float32")

    def loss(y_true):
        return lambda z: forward_correction(y_true, z, PAIR, from_logits=True)

    one_hot = np.eye(3, dtype="float32")[[0]]
    by_id, by_row = numpy(loss([0])(logits)), numpy(loss(one_hot)(logits))
    assert np.isfinite(by_id).all()
    np.testing.assert_allclose(by_row, by_id, rtol=1e-6)
    for y_true in ([0], one_hot):
        assert np.isfinite(gradient(loss(y_true), logits)).all()


@pytest.mark.parametrize("function", [forward_correction, backward_correction])
def test_linear_in_the_label(function):
    check_linear(function, {"transition_matrix": SKEW})


BAD = [
    (np.ones((2, 3)) / 3, r"\.shape` must be \(classes, classes\).*=\(2, 3\)"),
    (np.ones(3) / 3, r"\.shape` must be \(classes, classes\).*=\(3,\)"),
    ([[0.9, 0.2], [0.1, 0.9]], r"\[0\]\.sum\(\)` must be 1.*=1\.1"),
    ([[1.1, -0.1], [0.0, 1.0]], r"\[0, 1\]` must be in \[0, 1\].*=-0\.1"),
    ([[float("nan"), 1.0], [0.0, 1.0]], r"\[0, 0\]` must be in \[0, 1\].*=nan"),
    (np.array(PAIR) * 100, r"\[0\]\.sum\(\)` must be 1.*=100"),  # percent
]


@pytest.mark.parametrize("loss_class", [ForwardCorrection, BackwardCorrection])
@pytest.mark.parametrize(("matrix", "words"), BAD)
def test_no_transition_matrix(loss_class, matrix, words):
    message = f"{loss_class.__name__}: `transition_matrix{words}"
    with pytest.raises(ValueError, match=message):
        loss_class(matrix)


@pytest.mark.parametrize("loss_class", [ForwardCorrection, BackwardCorrection])
def test_a_matrix_of_rounded_rows(loss_class):
    # six digits, as a report writes it: rows are divided by their sum
    exact = np.random.default_rng(0).dirichlet(np.full(10, 0.5), 10) + 0.5 * np.eye(10)
    exact /= exact.sum(axis=1, keepdims=True)
    rounded = exact.round(6)
    assert (rounded.sum(axis=1) != 1).any()
    loss = loss_class(rounded)
    rows = np.array(loss.get_config()["transition_matrix"])
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-15)
    p = np.random.default_rng(1).dirichlet(np.ones(10), 10)
    given = np.arange(10), p.astype("float32")
    value, expected = float(loss(*given)), float(loss_class(exact)(*given))
    assert value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss_class", [ForwardCorrection, BackwardCorrection])
def test_matrix_of_another_number_of_classes(loss_class):
    message = r"`transition_matrix.shape` must be .*of the 3 classes.*=\(2, 2\)"
    with pytest.raises(ValueError, match=message):
        loss_class(np.eye(2))([0], np.array([P]))


def test_backward_refuses_a_singular_matrix():
    # symmetric noise of rate (K - 1) / K: labels say nothing
    message = r"BackwardCorrection: `transition_matrix` must be invertible.*Forward"
    with pytest.raises(ValueError, match=message):
        BackwardCorrection(np.full((3, 3), 1 / 3))


def test_float32_rows_may_be_off_by_rounding():
    matrix = np.full((7, 7), 1 / 7, "float32")
    assert ForwardCorrection(matrix).transition_matrix.shape == (7, 7)


def test_matrix_in_the_config_is_exact():
    matrix = random_matrix(4, seed=0)
    config = ForwardCorrection(matrix).get_config()
    assert config["transition_matrix"] == matrix.tolist()
