"""Write a loss of your own and let the package's battery look for what breaks it."""

import keras
from keras import ops

from tfrobustloss.testing import LossTraits, check_loss

# what a plain Keras loss does not do: take class ids, widen half floats, keep its dtype
PLAIN = LossTraits(label_formats=("rows",), wide=False, keeps_dtype=False)


@keras.saving.register_keras_serializable(package="example")
class SquaredMiss(keras.losses.Loss):
    """The square of what is missing at the label, from probabilities."""

    def call(self, y_true, y_pred):
        return ops.square(1 - ops.sum(y_true * y_pred, axis=-1))


@keras.saving.register_keras_serializable(package="example")
class Careless(keras.losses.Loss):
    """The square root of the label's probability: a slope without end at 0."""

    def call(self, y_true, y_pred):
        return 1 - ops.sqrt(ops.sum(y_true * y_pred, axis=-1))


for loss in (SquaredMiss(), Careless()):
    try:
        check_loss(loss, PLAIN)
        print(f"{loss.name}: passes")
    except AssertionError as error:
        print(f"{loss.name}: {error}")
