"""Values of the perceptual loss, and the network that it looks through."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.values import numpy
from tfrobustloss import losses

RANDOM = np.random.default_rng(0)
TRUE, PRED = RANDOM.uniform(0, 1, (2, 3, 6, 5, 3)).astype("float32")


def small_network(dtype="float32"):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="one", dtype=dtype),
            keras.layers.Dropout(0.5, name="noise", dtype=dtype),
            keras.layers.Conv2D(2, 2, name="two", dtype=dtype),
            keras.layers.GlobalAveragePooling2D(name="unused", dtype=dtype),
        ]
    )


def by_hand(network, parameters, style=None):
    """The formula in numpy: content layer two, style layers one and two."""

    def maps(images):
        inner = keras.Model(
            network.inputs[0], [network.get_layer(n).output for n in ("one", "two")]
        )
        return [numpy(m).astype("float64") for m in inner(images, training=False)]

    def gram(m):
        return np.einsum("nhwc,nhwd->ncd", m, m) / np.prod(m.shape[1:])

    true, pred = maps(TRUE), maps(PRED)
    wanted = true if style is None else maps(style[None])
    content = ((pred[1] - true[1]) ** 2).mean((1, 2, 3))
    styles = 0
    for a, b in zip(pred, wanted, strict=True):
        apart = ((gram(a) - gram(b)) ** 2).sum((1, 2))
        styles += apart / (a.shape[-1] ** 2 if parameters.get("mean_gram", True) else 1)
    x = PRED.astype("float64")
    down = x[:, 1:, :-1] - x[:, :-1, :-1]
    right = x[:, :-1, 1:] - x[:, :-1, :-1]
    variation = (down**2 + right**2).sum((1, 2, 3)) / 2
    return (
        parameters.get("content_weight", 1.0) * content
        + parameters.get("style_weight", 5.0) * styles
        + parameters.get("total_variation_weight", 1e-6) * variation
    )


LAYERS = {"content_layers": ["two"], "style_layers": ["one", "two"]}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"content_weight": 0.0, "style_weight": 2.0, "mean_gram": False},
        {"style_weight": 0.0, "total_variation_weight": 0.5},
    ],
)
def test_values(parameters):
    network = small_network()
    loss = losses.Perceptual(network, **LAYERS, **parameters, reduction=None)
    expected = by_hand(network, parameters)
    np.testing.assert_allclose(numpy(loss(TRUE, PRED)), expected, rtol=1e-5)


def test_equal_images_cost_their_variation_only():
    loss = losses.Perceptual(small_network(), **LAYERS, total_variation_weight=0.0)
    assert float(loss(TRUE, TRUE)) == 0


def test_total_variation_is_that_of_the_authors_gradient():
    # the gradient in jcjohnson/fast-neural-style's TotalVariation.lua, by hand
    def loss(images):
        return losses.perceptual(
            0 * images, images, lambda x: ([], []), total_variation_weight=1.0
        )

    x = PRED.astype("float64")
    down = x[:, :-1, :-1] - x[:, 1:, :-1]
    right = x[:, :-1, :-1] - x[:, :-1, 1:]
    expected = np.zeros_like(x)
    expected[:, :-1, :-1] += down + right
    expected[:, 1:, :-1] -= down
    expected[:, :-1, 1:] -= right
    np.testing.assert_allclose(gradient(loss, PRED), expected, rtol=1e-4, atol=1e-6)


def test_style_of_one_image_of_another_size():
    style = RANDOM.uniform(0, 1, (9, 8, 3)).astype("float32")
    network = small_network()
    loss = losses.Perceptual(network, **LAYERS, style_image=style, reduction=None)
    values = numpy(loss(TRUE, PRED))
    np.testing.assert_allclose(values, by_hand(network, {}, style), rtol=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    np.testing.assert_array_equal(numpy(again(TRUE, PRED)), values)


def test_the_network_is_a_frozen_copy_in_float32():
    network = small_network("mixed_float16")
    loss = losses.Perceptual(network, **LAYERS, reduction=None)
    exact = losses.Perceptual(small_network(), **LAYERS, reduction=None)
    expected = numpy(exact(TRUE, PRED))
    np.testing.assert_allclose(numpy(loss(TRUE, PRED)), expected, rtol=1e-6)
    half = ops.cast(PRED, "float16")
    values = loss(TRUE, half)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    assert np.isfinite(gradient(lambda x: loss(TRUE, x), PRED)).all()
    # its own weights: what becomes of the given network does not matter
    network.set_weights([0 * weight for weight in network.get_weights()])
    assert all(layer.trainable for layer in network.layers)
    np.testing.assert_allclose(numpy(loss(TRUE, PRED)), expected, rtol=1e-6)


def _normalized():
    images = np.random.default_rng(1).uniform(0, 255, (4, 6, 5, 3))
    layer = keras.layers.Normalization(name="scaled")
    layer.adapt(images)
    return keras.Sequential([keras.Input((6, 5, 3)), layer])


def _with_operations():
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(2, 3, name="head")(inputs / 127.5 - 1.0)
    return keras.Model(inputs, keras.layers.Activation("relu", name="out")(ops.abs(x)))


def _nested():
    inner = [keras.Input((6, 5, 3)), keras.layers.Conv2D(4, 3)]
    inner += [keras.layers.BatchNormalization(), keras.layers.Conv2D(4, 1)]
    inner = keras.Sequential(inner, name="inner")
    inner.compile("sgd", "mse")  # how to train it must not travel
    outer = [keras.Input((6, 5, 3)), keras.layers.Rescaling(1 / 255), inner]
    return keras.Sequential([*outer, keras.layers.Conv2D(2, 2, name="out")])


@keras.saving.register_keras_serializable(package="test_perceptual")
class _Block(keras.layers.Layer):
    """Makes its layer with the policy of the moment, as most people's do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = keras.layers.Conv2D(2, 3)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class _Unregistered(_Block):
    pass


