"""The four-layer convolutional network of the label-noise papers."""

import keras

from tfrobustloss.architectures.initializers import initializers


def cnn4(input_shape, num_classes, seed=None):
    """Two 5 x 5 convolutions, each pooled by 2, and a hidden layer of 1024 units.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`, at least 4 x 4.
        num_classes: Int >= 2.
        seed: Int >= 0 for reproducible initial weights, or None.

    Returns:
        `keras.Model` from images, shape `(batch, *input_shape)`, to logits, shape
        `(batch, num_classes)`.

    Raises:
        ValueError: `num_classes` is below 2 or `seed` is negative.

    Example:
        >>> cnn4((28, 28, 1), num_classes=10).count_params()
        3274634

    Reference:
        Gao, Gouk, Hospedales, "Searching for Robustness: Loss Learning for Noisy
        Classification Tasks", ICCV 2021.
    """
    first, second, hidden, output = initializers("cnn4", 4, num_classes, seed)
    convolution = {"kernel_size": 5, "padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(32, kernel_initializer=first, **convolution),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, kernel_initializer=second, **convolution),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, "relu", kernel_initializer=hidden),
            keras.layers.Dense(num_classes, kernel_initializer=output),
        ],
        name="cnn4",
    )
