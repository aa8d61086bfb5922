"""With dtype float64 every loss keeps float64's digits, those of its parameters too."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import needs_float64
from tests.losses.test_taylor import plain_taylor
from tests.losses.test_tempered import plain_loss
from tests.losses.test_tempered_softmax import bisected
from tests.losses.values import log_softmax, numpy
from tfrobustloss import losses
from tfrobustloss._core.backend import double_precision

pytestmark = needs_float64

LOGITS = np.array([[2.1, 0.3, -1.7], [0.2, -0.9, 1.3]])
LABELS = np.array([[0.55, 0.3, 0.15], [0.1, 0.2, 0.7]])
LOG_P = log_softmax(LOGITS)
P = np.exp(LOG_P)
MATRIX = np.array([[0.83, 0.1, 0.07], [0.1, 0.7, 0.2], [0.0, 0.3, 0.7]])
THETA = [0.1, 0.3, 1.1, -2.3, 3.7, -4.1, 0.7, -0.6, 0.7, -0.8, 0.9, -1.3]


def total(of_class, label=LABELS):
    return (label * of_class).sum(-1)


# losses, and their definitions in float64; parameters that float32 cannot hold
CASES = [
    (
        losses.CrossEntropy(0.1, from_logits=True),
        -total(LOG_P, 0.9 * LABELS + 0.1 / 3),
    ),
    (losses.MeanAbsoluteError(True), 2 * total(1 - P)),
    (losses.GeneralizedCrossEntropy(0.7, True), total((1 - P**0.7) / 0.7)),
    (
        losses.SymmetricCrossEntropy(0.1, 0.3, from_logits=True),
        0.3 * -(P * np.log(LABELS)).sum(-1) - 0.1 * total(LOG_P),
    ),
    (losses.SoftBootstrap(0.95, True), -total(LOG_P, 0.95 * LABELS + 0.05 * P)),
    (losses.HardBootstrap(0.8, True), -0.8 * total(LOG_P) - 0.2 * LOG_P.max(-1)),
    (losses.ForwardCorrection(MATRIX, True), -total(np.log(P @ MATRIX))),
    (
        losses.BackwardCorrection(MATRIX, True),
        -total(LOG_P, LABELS @ np.linalg.inv(MATRIX)),
    ),
    (
        losses.Focal(1.3, [0.1, 0.3, 0.7], True),
        -total([0.1, 0.3, 0.7] * (1 - P) ** 1.3 * LOG_P),
    ),
    (losses.Focal(2.0, 0.1, True), -total(0.1 * (1 - P) ** 2 * LOG_P)),
    (losses.Adma(from_logits=True), total(math.e - np.exp(P**0.2624))),
    (losses.Adma(0.3, 2.7, True), total(2.7 - 2.7 ** (P**0.3))),
    (losses.TaylorLoss(THETA, from_logits=True), plain_taylor(THETA, LABELS, P)),
    (
        losses.BiTemperedLogistic(0.8, 1.2, from_logits=True),
        plain_loss(LABELS, LOGITS, 0.8, 1.2),
    ),
    (
        losses.BiTemperedLogistic(0.7, 1.37, 0.1, from_logits=True),
        plain_loss(0.9 * LABELS + 0.1 / 3, LOGITS, 0.7, 1.37),
    ),
    (
        losses.BiTemperedLogistic(0.7, 0.9, from_logits=True),
        plain_loss(LABELS, LOGITS, 0.7, 0.9),
    ),
]
IDS = [f"{index}-{type(loss).__name__}" for index, (loss, _) in enumerate(CASES)]


@pytest.mark.parametrize(("loss", "expected"), CASES, ids=IDS)
def test_float64(loss, expected):
    config = {**loss.get_config(), "dtype": "float64", "reduction": None}
    with double_precision():
        wide = type(loss).from_config(config)
        value = wide(
            ops.convert_to_tensor(LABELS, "float64"),
            ops.convert_to_tensor(LOGITS, "float64"),
        )
        assert keras.backend.standardize_dtype(value.dtype) == "float64"
        np.testing.assert_allclose(numpy(value), expected, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.2, 2.7])
def test_log_t_and_exp_t(temperature):
    x = np.array([0.1, 0.5, 1.0, 1.3])
    power = 1 - temperature
    with double_precision():
        tensor = ops.convert_to_tensor(x, "float64")
        log = numpy(losses.log_t(tensor, temperature))
        exp = numpy(losses.exp_t(-tensor, temperature))
    np.testing.assert_allclose(log, (x**power - 1) / power, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(exp, (1 - power * x) ** (1 / power), rtol=1e-12)


def test_bi_tempered_on_probabilities():
    p = bisected(LOGITS, 1.2)
    loss = losses.BiTemperedLogistic(0.7, 1.2, dtype="float64", reduction=None)
    with double_precision():
        value = loss(
            ops.convert_to_tensor(LABELS, "float64"),
            ops.convert_to_tensor(p, "float64"),
        )
    expected = plain_loss(LABELS, LOGITS, 0.7, 1.2)
    np.testing.assert_allclose(numpy(value), expected, rtol=1e-12)