def _block(kind=_Block):
    return keras.Sequential([keras.Input((6, 5, 3)), kind(name="out")])


def _integers():
    inputs = keras.Input((6, 5, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, name="out")(x))


NETWORKS = {
    "normalized": (_normalized, "scaled"),
    "operations": (_with_operations, "out"),
    "nested": (_nested, "out"),
    "block": (_block, "out"),
    "unregistered": (lambda: _block(_Unregistered), "out"),
    "integers": (_integers, "out"),
}


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_any_network_is_seen_through_as_it_is(kind, policy):
    make, layer = NETWORKS[kind]
    keras.utils.set_random_seed(2)
    exact = make()
    random = np.random.default_rng(3)
    exact.set_weights([w + random.uniform(0, 1, w.shape) for w in exact.get_weights()])
    if kind == "normalized":
        exact.layers[-1].finalize_state()
    true, pred = random.integers(0, 255, (2, 3, 6, 5, 3)).astype("float32")
    maps = [numpy(exact(x, training=False)) for x in (true, pred)]
    expected = ((maps[0] - maps[1]) ** 2).mean((1, 2, 3))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = make()
        network.set_weights(exact.get_weights())
        loss = losses.Perceptual(
            network, [layer], total_variation_weight=0.0, reduction=None
        )
        kept = [loss]
        if kind != "unregistered":
            stored = json.loads(json.dumps(keras.losses.serialize(loss)))
            kept.append(keras.losses.deserialize(stored))
        assert keras.config.dtype_policy().name == policy
    finally:
        keras.config.set_dtype_policy(before)
    for each in kept:
        np.testing.assert_allclose(numpy(each(true, pred)), expected, rtol=1e-5)
    # not in a type that overflows: the scale of images is the scale of the loss
    if kind not in ("normalized", "integers"):
        assert np.isfinite(numpy(loss(1e4 * true, pred))).all()
    assert np.any(gradient(lambda x: loss(true, x), pred))


