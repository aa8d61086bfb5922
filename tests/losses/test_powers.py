"""Powers by multiplication and by logarithm are the same powers."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tfrobustloss._core.backend import double_precision
from tfrobustloss.losses.powers import is_half_integer, power

X = np.geomspace(1e-3, 1e3, 61)


@pytest.mark.parametrize("exponent", [h / 2 for h in range(-15, 16)])
def test_half_integers(exponent):
    assert is_half_integer(exponent)
    x = X.astype("float32")
    actual = ops.convert_to_numpy(power(ops.convert_to_tensor(x), exponent))
    # one rounding a multiplication, at most 7 of them
    expected = x.astype("float64") ** exponent
    np.testing.assert_allclose(actual, expected, rtol=7 * 6e-8 * 2)


@pytest.mark.parametrize("exponent", [0.3, -1.7, 2.25, 8.0, -9.5, 0.5001, 1 - 1e-5])
def test_others(exponent):
    assert not is_half_integer(exponent)
    x = X.astype("float32")
    actual = ops.convert_to_numpy(power(ops.convert_to_tensor(x), exponent))
    # exp(e log x): the logarithm's rounding, times the exponent and the logarithm
    expected = x.astype("float64") ** exponent
    bar = 1.2e-7 * (2 + abs(exponent) * np.log(1e3))
    np.testing.assert_allclose(actual, expected, rtol=bar)


@pytest.mark.parametrize("exponent", [2.0, -0.5, 0.3, 0.0, 1.0])
def test_a_variable_exponent_gives_the_same(exponent):
    x = ops.convert_to_tensor(X.astype("float32"))
    by_number = ops.convert_to_numpy(power(x, exponent))
    by_variable = power(x, keras.Variable(exponent, trainable=False))
    np.testing.assert_allclose(ops.convert_to_numpy(by_variable), by_number, rtol=4e-6)


@pytest.mark.parametrize(("exponent", "expected"), [(0, 1), (0.5, 0), (1, 0), (3, 0)])
def test_zero(exponent, expected):
    assert float(power(ops.zeros(()), exponent)) == expected


@pytest.mark.parametrize("exponent", [2.0, 0.5, -1.0, 1.3])
def test_gradient(exponent):
    x = X.astype("float32")
    slope = gradient(lambda x: power(x, exponent), x)
    np.testing.assert_allclose(slope, exponent * X ** (exponent - 1), rtol=3e-6)


@pytest.mark.parametrize(
    "exponent", [1 / (1.2 - 1), -1 / (1.2 - 1), 1 / (3.0 - 1), -1 / (0.8 - 1)]
)
def test_quotients_of_round_numbers_are_recognised(exponent):
    # 1 / (1.2 - 1) is 5.000000000000001
    assert is_half_integer(exponent)


def test_float64_keeps_its_digits_near_a_half_integer():
    exponent = 2 + 1e-7
    with double_precision():
        x = ops.convert_to_tensor(X, "float64")
        actual = ops.convert_to_numpy(power(x, exponent))
    np.testing.assert_allclose(actual, X**exponent, rtol=1e-13)
