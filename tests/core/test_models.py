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
