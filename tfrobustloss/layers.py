"""Keras layers: the tempered softmax."""

import keras

from tfrobustloss._core.tensors import current_value, is_variable
from tfrobustloss._core.validation import check
from tfrobustloss.losses import BiTemperedLogistic, tempered_softmax

_LIMITS = {"temperature": BiTemperedLogistic.limits["t2"]}


@keras.saving.register_keras_serializable(package="tfrobustloss")
class TemperedSoftmax(keras.layers.Layer):
    """`losses.tempered_softmax` as a layer: the last one of a bi-tempered model.

    Train with `BiTemperedLogistic(t1, t2)` on its output, or on the logits before it
    with `from_logits=True` (faster), and use `temperature=t2`. Of one unit it makes the
    probability of class 1 of two.

    Args:
        temperature: Float in (0, 5], or a `keras.Variable`. 1 is the softmax.
        **layer_options: As for every `keras.layers.Layer`: `name`, `dtype`.

    Raises:
        ValueError: `temperature` is outside (0, 5].

    Example:
        >>> p = TemperedSoftmax(1.2)(keras.ops.array([[2.0, 0.0, -1.0]]))
        >>> round(float(p[0, 0]), 4)
        0.7659
    """

    def __init__(self, temperature, **layer_options):
        check(type(self).__name__, _LIMITS, temperature=temperature)
        super().__init__(**layer_options)
        self.temperature = temperature
        self.supports_masking = True

    def call(self, logits):
        """Probabilities of the shape of `logits`, `(..., classes)` or `(..., 1)`."""
        return tempered_softmax(logits, self.temperature)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def load_own_variables(self, store):
        """Loads a saved variable temperature; the config holds a plain number."""
        if is_variable(self.temperature):
            super().load_own_variables(store)

    def get_config(self):
        """The layer's arguments as plain JSON values."""
        temperature = current_value(self.temperature)
        return {**super().get_config(), "temperature": temperature}
