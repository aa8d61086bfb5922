"""A transition matrix learned together with the network (Li et al., ICML 2021)."""

import inspect
import math

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.models import check_built, ending, symbolic_inputs
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)

_LIMITS = {
    "volume_weight": Range(low=0),
    "matrix_speed": Range(low=0, open_low=True),
    "initial_diagonal": Range(0.5, 1, open_low=True, open_high=True),
}
_OWNER = "LearnedCorrection"


@keras.saving.register_keras_serializable(package="tfrobustloss")
class LearnedCorrection(keras.Model):
    """A network with a trainable transition matrix behind it, for training alone.

        p = clean probabilities of the network,   q = p T = those of the noisy label
        T[i, i] = 1 / s_i,   T[i, j] = sigmoid(w[i, j]) / s_i,   s_i the row's sum
        loss = loss of `compile` on q + volume_weight * log det T

    Where noise depends on the class alone, many pairs of network and matrix explain the
    noisy labels; of these the true matrix is the one of the smallest determinant, if
    the examples of a class are scattered enough. So no matrix has to be known, and no
    examples that are surely of a class. The diagonal entry is the largest of its row:
    most labels of a class are taken to be right.

    Only the loss sees q. `predict` and metrics have what the network returns: clean
    probabilities. `serving.export` writes the network alone, and `transition_matrix` is
    what was learned, ready for `losses.ForwardCorrection` or `metrics.NoisyAccuracy`.

    On digits (MLP of 256, Adam, 3 seeds) after 40 epochs, accuracy was 93 % with pair
    noise of rate 0.35 and 89 with asymmetric noise of 0.4, against 80 and 81 of
    cross-entropy. The mean error of the matrix' entries was 0.022 and 0.021, of the
    identity 0.07 and 0.04. A network that memorises its labels explains them without
    a matrix, so that both get worse again (89 and 84 % after 150 epochs): keep the best
    epoch with `StopOnNoisyValidation`.

    Args:
        model: Built `keras.Model` of one output, a row of 2 or more classes, of
            probabilities (a softmax), or of logits with `from_logits=True`; or of one
            unit for two classes, the probability of class 1 (a sigmoid) or its logit.
        volume_weight: Float >= 0, λ in the paper, which has 1e-4.
        initial_diagonal: Float in (0.5, 1), diagonal of the first matrix, whose other
            entries are equal.
        matrix_speed: Float > 0. The optimizer of `compile` trains the matrix too, with
            steps in w that are `matrix_speed` times as long, for Adam and its like: w
            has far to go, and small data few steps. The default suits Adam at a rate
            of 1e-3. Keep the product of both near 0.03: at 0.6 the matrix runs into a
            wrong one before the network has learned anything, and at 0.001 it
            hardly moves on small data.
        from_logits: Whether `model` returns logits. Then a softmax, of one unit a
            sigmoid, follows it, in the exported model too.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        model: The network inside, whose weights are the trained ones.
        transition_matrix: The matrix as it is now, float64 array, shape `(classes,
            classes)`, rows summing to 1.

    Raises:
        TypeError: `model` is no `keras.Model`, or a number is none.
        ValueError: A number is out of range; `model` is not built, has several outputs,
            or ends in a sigmoid of several units, or in logits without
            `from_logits=True`. In `fit`: the loss expects logits.

    Example:
        >>> network = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
        ... )
        >>> model = LearnedCorrection(network, initial_diagonal=0.8)
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> x, noisy = np.ones((6, 4)), np.array([0, 1, 2, 0, 1, 2])
        >>> fitted = model.fit(x, noisy, verbose=0)
        >>> model.transition_matrix.shape, model.exported_model() is network
        ((3, 3), True)

    Reference:
        Li, Liu, Han, Niu, Sugiyama, "Provably End-to-end Label-noise Learning without
        Anchor Points", ICML 2021 (VolMinNet).
    """

    def __init__(
        self,
        model,
        volume_weight=1e-4,
        initial_diagonal=0.7,
        matrix_speed=30.0,
        from_logits=False,
        **model_options,
    ):
        limited = {"volume_weight": volume_weight, "matrix_speed": matrix_speed}
        check(_OWNER, _LIMITS, initial_diagonal=initial_diagonal, **limited)
        check_flag(_OWNER, "from_logits", from_logits)
        classes = _classes(model, from_logits)
        super().__init__(**model_options)
        self.model = model
        self.volume_weight, self.matrix_speed = volume_weight, matrix_speed
        self.initial_diagonal, self.from_logits = initial_diagonal, bool(from_logits)
        # of K classes, each other entry is this part of the diagonal one
        part = (1 / initial_diagonal - 1) / (classes - 1)
        first = math.log(part / (1 - part)) / matrix_speed
        self.matrix_weights = self.add_weight(
            shape=(classes, classes),
            initializer=keras.initializers.Constant(first),
            dtype="float32",
            name="matrix_weights",
        )
        # some models' `call` does not ask
        asks = "training" in inspect.signature(model.call).parameters
        self._asked = ("training",) if asks else ()

    @property
    def transition_matrix(self):
        """The matrix learned so far, float64 array, shape `(classes, classes)`."""
        matrix = np.float64(ops.convert_to_numpy(self._matrix()))
        return matrix / matrix.sum(axis=1, keepdims=True)

    def call(self, inputs, training=False):
        """Clean probabilities of the network."""
        outputs = self.model(inputs, **dict.fromkeys(self._asked, training))
        if self.from_logits:
            outputs = ops.cast(outputs, "float32")
            one_unit = outputs.shape[-1] == 1
            outputs = ops.sigmoid(outputs) if one_unit else ops.softmax(outputs)
        return outputs

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The compiled loss on probabilities of noisy labels, plus the volume.

        Args:
            x: Inputs.
            y: Noisy labels.
            y_pred: Clean probabilities, shape `(..., classes)` or `(..., 1)`.
            sample_weight: Weights or None.
            training: Whether the volume counts; it does not in `evaluate`.

        Returns:
            Scalar tensor.

        Raises:
            ValueError: The loss expects logits.
        """
        _check_loss(self.loss)
        matrix = self._matrix()
        p = ops.cast(y_pred, "float32")
        if p.shape[-1] == 1:
            noisy = (1 - p) * matrix[0, 1] + p * matrix[1, 1]
        else:
            noisy = ops.matmul(p, matrix)
        loss = super().compute_loss(x, y, noisy, sample_weight, training)
        if training and self.volume_weight:
            loss = loss + ops.cast(
                self.volume_weight * ops.slogdet(matrix)[1], loss.dtype
            )
        return loss

    def exported_model(self):
        """The network without the matrix, which `serving.export` writes.

        A network that returns logits comes with a softmax or sigmoid behind it.
        """
        if not self.from_logits:
            return self.model
        inputs = getattr(self.model, "inputs", None)
        if inputs:
            inputs = inputs[0] if len(inputs) == 1 else inputs
            output = self.model.outputs[0]
        else:  # a subclassed model
            inputs = symbolic_inputs(self.model)
            output = self.model(inputs)
        last = "sigmoid" if output.shape[-1] == 1 else "softmax"
        output = keras.layers.Activation(last, dtype="float32")(output)
        return keras.Model(inputs, output, name=self.model.name)

    def export(self, *args, **options):
        """Exports the network without the matrix."""
        return self.exported_model().export(*args, **options)

    def get_config(self):
        """Network and arguments as plain JSON values."""
        names = ("volume_weight", "initial_diagonal", "matrix_speed", "from_logits")
        return {
            "name": self.name,
            "trainable": self.trainable,
            "model": keras.saving.serialize_keras_object(self.model),
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        return cls(**{**config, "model": model})

    def _matrix(self):
        weights = ops.convert_to_tensor(self.matrix_weights) * self.matrix_speed
        identity = ops.eye(weights.shape[0], dtype=weights.dtype)
        entries = identity + (1 - identity) * ops.sigmoid(weights)
        return entries / ops.sum(entries, axis=-1, keepdims=True)


def _classes(model, from_logits):
    """Number of classes of a network that can be corrected."""
    if not isinstance(model, keras.Model):
        raise ParameterTypeError(_OWNER, "model", model, "a `keras.Model`")
    check_built(_OWNER, "model", model)
    shape = getattr(model, "output_shape", None)
    classes = shape[-1] if isinstance(shape, tuple) and shape else None
    if not isinstance(classes, int) or classes < 1:
        constraint = "a model of one output of shape (batch, classes)"
        raise ParameterError(_OWNER, "model", shape, constraint)
    end, wanted = ending(model), "sigmoid" if classes == 1 else "softmax"
    if end not in (None, wanted):
        constraint = f"a model that ends in a {wanted}: classes that exclude each other"
        text = f"{model.name}, which ends in a {end}"
        raise ParameterError(_OWNER, "model", text, constraint)
    if end == wanted and from_logits:
        text = f"True for a model that ends in a {wanted}"
        raise ParameterError(_OWNER, "from_logits", text, "False")
    if end is None and not from_logits and _is_linear(model):
        constraint = f"a model that ends in a {wanted}"
        hint = f"Say `from_logits=True`, and a {wanted} follows it."
        text = f"{model.name}, which ends in logits"
        raise ParameterError(_OWNER, "model", text, constraint, hint)
    return max(2, classes)


def _check_loss(loss):
    """Raises for a loss of logits."""
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    if config.get("from_logits") or getattr(loss, "from_logits", False):
        constraint = "a loss of probabilities: `p T` has no logits"
        hint = (
            "Leave out the loss's `from_logits=True`; of a network that returns "
            "logits, say `LearnedCorrection(model, from_logits=True)`."
        )
        value = f"{type(loss).__name__}(from_logits=True)"
        raise ParameterError(_OWNER, "loss", value, constraint, hint)


def _is_linear(model):
    """Whether the last layer is seen to have no activation."""
    outputs = getattr(model, "outputs", None)
    while outputs:
        layer = outputs[0]._keras_history.operation
        if not isinstance(layer, keras.Model):
            return getattr(layer, "activation", None) is keras.activations.linear
        outputs = getattr(layer, "outputs", None)
    return False
