"""Regression by a robust loss that learns its shape and scale (Barron, CVPR 2019)."""

import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.validation import ParameterError, Range, check, check_flag
from tfrobustloss.losses import general_robust
from tfrobustloss.training.model_with_loss import ModelWithLoss

_LIMITS = {
    "initial_alpha": Range(0, 2, open_low=True, open_high=True),
    "initial_scale": Range(1e-5, 1e5),
    "min_scale": Range(1e-6, 1.0),
}
_HIGHEST = 13.0  # of log(scale)
_FARTHEST = 16.0  # of alpha's logit: beyond it float32 has no slope


@keras.saving.register_keras_serializable(package="tfrobustloss")
class AdaptiveRobust(ModelWithLoss):
    """Trains a regression network by `general_robust` of a learned shape and scale.

        loss = mean over outputs of rho(error / c, alpha) + log(c) + log Z(alpha)
        alpha = 2 sigmoid(a),   c = min_scale + exp(s),   a and s trained

    The data say how heavy the tails of the errors are: without outliers alpha goes to 2
    and this is least squares, c the standard deviation of the noise; with them alpha
    falls, and they lose their pull. Each output has its own alpha and c. There is no
    threshold to choose, as there is in `keras.losses.Huber(delta)`.

    log(c) + log Z(alpha) makes the loss a negative log-likelihood. It is what keeps
    alpha and c in place: without it, larger c and smaller alpha lower the loss of any
    prediction, and the fit ends in doubting everything. So alpha stays where there is a
    density, in (0, 2); for a smaller one, fixed, see `losses.GeneralRobust`.

    Compile it without a loss. `predict` and metrics have what the network returns;
    alpha and c are gone from the exported model.

    Args:
        model: Built `keras.Model` of one output, numbers of shape `(batch, ..., D)`.
        initial_alpha: Float in (0, 2).
        initial_scale: Float in [1e-5, 1e5], about the size of the first errors: at a
            scale far below, all look like outliers. Standardise the targets for 1.
        min_scale: Float in [1e-6, 1], which c stays above. It matters where errors can
            become 0, where the likelihood has no bound.
        shared: Whether all outputs share one alpha and c.
        speed: Float > 0: a and s take steps that many times as long as the optimizer
            of `compile` would, for Adam and its like. The default suits Adam at a rate
            of 1e-3 to 1e-2.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        model: The network inside, whose weights are the trained ones.
        alpha: Learned shapes, float64 array of shape `(D,)`, or `(1,)` if shared.
        scale: Learned scales, the same.

    Raises:
        TypeError: `model` is no `keras.Model`, or an argument is of the wrong kind.
        ValueError: An argument is out of range; `model` is not built or has several
            outputs. In `fit`: `compile` got a loss, or the shapes differ.

    Example:
        >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model = AdaptiveRobust(network)
        >>> model.compile("adam", metrics=["mae"])
        >>> history = model.fit(np.ones((8, 3)), np.arange(8.0), verbose=0)
        >>> model.alpha.shape, model.scale.shape, model.exported_model() is network
        ((1,), (1,), True)

    Reference:
        Barron, "A General and Adaptive Robust Loss Function", CVPR 2019.
    """

    names = ("initial_alpha", "initial_scale", "min_scale", "shared", "speed")

    def __init__(
        self,
        model,
        initial_alpha=1.0,
        initial_scale=1.0,
        min_scale=1e-5,
        shared=False,
        speed=10.0,
        **model_options,
    ):
        owner = "AdaptiveRobust"
        limited = {"initial_scale": initial_scale, "min_scale": min_scale}
        check(owner, _LIMITS, initial_alpha=initial_alpha, **limited)
        check_flag(owner, "shared", shared)
        if initial_scale <= min_scale:
            constraint = f"above `min_scale`, {min_scale}"
            raise ParameterError(owner, "initial_scale", initial_scale, constraint)
        super().__init__(model, speed, **model_options)
        self.initial_alpha, self.initial_scale = initial_alpha, initial_scale
        self.min_scale, self.shared = min_scale, bool(shared)
        shape = (1,) if shared else (model.output_shape[-1],)
        logit = math.log(initial_alpha / (2 - initial_alpha))
        self.alpha_weights = self._parameter(shape, logit, "alpha_weights")
        log_scale = math.log(initial_scale - min_scale)
        self.scale_weights = self._parameter(shape, log_scale, "scale_weights")

    @property
    def alpha(self):
        """The shapes learned so far."""
        return np.float64(ops.convert_to_numpy(self._shape_and_scale()[0]))

    @property
    def scale(self):
        """The scales learned so far."""
        return np.float64(ops.convert_to_numpy(self._shape_and_scale()[1]))

    def losses_of(self, y, y_pred):
        """Negative log-likelihood, the mean over outputs, one an example."""
        alpha, scale = self._shape_and_scale()
        return general_robust(y, y_pred, alpha, scale, normalized=True)

    def _shape_and_scale(self):
        logit = self._current(self.alpha_weights)
        log_scale = self._current(self.scale_weights)
        alpha = 2 * ops.sigmoid(ops.clip(logit, -_FARTHEST, _FARTHEST))
        scale = self.min_scale + ops.exp(ops.minimum(log_scale, _HIGHEST))
        return alpha, scale
