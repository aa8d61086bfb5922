"""Write a loss of your own and let the package's battery look for what breaks it."""

import keras
from keras import ops

from tfrobustloss.losses import FunctionLoss, decode
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


def power_of_miss(y_true, y_pred, exponent=2.0, from_logits=False):
    """A power of what is missing at the label: any labels, probabilities or logits."""
    labels, prediction = decode(y_true, y_pred, from_logits)
    return (1 - prediction.pick_probability(labels)) ** exponent


@keras.saving.register_keras_serializable(package="example")
class PowerOfMiss(FunctionLoss):
    """`power_of_miss` as a loss with all that the package's own have."""

    function = staticmethod(power_of_miss)

    def __init__(self, exponent=2.0, from_logits=False, **options):
        super().__init__(exponent=exponent, from_logits=from_logits, **options)


for loss in (SquaredMiss(), Careless(), PowerOfMiss()):
    try:
        check_loss(loss, LossTraits() if isinstance(loss, FunctionLoss) else PLAIN)
        print(f"{loss.name}: passes")
    except AssertionError as error:
        print(f"{loss.name}: {error}")