def test_training_leaves_the_network_alone():
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Conv2D(3, 1)])
    loss = losses.Perceptual(small_network(), **LAYERS)
    before = loss.network.config()
    model.compile(keras.optimizers.Adam(0.05), loss)
    history = model.fit(TRUE, TRUE, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert loss.network.config() == before


def test_a_path(tmp_path):
    network = small_network()
    network.save(tmp_path / "eyes.keras")
    loss = losses.Perceptual(str(tmp_path / "eyes.keras"), **LAYERS)
    assert loss.get_config()["feature_extractor"] == str(tmp_path / "eyes.keras")
    given = losses.Perceptual(network, **LAYERS)
    assert float(loss(TRUE, PRED)) == float(given(TRUE, PRED))


def test_damaged_weights_are_noticed():
    stored = json.dumps(
        keras.losses.serialize(losses.Perceptual(small_network(), **LAYERS))
    )
    stored = json.loads(stored)
    stored["config"]["feature_extractor"]["weights"] = "AAAA"
    with pytest.raises(ValueError, match="weights in the config are damaged"):
        keras.losses.deserialize(stored)


def test_vgg16_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"for 'vgg16' in .*notop.h5.*VGG16\("):
        losses.Perceptual()


def test_vgg16_by_name(monkeypatch):
    # a network with the names of VGG16's layers stands for it: the weights are 58 MB
    def stand_in(**arguments):
        assert arguments["include_top"] is False
        x = inputs = keras.Input((None, None, 3))
        for name in (
            "block1_conv2",
            "block2_conv2",
            "block3_conv3",
            "block4_conv3",
        ):
            x = keras.layers.Conv2D(2, 1, name=name)(x)
        return keras.Model(inputs, x)

    keras.utils.set_random_seed(0)
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: True)
    monkeypatch.setattr(keras.applications, "VGG16", stand_in)
    loss = losses.Perceptual("vgg16")
    assert loss.get_config()["feature_extractor"] == "vgg16"
    content, style = loss.network(255 * TRUE)
    assert (len(content), len(style)) == (1, 4)
    # against Keras' own preprocessing
    first = loss.network._model.get_layer("block1_conv2")
    prepared = keras.applications.vgg16.preprocess_input(255 * TRUE)
    np.testing.assert_allclose(numpy(style[0]), numpy(first(prepared)), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"content_layers": ["three"]}, ValueError, "content_layers"),
        ({}, ValueError, "content_layers"),
        ({"feature_extractor": "resnet"}, ValueError, "feature_extractor"),
        ({"feature_extractor": 3}, TypeError, "feature_extractor"),
        ({"feature_extractor": {"weights": ""}}, ValueError, "feature_extractor"),
        ({"feature_extractor": "no.keras"}, ValueError, "feature_extractor"),
        ({**LAYERS, "style_image": np.zeros((4, 4))}, ValueError, "style_image"),
        ({**LAYERS, "style_weight": -1}, ValueError, "style_weight"),
        ({"content_layers": "two"}, ValueError, "content_layers"),
        ({"style_layers": ["unused"]}, ValueError, "style_layers"),
        ({**LAYERS, "style_image": np.zeros((4, 4, 1))}, ValueError, "style_image"),
        (
            {**LAYERS, "style_image": np.full((4, 4, 3), np.nan)},
            ValueError,
            "style_image",
        ),
        (
            {"feature_extractor": keras.Sequential(), **LAYERS},
            ValueError,
            "feature_extractor",
        ),
        (
            {"feature_extractor": keras.Model(), **LAYERS},
            ValueError,
            "feature_extractor",
        ),
    ],
)
def test_refused(arguments, error, named):
    arguments = {"feature_extractor": small_network(), **arguments}
    with pytest.raises(error, match=rf"Perceptual: `{named}` must be"):
        losses.Perceptual(**arguments)
