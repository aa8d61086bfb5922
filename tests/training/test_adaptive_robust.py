"""Regression whose loss learns its shape and scale."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss.training import AdaptiveRobust


def network(outputs=1, inputs=1):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def line(count=512, noise=0.3, outliers=0.0, seed=0):
    """y = 2 x + 1 with Gaussian noise, and a share of y that is far too large."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (count, 1))
    y = 2 * x + 1 + random.normal(0, noise, (count, 1))
    wrong = random.permutation(count) < outliers * count
    y[wrong] += random.uniform(5, 15, (wrong.sum(), 1))
    return x.astype("float32"), y.astype("float32")


def fit(model, x, y, loss=None, steps=200):
    """Trains by steps on all the data, in one epoch: each costs as many as a few."""
    jit = keras.backend.backend() == "jax"  # elsewhere compiling takes longer
    model.compile(keras.optimizers.Adam(0.05), loss, jit_compile=jit)
    repeated = (np.tile(each, (steps, 1)) for each in (x, y))
    model.fit(*repeated, batch_size=len(x), shuffle=False, verbose=0)
    return model


def error(model):
    """Root mean squared distance from the line."""
    x = np.linspace(-1, 1, 50, dtype="float32")[:, None]
    return np.sqrt(np.mean((numpy(model(x)) - (2 * x + 1)) ** 2))


def test_the_noise_of_gaussian_data():
    model = fit(AdaptiveRobust(network(), speed=5.0), *line(2048, noise=0.3))
    assert model.scale[0] == pytest.approx(0.3, rel=0.1)
    assert model.alpha[0] > 1.7
    assert error(model) < 0.05


def test_outliers():
    x, y = line(outliers=0.2)
    model = fit(AdaptiveRobust(network(), speed=5.0), x, y)
    assert model.alpha[0] < 0.7
    assert model.scale[0] < 0.4
    squared = fit(network(), x, y, "mse")
    # the mean of 20 % of outliers of 10 on average is off by 2
    assert error(model) < 0.1 < 1 < error(squared)


def test_each_output_has_its_own():
    x, gaussian = line(seed=1)
    _, spoilt = line(seed=1, outliers=0.2)
    model = AdaptiveRobust(network(2), speed=5.0)
    fit(model, x, np.concatenate([gaussian, spoilt], axis=1))
    assert model.alpha.shape == model.scale.shape == (2,)
    assert model.alpha[0] > model.alpha[1] + 0.7
    shared = AdaptiveRobust(network(2), shared=True)
    assert shared.alpha.shape == shared.scale.shape == (1,)


def test_first_values_and_the_loss_by_hand():
    options = {"initial_alpha": 0.5, "initial_scale": 0.2, "speed": 3.0}
    model = AdaptiveRobust(network(2, 2), **options)
    np.testing.assert_allclose(model.alpha, [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(model.scale, [0.2, 0.2], rtol=1e-5)
    model.compile("sgd", metrics=["mae"], run_eagerly=True)
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(4, 2)).astype("float32") for _ in "xy")
    fixed = losses.GeneralRobust(0.5, 0.2, normalized=True)
    expected = float(numpy(fixed(y, model(x))))
    received = model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(received["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(received["mae"], np.abs(numpy(model(x)) - y).mean())
    weights = np.float32([0, 1, 2, 0])
    expected = float(numpy(fixed(y, model(x), weights)))
    received = model.evaluate(x, y, sample_weight=weights, verbose=0)[0]
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_targets_without_a_last_axis():
    x, y = line(32)
    model = AdaptiveRobust(network())
    model.compile("sgd", run_eagerly=True)
    both = [model.evaluate(x, each, verbose=0) for each in (y, y[:, 0])]
    np.testing.assert_allclose(*both, rtol=1e-6)


def test_penalties_of_layers_count():
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(10.0))
    inner = keras.Model(inputs, dense(inputs))
    model = AdaptiveRobust(inner)
    model.compile("sgd", run_eagerly=True)
    x, y = line(16)
    alone = losses.GeneralRobust(1.0, normalized=True)(y, model(x))
    penalty = 10 * np.square(inner.get_weights()[0]).sum()
    received = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(received, float(numpy(alone)) + penalty, rtol=1e-5)


def test_at_the_ends_it_goes_on():
    """Errors of 0 pull the scale down to its least, and alpha stays inside."""
    x = np.zeros((8, 1), "float32")
    model = AdaptiveRobust(network(), min_scale=0.01, speed=1e3)
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    model.fit(x, x, epochs=3, verbose=0)
    assert model.scale[0] == pytest.approx(0.01, rel=1e-3)
    assert 0 <= model.alpha[0] <= 2
    for weights in ([1e3], [-1e3]):
        model.alpha_weights.assign(weights)
        model.scale_weights.assign(weights)
        assert np.isfinite(model.evaluate(x, x + 1, verbose=0))
        model.fit(x, x + 1, verbose=0)
        assert all(np.isfinite(each).all() for each in model.get_weights())


def test_saves_and_loads(tmp_path):
    model = AdaptiveRobust(network(), initial_alpha=1.5, min_scale=1e-3, name="robust")
    model.compile("adam")
    x, y = line(64)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, AdaptiveRobust)
    for name in AdaptiveRobust.names:
        assert getattr(again, name) == getattr(model, name)
    np.testing.assert_array_equal(again.alpha, model.alpha)
    np.testing.assert_array_equal(again.scale, model.scale)
    np.testing.assert_allclose(numpy(again(x)), numpy(model(x)), atol=1e-6)
    again.fit(x, y, verbose=0)


def test_it_is_gone_from_the_exported_model():
    inner = network()
    model = AdaptiveRobust(inner)
    assert model.exported_model() is inner
    assert len(model.weights) == len(inner.weights) + 2


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports a SavedModel"
)
def test_export(tmp_path):
    import tensorflow as tf

    model = AdaptiveRobust(network())
    model.compile("adam")
    x, y = line(8)
    model.fit(x, y, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    assert len(loaded.variables) == 2
    np.testing.assert_allclose(loaded.serve(x), numpy(model(x)), atol=1e-6)


def test_mixed_precision():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = AdaptiveRobust(network())
        model.compile("adam", run_eagerly=True)
        model.fit(*line(16), verbose=0)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert all(np.isfinite(each).all() for each in model.get_weights())
    standard = keras.backend.standardize_dtype
    assert standard(model(ops.ones((1, 1))).dtype) == "bfloat16"


def _two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: 3, {}, "`model` must be a `keras.Model`"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), {}, "must be built"),
        (_two_outputs, {}, "one output of shape"),
        (network, {"initial_alpha": 2.0}, r"`initial_alpha` must be in \(0, 2\)"),
        (network, {"initial_scale": 0}, r"`initial_scale` must be in \[1e-05"),
        (network, {"min_scale": 0}, r"`min_scale` must be in \[1e-06, 1\]"),
        (
            network,
            {"min_scale": 0.5, "initial_scale": 0.5},
            "`initial_scale` must be above `min_scale`, 0.5",
        ),
        (network, {"shared": "no"}, "`shared` must be True or False"),
        (network, {"speed": 0}, r"`speed` must be in \(0"),
    ],
)
def test_refused(model, options, message):
    with pytest.raises((ValueError, TypeError), match=f"AdaptiveRobust: .*{message}"):
        AdaptiveRobust(model(), **options)


def test_a_loss_of_compile_is_refused():
    model = AdaptiveRobust(network())
    model.compile("adam", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match=r"`loss` must be None.*AdaptiveRobust's own"):
        model.fit(*line(4), verbose=0)
