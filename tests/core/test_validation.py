"""Ranges of parameters and the errors that they word."""

import math
import pickle

import keras
import numpy as np
import pytest

from tfrobustloss._core.tensors import current_value, is_variable
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)
from tfrobustloss.layers import TemperedSoftmax
from tfrobustloss.losses import tempered_softmax


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        (Range(0, 1), [0, 0.5, 1, 1.0], [-1e-9, 1 + 1e-9, 2]),
        (Range(0, 1, open_low=True), [1e-30, 1], [0, 0.0, -1]),
        (Range(0, 1, open_high=True), [0, 0.999], [1, 1.0]),
        (Range(low=0), [0, 1e300], [-1e-300]),
        (Range(high=0, open_high=True), [-1e-9], [0, 1]),
        (Range(), [0, -1e300, 10**30], []),
        (Range(1, 9, integer=True), [1, 9, 3.0], [0, 10, 1.5]),
    ],
)
def test_contains(limit, inside, outside):
    for value in inside:
        assert limit.contains(value), value
    for value in [*outside, math.nan, math.inf, -math.inf]:
        assert not limit.contains(value), value


def test_infinite_ends():
    limit = Range(high=2, infinite=True)
    for inside in (-math.inf, -1e300, 2):
        assert limit.contains(inside)
    for outside in (math.inf, math.nan, 2.1):
        assert not limit.contains(outside)
    assert Range(infinite=True).contains(math.inf)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Range(infinite=True), "in [-inf, inf]"),
        (Range(high=2, infinite=True), "in [-inf, 2]"),
        (Range(0, 1), "in [0, 1]"),
        (Range(0, 5, open_low=True), "in (0, 5]"),
        (Range(0, 5, open_high=True), "in [0, 5)"),
        (Range(low=0), "in [0, inf)"),
        (Range(high=0, open_high=True), "in (-inf, 0)"),
        (Range(low=2, integer=True), "an integer in [2, inf)"),
        (Range(0, 1, optional=True), "in [0, 1] or None"),
        (Range(0.25, 0.5), "in [0.25, 0.5]"),
    ],
)
def test_text(limit, text):
    assert str(limit) == text


LIMITS = {"rate": Range(0, 1, hint="Give a share, not percent.")}


@pytest.mark.parametrize(
    "value", [0, 1, 0.5, np.float32(0.5), np.float64(1), np.int64(1), np.array(0.5)]
)
def test_good_values_pass(value):
    check("Owner", LIMITS, rate=value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (40, "rate=40"),
        (-0.1, "rate=-0.1"),
        (math.nan, "rate=nan"),
        (math.inf, "rate=inf"),
        (np.float64(1.5), "rate=1.5"),
        (np.float32(2), "rate=2.0"),
    ],
)
def test_values_outside(value, shown):
    with pytest.raises(ValueError, match="Owner") as raised:
        check("Owner", LIMITS, rate=value)
    expected = (
        f"Owner: `rate` must be in [0, 1]. Received: {shown}. "
        "Give a share, not percent."
    )
    assert str(raised.value) == expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "rate=True"),
        (np.bool_(True), "rate=True"),
        ("0.5", "rate='0.5'"),
        (None, "rate=None"),
        ([0.5], r"rate=[0.5]"),
        (np.array([0.5]), "rate=[0.5]"),
        (1j, "rate=1j"),
    ],
)
def test_values_of_another_kind(value, shown):
    with pytest.raises(TypeError, match="Owner") as raised:
        check("Owner", LIMITS, rate=value)
    expected = (
        f"Owner: `rate` must be a number. Received: {shown}. Give a share, not percent."
    )
    assert str(raised.value) == expected


def test_none_where_it_is_allowed():
    check("Owner", {"eta": Range(low=0, optional=True)}, eta=None)


def test_parameters_without_a_range_are_not_looked_at():
    check("Owner", LIMITS, other="anything")
    check("Owner", LIMITS)


@pytest.mark.parametrize("value", [0.5, 1.5])
def test_variables_are_held_to_their_range(value):
    variable = keras.Variable(value, trainable=False)
    if value <= 1:
        check("Owner", LIMITS, rate=variable)
    else:
        with pytest.raises(ValueError, match=r"Owner: `rate` .*rate=1\.5"):
            check("Owner", LIMITS, rate=variable)


def test_what_is_a_variable():
    assert is_variable(keras.Variable(1.0))
    assert is_variable(keras.ops.convert_to_tensor(1.0))
    for plain in (1, 1.0, np.float32(1), np.ones(3), [1.0], None, "q"):
        assert not is_variable(plain)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1.5, 1.5),
        (None, None),
        ([1, 2], [1, 2]),
        (np.float32(0.5), 0.5),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_current_value(value, plain):
    assert current_value(value) == plain
    assert type(current_value(value)) is type(plain)


def test_current_value_of_a_variable():
    variable = keras.Variable(0.5)
    variable.assign(0.25)
    assert current_value(variable) == 0.25
    assert type(current_value(variable)) is float
    assert current_value(keras.Variable([1.0, 2.0])) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("kind", "base"), [(ParameterError, ValueError), (ParameterTypeError, TypeError)]
)
def test_an_error_has_its_parts(kind, base):
    error = kind("Owner", "n", 2, Range(low=3, integer=True), "Add one.")
    assert isinstance(error, base)
    assert (error.owner, error.name, error.value) == ("Owner", "n", 2)
    assert (str(error.constraint), error.hint) == ("an integer in [3, inf)", "Add one.")
    text = "Owner: `n` must be an integer in [3, inf). Received: n=2. Add one."
    assert str(error) == text
    copy = pickle.loads(pickle.dumps(error))  # as from a worker process
    assert (type(copy), str(copy), vars(copy)) == (kind, text, vars(error))


def test_error_without_a_hint_ends_after_the_value():
    text = "Owner: `n` must be odd. Received: n=2."
    assert str(ParameterError("Owner", "n", 2, "odd")) == text


def test_an_error_keeps_its_type_inside_layers_and_graphs():
    layer = TemperedSoftmax(keras.Variable(1.2, trainable=False))
    layer.temperature.assign(-1.0)
    x = keras.ops.ones((1, 3))
    message = r"^tempered_softmax: `temperature` must be in .* Received: .*-1\.0"
    with pytest.raises(ParameterError, match=message):
        layer(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with pytest.raises(ParameterError, match=message):
            tf.function(lambda x: tempered_softmax(x, -1.0))(x)
