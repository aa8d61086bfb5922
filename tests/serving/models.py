"""Small networks for the tests of serving."""

import keras
import numpy as np

from tfrobustloss import layers, losses

CLASS_NAMES = ["ant", "bee", "čmelák"]
TWO_NAMES = ["cat", "dog"]

# name -> (last layers, loss, the function that makes probabilities of the outputs)
ENDINGS = {
    "softmax": (
        [keras.layers.Softmax],
        lambda: losses.GeneralizedCrossEntropy(),
        lambda outputs: outputs,
    ),
    "tempered_layer": (
        [lambda: layers.TemperedSoftmax(1.4)],
        lambda: losses.BiTemperedLogistic(0.8, 1.4),
        lambda outputs: outputs,
    ),
    "tempered_logits": (
        [],
        lambda: losses.BiTemperedLogistic(0.6, 1.8, from_logits=True),
        lambda outputs: losses.tempered_softmax(outputs, 1.8),
    ),
    "softmax_logits": (
        [],
        lambda: losses.SymmetricCrossEntropy(from_logits=True),
        keras.ops.softmax,
    ),
    "keras_logits": (
        [],
        lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.ops.softmax,
    ),
    "sigmoid": (
        [lambda: keras.layers.Activation("sigmoid")],
        lambda: "binary_crossentropy",
        lambda outputs: outputs,
    ),
    "sigmoid_logits": (
        [],
        lambda: keras.losses.BinaryCrossentropy(from_logits=True),
        keras.ops.sigmoid,
    ),
    "one_logit": (
        [],
        lambda: losses.SigmoidFocal(from_logits=True),
        lambda outputs: two_columns(keras.ops.sigmoid(outputs)),
    ),
    "one_tempered_logit": (
        [],
        lambda: losses.BiTemperedLogistic(0.6, 1.4, from_logits=True),
        lambda outputs: two_columns(losses.tempered_softmax(outputs, 1.4)),
    ),
    "one_tempered_unit": (
        [lambda: layers.TemperedSoftmax(1.4)],
        lambda: losses.BiTemperedLogistic(0.8, 1.4),
        lambda outputs: two_columns(outputs),
    ),
    "one_sigmoid": (
        [lambda: keras.layers.Activation("sigmoid")],
        lambda: keras.losses.BinaryCrossentropy(),
        lambda outputs: two_columns(outputs),
    ),
}


def two_columns(p):
    """Probabilities of both classes from that of the second."""
    return keras.ops.concatenate([1 - p, p], axis=-1)


def class_names(name):
    """Names of the classes of a model of `ENDINGS`."""
    return TWO_NAMES if name.startswith("one_") else CLASS_NAMES


def images():
    """Five images of 8 x 8 pixels and one channel, uint8."""
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype("uint8")


def image_model(name):
    """A network on images of 8 x 8 pixels, with layers that act in training only."""
    keras.utils.set_random_seed(0)
    last, loss, _ = ENDINGS[name]
    units = 1 if name.startswith("one_") else len(CLASS_NAMES)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomFlip(),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GaussianNoise(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(units, kernel_initializer="random_normal"),
            *[make() for make in last],
        ]
    )
    model.compile("adam", loss())
    return model


def vector_model(loss=None, units=3, **last_layer):
    """A network on two numbers, with three classes by default."""
    last = keras.layers.Dense(units, **last_layer)
    model = keras.Sequential([keras.Input((2,)), last])
    if loss is not None:
        model.compile("sgd", loss)
    return model
