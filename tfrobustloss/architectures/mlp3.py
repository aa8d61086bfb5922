"""The three-layer perceptron of the label-noise papers: pixels-256-256-classes."""

import keras

from tfrobustloss.architectures.initializers import initializers


def mlp3(input_shape, num_classes, seed=None):
    """A perceptron with two hidden layers of 256 units: 784-256-256-10 on MNIST.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        num_classes: Int >= 2.
        seed: Int >= 0 for reproducible initial weights, or None.

    Returns:
        `keras.Model` from images, shape `(batch, *input_shape)`, to logits, shape
        `(batch, num_classes)`.

    Raises:
        ValueError: `num_classes` is below 2 or `seed` is negative.

    Example:
        >>> mlp3((28, 28, 1), num_classes=10).count_params()
        269322

    Reference:
        Gao, Gouk, Hospedales, "Searching for Robustness: Loss Learning for Noisy
        Classification Tasks", ICCV 2021.
    """
    first, second, output = initializers("mlp3", 3, num_classes, seed)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(256, "relu", kernel_initializer=first),
            keras.layers.Dense(256, "relu", kernel_initializer=second),
            keras.layers.Dense(num_classes, kernel_initializer=output),
        ],
        name="mlp3",
    )
