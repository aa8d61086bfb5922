"""Base of models whose loss has parameters that are trained with the network."""

import inspect

import keras
from keras import ops

from tfrobustloss._core.backend import get_keras_mask, set_keras_mask
from tfrobustloss._core.models import check_built
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

_LIMITS = {"speed": Range(low=0, open_low=True)}


class ModelWithLoss(keras.Model):
    """A network with a loss of its own, whose parameters are weights of this model.

    `predict` and metrics have what the network returns. A subclass adds its weights and
    defines `losses_of(y, y_pred)`, one value an example, and `names`, those of its
    arguments.

    Args:
        model: Built `keras.Model` of one output.
        speed: Float > 0. Weights are multiplied by it where they are used, so that Adam
            takes steps as many times as long.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Raises:
        TypeError: `model` is no `keras.Model`, or `speed` no number.
        ValueError: `model` is not built or has several outputs, or `speed` is not
            above 0. In `fit`: `compile` got a loss.
    """

    names = ()

    def __init__(self, model, speed, **model_options):
        owner = type(self).__name__
        check(owner, _LIMITS, speed=speed)
        if not isinstance(model, keras.Model):
            raise ParameterTypeError(owner, "model", model, "a `keras.Model`")
        check_built(owner, "model", model)
        shape = getattr(model, "output_shape", None)
        if not isinstance(shape, tuple) or not isinstance(shape[-1], int):
            constraint = "a model of one output of shape (batch, ..., width)"
            raise ParameterError(owner, "model", shape, constraint)
        super().__init__(**model_options)
        self.model, self.speed = model, speed
        # some models' `call` does not ask
        asks = "training" in inspect.signature(model.call).parameters
        self._asked = ("training",) if asks else ()
        self._weighted = _Weighted()

    def call(self, inputs, training=False):
        """Output of the network."""
        return self.model(inputs, **dict.fromkeys(self._asked, training))

    def losses_of(self, y, y_pred):
        """Losses of a batch, one an example; gradients flow to this model's weights."""
        raise NotImplementedError

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The mean loss of a batch, plus what the network's layers add.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Predictions.
            sample_weight: Weights or None.
            training: Not looked at.

        Returns:
            Scalar tensor.

        Raises:
            ValueError: `compile` got a loss.
        """
        if self.loss is not None:
            hint = f"The loss is {type(self).__name__}'s own."
            shown = getattr(self.loss, "name", self.loss)
            raise ParameterError(type(self).__name__, "loss", shown, "None", hint)
        losses = self.losses_of(y, y_pred)
        mask = get_keras_mask(y_pred)
        if mask is not None:
            set_keras_mask(losses, mask)
        total = self._weighted(losses, losses, sample_weight)
        return total + sum(self.losses) if self.losses else total

    def exported_model(self):
        """The network, which `serving.export` writes in place of this model."""
        return self.model

    def export(self, *args, **options):
        """Exports the network without the parameters of the loss."""
        return self.exported_model().export(*args, **options)

    def get_config(self):
        """Network and arguments as plain JSON values."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "model": keras.saving.serialize_keras_object(self.model),
            **{name: getattr(self, name) for name in self.names},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        return cls(**{**config, "model": model})

    def _parameter(self, shape, first, name):
        """A weight that is `first` after multiplication by `speed`."""
        start = keras.initializers.Constant(first / self.speed)
        return self.add_weight(
            shape=shape, initializer=start, dtype="float32", name=name
        )

    def _current(self, weight):
        return ops.convert_to_tensor(weight) * self.speed


class _Weighted(keras.losses.Loss):
    """Keras' weighting, masking and mean of losses that are computed already."""

    def __init__(self):
        super().__init__(name="loss", dtype="float32")

    def call(self, y_true, y_pred):
        return y_pred
