"""The T-loss whose degrees of freedom are learned."""

import math
import os

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss.training import LearnedTLoss


def network(channels=1, activation="sigmoid"):
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(channels, activation=activation)
    return keras.Sequential([keras.Input((4, 4, 1)), head])


def squares(count=48, wrong=0.0, seed=0):
    """Images of noise with a bright half; a share of the masks is inverted."""
    random = np.random.default_rng(seed)
    mask = np.zeros((count, 4, 4, 1))
    mask[:, :, 2:] = 1
    x = mask + random.normal(0, 0.3, mask.shape)
    spoilt = random.permutation(count) < wrong * count
    mask[spoilt] = 1 - mask[spoilt]
    return x.astype("float32"), mask.astype("float32")


def test_the_first_loss_is_that_of_the_fixed_form():
    model = LearnedTLoss(network(), scale=0.5)
    assert model.nu == pytest.approx(math.e, rel=1e-6)
    model.compile("sgd", run_eagerly=True)
    x, mask = squares(5)
    expected = numpy(losses.TLoss(math.e, 0.5)(mask, model(x)))
    received = model.evaluate(x, mask, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    weights = np.float32([0, 2, 1, 0, 1])
    expected = numpy(losses.TLoss(math.e, 0.5)(mask, model(x), weights))
    received = model.evaluate(x, mask, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_it_learns_how_much_to_doubt():
    """Student's t needs few degrees of freedom for the inverted masks alone."""
    nu = {}
    for wrong in (0.0, 0.25):
        # a scale of the good masks' errors, so that these are Gaussian
        model = LearnedTLoss(network(), scale=0.15, initial_nu=30.0)
        jit = keras.backend.backend() == "jax"  # elsewhere compiling takes longer
        model.compile(keras.optimizers.Adam(0.05), jit_compile=jit)
        repeated = (np.tile(each, (100, 1, 1, 1)) for each in squares(wrong=wrong))
        model.fit(*repeated, batch_size=48, shuffle=False, verbose=0)
        nu[wrong] = model.nu
        x, clean = squares(seed=1)
        found = model.predict(x, verbose=0) > 0.5
        assert (found == (clean > 0.5)).mean() > 0.9
    assert nu[0.25] < 0.5 * nu[0.0]


def test_saves_and_loads(tmp_path):
    model = LearnedTLoss(network(2, "softmax"), 3.0, classes=[1], name="doubting")
    model.compile("adam")
    x, mask = squares(8)
    mask = np.concatenate([1 - mask, mask], axis=-1)
    model.fit(x, mask, verbose=0)
    assert model.nu != pytest.approx(3.0, rel=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, LearnedTLoss)
    for name in LearnedTLoss.names:
        assert getattr(again, name) == getattr(model, name)
    assert again.classes == [1]
    assert again.nu == model.nu
    np.testing.assert_allclose(numpy(again(x)), numpy(model(x)), atol=1e-6)
    again.fit(x, mask, verbose=0)


@pytest.mark.parametrize(("channels", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_logits_get_their_activation(channels, activation):
    x = squares(2)[0]
    inner = network(channels, None)
    model = LearnedTLoss(inner, from_logits=True)
    expected = numpy(getattr(ops, activation)(inner(x)))
    np.testing.assert_allclose(numpy(model(x)), expected, atol=1e-6)
    np.testing.assert_allclose(numpy(model.exported_model()(x)), expected, atol=1e-6)
    assert len(model.exported_model().weights) == len(model.weights) - 1
    plain = network()
    assert LearnedTLoss(plain).exported_model() is plain


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports a SavedModel"
)
def test_nu_is_gone_from_the_export(tmp_path):
    import tensorflow as tf

    from tfrobustloss import serving

    model = LearnedTLoss(network(2, None), from_logits=True)
    path = serving.export(model, tmp_path / "served")
    stored = tf.train.list_variables(os.path.join(path, "variables", "variables"))
    assert sorted(tuple(shape) for name, shape in stored if "/.ATTRIBUTES" in name) == [
        (1, 2),
        (2,),
    ]
    x = squares(2)[0]
    served = tf.saved_model.load(path).signatures["serving_default"]
    received = served(inputs=tf.constant(x))["probabilities"]
    np.testing.assert_allclose(received, numpy(model(x)), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_nu": 0}, r"`initial_nu` must be in \[0.01"),
        ({"scale": -1.0}, r"`scale` must be in \[0.001"),
        ({"from_logits": 1}, "`from_logits` must be True or False"),
        ({"speed": -1}, r"`speed` must be in \(0"),
    ],
)
def test_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=f"LearnedTLoss: .*{message}"):
        LearnedTLoss(network(), **options)


def test_channels_that_are_not_there():
    with pytest.raises(ValueError, match="`classes` must be"):
        LearnedTLoss(network(), classes=[-1])


def test_a_loss_of_compile_is_refused():
    model = LearnedTLoss(network())
    model.compile("adam", losses.TLoss(), run_eagerly=True)
    with pytest.raises(ValueError, match="`loss` must be None.*LearnedTLoss's own"):
        model.fit(*squares(4), verbose=0)
