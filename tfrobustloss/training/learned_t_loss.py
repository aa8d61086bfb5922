"""The T-loss with learned degrees of freedom (Gonzalez-Jimenez et al., MICCAI 2023)."""

import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.models import symbolic_inputs
from tfrobustloss._core.validation import Range, check, check_flag
from tfrobustloss.losses import TLoss, t_loss
from tfrobustloss.training.model_with_loss import ModelWithLoss

_LIMITS = {"initial_nu": Range(1e-2, 1e5), "scale": TLoss.limits["scale"]}
_LEAST = 1e-3
_HIGHEST = 13.0  # of log(nu)


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LearnedTLoss(ModelWithLoss):
    """Trains a segmentation network by `t_loss`, whose `nu` is learned with it.

        loss = mean over images of t_loss(mask, p, nu),   nu = 1e-3 + exp(w), w trained

    How far masks may be off before they count less is then no setting: `nu` falls where
    some masks are much worse than others, and grows where all are alike.

    Compile it without a loss. `predict` and metrics have the probabilities of the
    network; `nu` is gone from the exported model. `losses.TLoss(nu)` is the same with a
    fixed one.

    Args:
        model: Built `keras.Model` of one output of shape `(batch, ..., classes)`.
        initial_nu: Float in [0.01, 1e5]; e at the start of the authors' code.
        scale: See `losses.t_loss`.
        classes: See `losses.t_loss`.
        from_logits: Whether `model` returns logits. Then a softmax follows it, or the
            sigmoid of one channel, in the exported model too.
        speed: Float > 0: w takes steps that many times as long as the optimizer of
            `compile` would, for Adam and its like.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        model: The network inside, whose weights are the trained ones.
        nu: The degrees of freedom learned so far, a float.

    Raises:
        TypeError: `model` is no `keras.Model`, or an argument is of the wrong kind.
        ValueError: An argument is out of range; `model` is not built or has several
            outputs. In `fit`: `compile` got a loss, or the shapes differ.

    Example:
        >>> head = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")
        >>> network = keras.Sequential([keras.Input((8, 8, 1)), head])
        >>> model = LearnedTLoss(network)
        >>> model.compile("adam")
        >>> x, masks = np.ones((4, 8, 8, 1)), np.zeros((4, 8, 8, 1))
        >>> history = model.fit(x, masks, verbose=0)
        >>> model.nu > 0, model.exported_model() is network
        (True, True)

    Reference:
        Gonzalez-Jimenez et al., "Robust T-Loss for Medical Image Segmentation", MICCAI
        2023.
    """

    names = ("initial_nu", "scale", "classes", "from_logits", "speed")

    def __init__(
        self,
        model,
        initial_nu=math.e,
        scale=1.0,
        classes=None,
        from_logits=False,
        speed=10.0,
        **model_options,
    ):
        check("LearnedTLoss", _LIMITS, initial_nu=initial_nu, scale=scale)
        check_flag("LearnedTLoss", "from_logits", from_logits)
        super().__init__(model, speed, **model_options)
        self.initial_nu, self.scale = initial_nu, scale
        self.classes = TLoss(classes=classes).classes
        self.from_logits = bool(from_logits)
        first = math.log(initial_nu - _LEAST)
        self.nu_weight = self._parameter((), first, "nu_weight")

    @property
    def nu(self):
        """The degrees of freedom learned so far."""
        return float(np.float64(ops.convert_to_numpy(self._nu())))

    def call(self, inputs, training=False):
        """Probabilities of the network."""
        outputs = super().call(inputs, training)
        if not self.from_logits:
            return outputs
        outputs = ops.cast(outputs, "float32")
        return getattr(ops, self._activation())(outputs)

    def losses_of(self, y, y_pred):
        """T-losses, one an image."""
        return t_loss(y, y_pred, self._nu(), self.scale, self.classes)

    def exported_model(self):
        """The network, with its activation if it returns logits."""
        if not self.from_logits:
            return self.model
        inputs = getattr(self.model, "inputs", None)
        if inputs:
            inputs = inputs[0] if len(inputs) == 1 else inputs
            output = self.model.outputs[0]
        else:  # a subclassed model
            inputs = symbolic_inputs(self.model)
            output = self.model(inputs)
        activation = keras.layers.Activation(self._activation(), dtype="float32")
        return keras.Model(inputs, activation(output), name=self.model.name)

    def _activation(self):
        return "sigmoid" if self.model.output_shape[-1] == 1 else "softmax"

    def _nu(self):
        weight = ops.minimum(self._current(self.nu_weight), _HIGHEST)
        return _LEAST + ops.exp(weight)
