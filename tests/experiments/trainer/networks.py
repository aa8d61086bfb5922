"""Small networks and data on which trainers are tested."""

import keras
import numpy as np
from keras import layers

SHAPE, CLASSES = (6, 6, 1), 3


@keras.saving.register_keras_serializable(package="tests")
class Scale(layers.Layer):
    """A layer that the trainer knows nothing of."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def network(*hidden, seed=None):
    """A model of `hidden` layers and a linear output."""
    initializer = keras.initializers.GlorotUniform(seed)
    output = layers.Dense(CLASSES, kernel_initializer=initializer)
    return keras.Sequential([keras.Input(SHAPE), *hidden, layers.Flatten(), output])


def dense():
    return network(layers.Flatten(), layers.Dense(12, "tanh"))


def unbounded():
    """Large weights make its outputs infinite."""
    return network(layers.Flatten(), layers.Dense(12, "relu"))


def unbounded_convolution():
    return network(layers.Conv2D(4, 3, activation="relu"))


def penalised():
    hidden = layers.Dense(12, "tanh", kernel_regularizer=keras.regularizers.L2(0.01))
    return network(layers.Flatten(), hidden)


def convolutional():
    return network(layers.Conv2D(4, 3, activation="tanh"), layers.MaxPooling2D())


def batch_norm():
    hidden = layers.Dense(12, "tanh"), layers.BatchNormalization(momentum=0.9)
    return network(layers.Flatten(), *hidden)


def dropout():
    hidden = layers.Dense(12, "tanh"), layers.Dropout(0.5), layers.GaussianNoise(0.1)
    return network(layers.Flatten(), *hidden)


def convolutional_with_state():
    hidden = layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Dropout(0.3)
    return network(*hidden)


def branched():
    """A functional model with two paths and a layer used twice."""
    inputs = keras.Input(SHAPE)
    flat = layers.Flatten()(inputs)
    shared = layers.Dense(12, "tanh")
    left = shared(flat)
    right = shared(layers.Activation("tanh")(flat))
    outputs = layers.Dense(CLASSES)(layers.Concatenate()([left, right]))
    return keras.Model(inputs, outputs)


def unknown():
    return network(layers.Flatten(), layers.Dense(12, "tanh"), Scale())


def examples(size, seed=0):
    """Images whose class shows in where they are bright, and class ids."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=size)
    images = rng.normal(size=(size, *SHAPE)).astype("float32")
    for class_id in range(CLASSES):
        rows = slice(2 * class_id, 2 * class_id + 2)
        images[labels == class_id, rows] += 0.7
    return images, labels
