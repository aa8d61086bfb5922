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


def convolutional():
    return network(layers.Conv2D(4, 3, activation="tanh"), layers.MaxPooling2D())


def random():
    """One program; its batches may not be padded, and it draws random numbers."""
    hidden = layers.Dense(12, "tanh"), layers.BatchNormalization(momentum=0.9)
    return network(layers.Flatten(), *hidden, layers.Dropout(0.5))


def unknown():
    """Stepwise, with state, random numbers and a layer that the trainer never saw."""
    hidden = layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Dropout(0.3)
    return network(*hidden, layers.MaxPooling2D(), layers.Flatten(), Scale())


def branched():
    """A penalty, two paths and a layer used twice; its batches may be padded."""
    inputs = keras.Input(SHAPE)
    flat = layers.Flatten()(inputs)
    penalty = keras.regularizers.L2(0.01)
    shared = layers.Dense(12, "tanh", kernel_regularizer=penalty)
    left = shared(flat)
    right = shared(layers.Activation("tanh")(flat))
    outputs = layers.Dense(CLASSES)(layers.Concatenate()([left, right]))
    return keras.Model(inputs, outputs)


def examples(size, seed=0):
    """Images whose class shows in where they are bright, and class ids."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=size)
    images = rng.normal(size=(size, *SHAPE)).astype("float32")
    for class_id in range(CLASSES):
        rows = slice(2 * class_id, 2 * class_id + 2)
        images[labels == class_id, rows] += 0.7
    return images, labels
