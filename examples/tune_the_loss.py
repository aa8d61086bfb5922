"""Keras Tuner chooses the loss, judged by labels that are as wrong as the others."""

import tempfile

import keras
import keras_tuner

from tfrobustloss import data, losses
from tfrobustloss.training import StopOnNoisyValidation

NAMES = ["CrossEntropy", "GeneralizedCrossEntropy", "SymmetricCrossEntropy"]

train, test = data.load("digits", "train"), data.load("digits", "test")
noisy = data.noise.corrupt(train.labels, data.noise.symmetric(10, 0.6), seed=0)
kept, held_out = data.split_validation(noisy)


def build(hp):
    """A small network whose loss is a hyper-parameter."""
    model = keras.Sequential(
        [
            keras.Input(train.images.shape[1:]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = losses.suggest(hp, NAMES, from_logits=True)
    rate = hp.Float("learning_rate", 3e-4, 3e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


with tempfile.TemporaryDirectory() as folder:
    tuner = keras_tuner.RandomSearch(
        build, "val_accuracy", max_trials=5, seed=1, directory=folder
    )
    given = {"validation_data": (train.images[held_out], noisy[held_out])}
    given |= {"x": train.images[kept], "y": noisy[kept], "epochs": 15, "verbose": 0}
    given["batch_size"] = 128
    tuner.search(**given)
    print("accuracy on noisy labels, loss and learning rate:\n")
    for trial in tuner.oracle.get_best_trials(5):
        values = trial.hyperparameters.values
        loss = losses.suggest(values, from_logits=True)
        print(f"{trial.score:6.1%}  {loss.name:28s}{values['learning_rate']:.4f}")
    model = build(tuner.get_best_hyperparameters()[0])
model.fit(**given, callbacks=[StopOnNoisyValidation()])
accuracy = model.evaluate(test.images, test.labels, verbose=0)[1]
print(f"\nThe first one, trained again, on clean test labels: {accuracy:.1%}")
