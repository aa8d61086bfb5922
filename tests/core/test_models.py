"""Which models end in probabilities."""

import keras
import pytest

from tfrobustloss import layers
from tfrobustloss._core import models


def _vector(*last, **options):
    dense = keras.layers.Dense(3, **options)
    return keras.Sequential([keras.Input((2,)), dense, *last])


def _functional(function):
    inputs = keras.Input((2,))
    return keras.Model(inputs, function(keras.layers.Dense(3)(inputs)))


ENDING = {
    "layer": layers.TemperedSoftmax(1.2),
    "of Keras": keras.layers.Softmax(),
    "activation": _vector(activation="softmax"),
    "activation layer": _vector(keras.layers.Activation("sigmoid")),
    "last layer": _vector(layers.TemperedSoftmax(1.2)),
    "operation": _functional(keras.ops.softmax),
    "another operation": _functional(keras.ops.sigmoid),
    "inside": keras.Sequential([keras.Input((2,)), _vector(activation="sigmoid")]),
}
OTHERS = {
    "layer": keras.layers.Dense(3),
    "logits": _vector(),
    "relu": _vector(activation="relu"),
    "before the last": _vector(keras.layers.Softmax(), keras.layers.Dense(3)),
    "logarithms": _functional(keras.ops.log_softmax),
    "unbuilt": keras.Sequential(),
}


@pytest.mark.parametrize("name", ENDING)
def test_probabilities(name):
    assert models.are_probabilities(ENDING[name])


@pytest.mark.parametrize("name", OTHERS)
def test_no_probabilities(name):
    assert not models.are_probabilities(OTHERS[name])


class Subclassed(keras.Model):
    """A model whose layers are made in another order than they are used."""

    def __init__(self, last):
        super().__init__()
        self.last = last
        self.dense = keras.layers.Dense(3)
        self.probabilities = keras.layers.Softmax()  # not a part of `call`

    def call(self, x):
        return self.last(self.dense(x))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (keras.ops.relu, None),
        (keras.ops.softmax, "softmax"),
        (keras.layers.Activation("sigmoid"), "sigmoid"),
        (lambda x: keras.ops.convert_to_numpy(x), None),
    ],
)
def test_the_ending_of_a_subclassed_model(last, expected):
    model = Subclassed(last)
    assert models.ending(model) is None  # not called yet
    model(keras.ops.ones((1, 2)))
    assert models.ending(model) == expected


def test_a_tempered_softmax_of_one_unit_ends_like_a_sigmoid():
    last = [keras.layers.Dense(1), layers.TemperedSoftmax(1.2)]
    model = keras.Sequential([keras.Input((2,)), *last])
    assert models.ending(model) == "sigmoid"
    assert models.ending(ENDING["last layer"]) == "softmax"


def test_logits_of_one_unit_are_those_of_two_classes():
    one, three = (
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(n)]) for n in (1, 3)
    )
    assert models.check_logits("Task", "model", one) == 2
    assert models.check_logits("Task", "model", one, 2) == 2
    with pytest.raises(ValueError, match=r"shape \(batch, 3\)\. Received.*\(None, 1\)"):
        models.check_logits("Task", "model", one, 3)
    with pytest.raises(ValueError, match=r"\(batch, 2\) or \(batch, 1\).*\(None, 3\)"):
        models.check_logits("Task", "model", three, 2)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), True),
        ([keras.losses.BinaryCrossentropy(from_logits=True)], True),
        ({"a": "binary_crossentropy"}, False),
        ("kl_divergence", False),
        (keras.losses.binary_crossentropy, False),
        (keras.losses.Huber(), None),
        (["mse", "mae"], None),
        (None, None),
    ],
)
def test_losses_on_logits(loss, expected):
    assert models.on_logits(models.only_loss(loss)) is expected


def test_the_ending_of_an_unbuilt_model():
    last = [keras.layers.Dense(2), keras.layers.Softmax()]
    assert models.ending(keras.Sequential(last)) == "softmax"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (keras.losses.BinaryCrossentropy(), "sigmoid"),
        (keras.losses.SparseCategoricalCrossentropy(), "softmax"),
        (keras.losses.Huber(), None),
    ],
)
def test_activations_of_keras_losses(loss, expected):
    assert models.keras_activation(loss) == expected
