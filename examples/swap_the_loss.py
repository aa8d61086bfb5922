"""Swap one line of `model.compile` and look at accuracy on clean labels."""

import keras

from tfrobustloss import data, losses

train, test = data.load("digits", "train"), data.load("digits", "test")
noisy = data.noise.corrupt(train.labels, data.noise.symmetric(10, 0.6), seed=0)


def accuracy(loss):
    """Test accuracy of a small network trained on the noisy labels."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(train.images.shape[1:]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    model.fit(train.images, noisy, batch_size=128, epochs=100, verbose=0)
    return model.evaluate(test.images, test.labels, verbose=0)[1]


wrong = data.noise.realized_rate(train.labels, noisy)
print(f"digits, {wrong:.0%} of the training labels wrong\n")
print(f"{'loss':28s}test accuracy")
for loss in (
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    losses.GeneralizedCrossEntropy(from_logits=True),
    losses.SymmetricCrossEntropy(from_logits=True),
):
    print(f"{type(loss).__name__:32s}{accuracy(loss):9.1%}")
