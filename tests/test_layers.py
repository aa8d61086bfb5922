"""The layer that ends a bi-tempered model."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss.layers import TemperedSoftmax
from tfrobustloss.losses import BiTemperedLogistic, tempered_softmax

LOGITS = np.array([[2.0, 0.0, -1.0]], "float32")


def test_values():
    # losses.md A10
    p = numpy(TemperedSoftmax(1.2)(LOGITS))
    np.testing.assert_allclose(p, [[0.76593897, 0.15346735, 0.08059368]], atol=1e-7)


def test_saved_models_load_without_custom_objects(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), TemperedSoftmax(1.7, name="tail")]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    assert again.get_layer("tail").temperature == 1.7
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))


def test_config():
    layer = TemperedSoftmax(1.5, name="tail", dtype="float16")
    again = TemperedSoftmax.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.temperature, again.name) == (1.5, "tail")
    assert again.compute_dtype == "float16"


def test_a_variable_temperature_saves_its_value():
    temperature = keras.Variable(1.5, trainable=False)
    layer = TemperedSoftmax(temperature)
    before = numpy(layer(LOGITS))
    temperature.assign(4.0)
    after = numpy(layer(LOGITS))
    np.testing.assert_allclose(after, numpy(tempered_softmax(LOGITS, 4.0)), atol=1e-6)
    assert np.abs(after - before).max() > 0.1
    assert layer.get_config()["temperature"] == 4.0


def test_a_model_with_a_variable_temperature_saves_and_loads(tmp_path):
    temperature = keras.Variable(1.5, trainable=False)
    layer = TemperedSoftmax(temperature)
    model = keras.Sequential([keras.Input((3,)), layer])
    temperature.assign(2.0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(again(LOGITS)), numpy(model(LOGITS)), atol=1e-7)


def test_mask_passes():
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(5, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, TemperedSoftmax(1.2)(embedded))
    outputs = model(np.array([[1, 2, 0], [3, 0, 0]]))
    mask = numpy(outputs._keras_mask)
    assert mask.tolist() == [[True, True, False], [True, False, False]]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = TemperedSoftmax(1.2, dtype=policy)
    p = layer(ops.convert_to_tensor(LOGITS))
    assert keras.backend.standardize_dtype(p.dtype) == policy.removeprefix("mixed_")
    expected = numpy(tempered_softmax(LOGITS, 1.2))
    np.testing.assert_allclose(numpy(ops.cast(p, "float32")), expected, rtol=2**-8)


def test_shapes():
    layer = TemperedSoftmax(1.2)
    assert layer.compute_output_shape((None, 7, 3)) == (None, 7, 3)
    symbolic = layer(keras.Input((7, 3)))
    assert symbolic.shape == (None, 7, 3)
    assert layer(ops.zeros((2, 7, 3))).shape == (2, 7, 3)
    assert not layer.weights


def test_a_float_of_another_width():
    layer = TemperedSoftmax(1.2, dtype="float64")
    assert layer.compute_dtype == "float64"


def test_trains_with_its_loss():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 64)
    x = (np.eye(3)[y] + generator.normal(0, 0.2, (64, 3))).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3), TemperedSoftmax(1.2)]
    )
    model.compile(keras.optimizers.Adam(0.1), BiTemperedLogistic(0.8, 1.2))
    history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.parametrize("temperature", [0, -1.0, 5.5, float("nan")])
def test_temperature_outside_its_range(temperature):
    message = r"TemperedSoftmax: `temperature` must be in \(0, 5\]. Received: temp"
    with pytest.raises(ValueError, match=message):
        TemperedSoftmax(temperature)


@pytest.mark.parametrize("temperature", ["1.2", None, True])
def test_temperature_of_another_kind(temperature):
    message = "TemperedSoftmax: `temperature` must be a number. Received"
    with pytest.raises(TypeError, match=message):
        TemperedSoftmax(temperature)


def test_a_misspelt_argument():
    with pytest.raises((TypeError, ValueError), match="temprature"):
        TemperedSoftmax(1.2, temprature=3)
