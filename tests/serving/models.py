"""Small networks for the tests of serving."""

import keras

from tfrobustloss import layers, losses

CLASS_NAMES = ["ant", "bee", "čmelák"]

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
}


def image_model(name):
    """A network on images of 8 x 8 pixels, with layers that act in training only."""
    keras.utils.set_random_seed(0)
    last, loss, _ = ENDINGS[name]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.RandomFlip(),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GaussianNoise(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(len(CLASS_NAMES), kernel_initializer="random_normal"),
            *[make() for make in last],
        ]
    )
    model.compile("adam", loss())
    return model


def vector_model(loss=None, **last_layer):
    """A network on two numbers, with three classes."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, **last_layer)])
    if loss is not None:
        model.compile("sgd", loss)
    return model
