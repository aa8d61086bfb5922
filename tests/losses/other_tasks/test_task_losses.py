"""The contract of the losses that are not for classification: rows x promises."""

import copy
import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences, needs_float64
from tests.losses.other_tasks.task_rows import TASK_ROWS
from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss.testing import LossTraits, check_limits

pytestmark = pytest.mark.parametrize("row", TASK_ROWS, ids=lambda row: row.name)


def data_of(row):
    return row.data(np.random.default_rng(0))


def with_gradient(loss, y_true, y_pred):
    """Values of a batch and the gradient of their sum, as arrays."""
    function = backend.with_gradient(lambda y_pred: loss(y_true, y_pred))
    value, (slope,) = function(ops.convert_to_tensor(y_pred))
    return numpy(value), numpy(slope)


@pytest.mark.numerics
def test_one_finite_value_per_example(row):
    y_true, y_pred = data_of(row)
    values = numpy(row.build(reduction=None)(y_true, y_pred))
    assert values.shape == row.shape
    assert np.isfinite(values).all()
    assert np.ptp(values) > 0


def test_reductions_and_weights(row):
    y_true, y_pred = data_of(row)
    values = numpy(row.build(reduction=None)(y_true, y_pred))
    total = numpy(row.build(reduction="sum")(y_true, y_pred))
    np.testing.assert_allclose(total, values.sum(), rtol=1e-5, atol=1e-5)
    counted = row.build().counted(y_true)
    counted = np.ones(row.shape, bool) if counted is None else numpy(counted)
    mean = numpy(row.build()(y_true, y_pred))
    np.testing.assert_allclose(mean, values[counted].mean(), rtol=1e-5, atol=1e-5)
    weights = np.arange(values.size, dtype="float32").reshape(row.shape) - 1
    weighted = numpy(row.build(reduction=None)(y_true, y_pred, weights))
    np.testing.assert_allclose(weighted, values * weights, rtol=1e-5, atol=1e-6)


def test_empty_batches(row):
    if row.loss_class is losses.Perceptual:
        pytest.skip("it is up to the network, and convolutions refuse them")
    y_true, y_pred = (each[:0] for each in data_of(row))
    values, slope = with_gradient(row.build(reduction=None), y_true, y_pred)
    assert values.shape == (0, *row.shape[1:])
    assert slope.shape == y_pred.shape
    assert numpy(row.build(reduction="sum")(y_true, y_pred)).sum() == 0


def test_config_and_copies(row):
    y_true, y_pred = data_of(row)
    options = ({}, row.others, {"reduction": "sum", "name": "x", "dtype": "float16"})
    for changed in options:
        loss = row.build(**changed)
        stored = json.dumps(keras.losses.serialize(loss))
        others = keras.losses.deserialize(json.loads(stored)), copy.copy(loss)
        for other in (*others, copy.deepcopy(loss)):
            assert type(other) is row.loss_class
            assert other.get_config() == loss.get_config()
            assert (other.name, other.dtype) == (loss.name, loss.dtype)
    # with equal configs, the values of one of each kind of copy
    expected = numpy(loss(y_true, y_pred))
    for other in (*others, copy.deepcopy(loss)):
        np.testing.assert_array_equal(numpy(other(y_true, y_pred)), expected)
    config = row.build(**row.others).get_config()
    assert {key: config[key] for key in row.others} == row.others


def test_save_and_load(row, tmp_path):
    y_true, y_pred = data_of(row)
    model = keras.Sequential([keras.Input(y_pred.shape[1:])])
    model.add(keras.layers.Activation("linear"))
    model.compile("sgd", row.build())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").loss
    assert type(loaded) is row.loss_class
    expected = numpy(row.build()(y_true, y_pred))
    np.testing.assert_array_equal(numpy(loaded(y_true, y_pred)), expected)


@pytest.mark.numerics
def test_compiled(row):
    """As an eager call, and finite where some or all of the predictions are extreme."""
    y_true, y_pred = data_of(row)
    loss, mean = row.build(reduction=None), row.build()
    function = backend.with_gradient(
        lambda y_pred: ops.append(loss(y_true, y_pred), mean(y_true, y_pred))
    )
    programs = [backend.compiled(function)]
    if keras.backend.backend() == "tensorflow":  # JAX has one compiler, PyTorch none
        programs.append(backend.compiled(programs[0], xla=True))
    value, (slope,) = function(ops.convert_to_tensor(y_pred))
    for program in programs:
        received, (received_slope,) = program(ops.convert_to_tensor(y_pred))
        for one, eager in ((received, value), (received_slope, slope)):
            np.testing.assert_allclose(numpy(one), numpy(eager), rtol=1e-5, atol=1e-6)
    for value in row.extremes:
        extreme = y_pred.copy()
        extreme.reshape(-1)[::2] = value
        for given in (extreme, np.full_like(y_pred, value)):
            values, (slope,) = programs[0](ops.convert_to_tensor(given))
            assert np.isfinite(numpy(values)).all(), value
            assert np.isfinite(numpy(slope)).all(), value


@pytest.mark.numerics
@needs_float64
def test_gradient(row):
    if not row.true_slope:
        pytest.skip("not its slope, as its row says; its own tests hold it")
    y_true, y_pred = (one.astype("float64") for one in data_of(row))
    loss = row.build(dtype="float64", reduction="sum")
    with backend.double_precision():
        _, slope = with_gradient(loss, y_true, y_pred)
        value = backend.compiled(lambda y_pred: loss(y_true, y_pred))  # called often
        expected = finite_differences(
            lambda x: numpy(value(ops.convert_to_tensor(x))), y_pred, 1e-5
        )
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.numerics
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_floats(row, dtype):
    y_true, y_pred = data_of(row)
    expected = numpy(row.build(reduction=None)(y_true, y_pred))
    loss = row.build(dtype=dtype, reduction=None)
    half = ops.cast(y_pred, dtype)
    values = loss(y_true, half)
    assert keras.backend.standardize_dtype(values.dtype) == dtype
    values = numpy(ops.cast(values, "float32"))
    np.testing.assert_allclose(values, expected, rtol=0.05, atol=0.05)
    function = backend.with_gradient(lambda y_pred: loss(y_true, y_pred))
    slope = numpy(ops.cast(function(half)[1][0], "float32"))
    assert np.isfinite(slope).all()


@pytest.mark.numerics
def test_largest_half_floats(row):
    y_true, y_pred = data_of(row)
    largest = max(row.extremes)
    largest = 65504.0 if largest > 1 else largest
    half = ops.cast(np.full_like(y_pred, largest), "float16")
    loss = row.build(dtype="float16")
    function = backend.with_gradient(lambda y_pred: loss(y_true, y_pred))
    value, (slope,) = function(half)
    assert np.isfinite(numpy(value)).all()
    assert np.isfinite(numpy(slope)).all()


def test_refused(row):
    traits = LossTraits(refused=row.refused)
    assert check_limits(row.build(), traits) in (None, "declares no limits")
    with pytest.raises(TypeError):
        row.build(misspelt=1)
