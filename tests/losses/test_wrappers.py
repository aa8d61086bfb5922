"""Values of the wrappers around losses on logits."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.values import P, Z, numpy
from tfrobustloss import losses
from tfrobustloss.losses import (
    LogitAdjusted,
    LogitBias,
    LogitClip,
    logit_adjusted,
    logit_bias,
    logit_clip,
)

CROSS = losses.CrossEntropy(from_logits=True)
ABSOLUTE = losses.MeanAbsoluteError(from_logits=True)
MISS = losses.GeneralizedCrossEntropy(1.0, from_logits=True)  # 1 - p


@pytest.mark.parametrize(
    ("max_norm", "expected"),
    [
        (1.0, (0.512978, 1.407405)),  # losses.md C, this and the following rows
        (1.5, (0.332949, 1.674589)),
        (2.0, (0.211468, 2.000322)),
        (3.0, (0.16984602, 2.16984602)),  # longer than the logits: cross-entropy, A10
        (1e-6, (math.log(3), math.log(3))),  # limit: equal logits
    ],
)
def test_clipped(max_norm, expected):
    z = np.array([Z, Z], "float32")
    for y_true in (np.array([0, 1]), np.eye(3, dtype="float32")[[0, 1]]):
        loss = LogitClip(CROSS, max_norm, reduction=None)
        np.testing.assert_allclose(numpy(loss(y_true, z)), expected, atol=1e-6)


def test_clipping_bounds_the_loss():
    # Wei et al., section 3: at most log(1 + (K - 1) exp(tau sqrt(K / (K - 1))))
    logits = np.array([[-1e30, 1e30, -1e30], [-1e30, 5e29, 5e29]], "float32")
    loss = numpy(logit_clip([0, 0], logits, CROSS, 2.0))
    bound = math.log(1 + 2 * math.exp(2 * math.sqrt(3 / 2)))
    assert (loss <= bound + 1e-5).all()
    assert loss[1] == pytest.approx(bound, rel=1e-5)


def test_gradient_of_clipped_logits():
    # by hand: that of cross-entropy, less its part along the logits, times tau / norm
    norm = math.sqrt(5)
    unit = Z / norm
    p = np.exp(1.5 * unit) / np.exp(1.5 * unit).sum()
    inner = p - np.eye(3)[1]
    expected = 1.5 / norm * (inner - unit * np.dot(unit, inner))
    slope = gradient(lambda z: logit_clip([1], z, CROSS, 1.5), np.array([Z], "float32"))
    np.testing.assert_allclose(slope, [expected], rtol=1e-5)
    zero = gradient(lambda z: logit_clip([1], z, CROSS), np.zeros((1, 3), "float32"))
    np.testing.assert_allclose(zero, [1 / 3 - np.eye(3)[1]], rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "bias", "expected"),
    [
        # losses.md C: MAE* with 1 - p for MAE, logits of P
        (MISS, 2.4, (0.037424, 0.266255)),
        (ABSOLUTE, 2.4, (2 * 0.037424, 2 * 0.266255)),
        (ABSOLUTE, 0.0, (0.6, 1.6)),  # limit: the inner loss
        (ABSOLUTE, None, (0.6, 1.6)),  # up to 10 classes there is nothing to mend
        (CROSS, 1.0, (math.log(0.7 * math.e + 0.3) - math.log(0.7) - 1,) * 2),
    ],
)
def test_biased(loss, bias, expected):
    z = np.log(np.array([P, P], "float32")) + 1.5
    ids = np.array([0, 0]) if loss is CROSS else np.array([0, 1])
    for y_true in (ids, np.eye(3, dtype="float32")[ids]):
        biased = LogitBias(loss, bias, reduction=None)
        np.testing.assert_allclose(numpy(biased(y_true, z)), expected, atol=1e-6)


@pytest.mark.parametrize("num_classes", [20, 100, 1000])
def test_own_bias_makes_a_tenth_of_equal_logits(num_classes):
    # by hand: (K - 1) / 9 over itself and the K - 1 others
    logits = np.zeros((1, num_classes), "float32")
    loss = logit_bias([7], logits, MISS)
    assert float(loss[0]) == pytest.approx(0.9, rel=1e-5)


def test_a_soft_label_is_biased_in_parts():
    z = np.array([[0.0, 0.0]], "float32")
    loss = logit_bias(np.array([[0.75, 0.25]], "float32"), z, CROSS, 2.0)
    p = 1 / (1 + math.exp(-1.0))  # by hand: logits 1.5 and 0.5
    expected = -0.75 * math.log(p) - 0.25 * math.log(1 - p)
    assert float(loss[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrapper", [LogitClip, LogitBias, LogitAdjusted])
def test_needs_logits(wrapper):
    with pytest.raises(ValueError, match=f"{wrapper.__name__}: .*`loss` must be on"):
        wrapper(losses.Focal())
    with pytest.raises(TypeError, match="`loss` must be a classification loss"):
        wrapper(abs)
    with pytest.raises(ValueError, match=r"`loss` must have no `ignore_class`.*=1"):
        wrapper(losses.Focal(from_logits=True, ignore_class=1))


def test_any_loss_may_be_wrapped():
    logits = np.random.default_rng(0).normal(0, 2, (6, 4)).astype("float32")
    ids = np.arange(6) % 4
    inner = losses.BiTemperedLogistic(0.5, 2.0, from_logits=True)
    for wrapper, changed in (
        (LogitClip(inner, 1e6), logits),
        (LogitBias(inner, 1.5), logits + 1.5 * np.eye(4, dtype="float32")[ids]),
        (LogitBias(LogitClip(inner, 1e6), 0.0), logits),
    ):
        np.testing.assert_allclose(wrapper(ids, logits), inner(ids, changed), rtol=1e-5)


def test_adjusted():
    # field.md 1a: shares (.8, .15, .05), cross-entropy on the logarithms of P
    z = np.log(np.array([P, P], "float32")) + 1.5
    for counts in ([0.8, 0.15, 0.05], (16, 3, 1), np.array([160, 30, 10])):
        loss = LogitAdjusted(CROSS, counts, reduction=None)
        for y_true in (np.array([0, 1]), np.eye(3, dtype="float32")[[0, 1]]):
            received = numpy(loss(y_true, z))
            np.testing.assert_allclose(received, (0.060625, 2.987364), atol=1e-6)


@pytest.mark.parametrize(("tau", "index"), [(0.0, None), (0.5, 0), (2.0, 1)])
def test_adjusted_by_tau(tau, index):
    # by hand: probabilities are proportional to p times the shares to the power of tau
    counts = np.array([4.0, 1.0, 16.0])
    weighted = P * {None: 1, 0: [2, 1, 4], 1: [16, 1, 256]}.get(index)
    expected = 1 - weighted[1] / weighted.sum()
    z = np.log(np.array([P], "float32")) + 1.5
    loss = logit_adjusted([1], z, MISS, counts, tau)
    assert float(numpy(loss)[0]) == pytest.approx(expected, rel=1e-5)


def test_adjusted_equals_the_inner_loss_on_adjusted_logits():
    logits = np.random.default_rng(0).normal(0, 2, (6, 4)).astype("float32")
    ids, counts = np.arange(6) % 4, np.array([1, 2, 3, 10])
    adjusted = logits + np.log(counts / 16).astype("float32")
    for inner in (
        losses.BiTemperedLogistic(0.5, 2.0, from_logits=True),
        losses.LogitClip(losses.Focal(from_logits=True), 1.5),  # its origin matters
    ):
        received = LogitAdjusted(inner, counts)(ids, logits)
        np.testing.assert_allclose(received, inner(ids, adjusted), rtol=1e-5)
        z = ops.convert_to_tensor(logits)
        served = LogitAdjusted(inner, counts).activation(z)
        np.testing.assert_allclose(numpy(served), numpy(inner.activation(z)), atol=1e-7)


def test_even_shares_change_nothing():
    logits = np.random.default_rng(0).normal(0, 2, (6, 4)).astype("float32")
    ids = np.arange(6) % 4
    received = LogitAdjusted(CROSS, [7, 7, 7, 7])(ids, logits)
    np.testing.assert_allclose(received, CROSS(ids, logits), rtol=1e-5)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            [5, 0, 1],
            r"above 0 for each class.*\[5, 0, 1\]. A class without",
        ),
        ([5, -1.0, 1], "above 0 for each class"),
        ([5, math.nan, 1], "above 0 for each class"),
        ([5, math.inf, 1], "above 0 for each class"),
        ([[5, 1, 1]], "above 0 for each class"),
        (5, "above 0 for each class"),
    ],
)
def test_frequencies_that_are_none(counts, message):
    for owner, call in (
        ("LogitAdjusted", lambda: LogitAdjusted(CROSS, counts)),
        ("logit_adjusted", lambda: logit_adjusted([1], [[0.0] * 3], CROSS, counts)),
    ):
        text = f"{owner}: `class_frequencies` must be one number {message}"
        with pytest.raises(ValueError, match=text):
            call()


def test_frequencies_are_required_and_one_a_class():
    text = "`class_frequencies` must be one number .*=None. Count the training labels"
    with pytest.raises(TypeError, match=text):
        LogitAdjusted(CROSS)
    loss = LogitAdjusted(class_frequencies=[3, 2, 1])
    with pytest.raises(ValueError, match="There are 4 classes"):
        loss([1], np.zeros((1, 4), "float32"))


def test_frequencies_may_be_a_variable():
    counts = keras.Variable([8.0, 1.0, 1.0], trainable=False)
    loss = LogitAdjusted(CROSS, counts)
    z = np.log(np.array([P], "float32"))
    for each in ([8, 1, 1], [1, 1, 8]):
        counts.assign(each)
        expected = LogitAdjusted(CROSS, each)([1], z)
        assert float(numpy(loss([1], z))) == pytest.approx(float(numpy(expected)))
        assert loss.get_config()["class_frequencies"] == each
