"""Crowd layer: trains on the labels of several annotators at once."""

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.labels import integers
from tfrobustloss._core.models import check_built, ending
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

_OWNER = "CrowdModel"
_LIMITS = {"num_annotators": Range(low=1, integer=True)}
_SOFTMAX = "keras.Sequential([network, keras.layers.Softmax()])"
_TINY = 1e-7  # smallest probability of which a logarithm is taken


@keras.saving.register_keras_serializable(package="tfrobustloss")
class CrowdModel(keras.Model):
    """Trains a network on the labels of several annotators, each with a matrix.

        scores of annotator a = p @ W[a],    p = softmax output of the network
        loss = mean over the labels given of loss(label, softmax(scores))

    The matrices begin as identities and learn with the network how each annotator
    confuses classes. They belong to training alone: `predict` and `evaluate` are those
    of the network, and `serving.export` writes only that.

    `fit` takes class ids of shape `(batch, annotators)`, -1 where an annotator was not
    asked: `Annotations.dense()`. Metrics then compare the network's class with every
    label given. Labels of shape `(batch,)` count as right: the loss and metrics of
    `evaluate` or `validation_data` are those of the network. Compile with any loss of
    probabilities, or of logits (`from_logits=True`), by one-hot labels, or with Keras'
    sparse cross-entropy.

    Nothing but the start holds the matrices to the classes: if most annotators confuse
    two classes with each other, so may the network, as a vote would.

    Args:
        network: Built `keras.Model` of one output that ends in a softmax over classes.
        num_annotators: Int >= 1.
        **model_options: As for every `keras.Model`: `name`, `trainable`.

    Attributes:
        network: As given; its weights are those that are trained.
        num_annotators: As given.

    Raises:
        TypeError: `network` is no `keras.Model`.
        ValueError: It is not built or does not end in a softmax, or `num_annotators`
            is below 1. In `fit`: labels are not of such a shape or out of range.

    Example:
        >>> network = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
        ... )
        >>> model = CrowdModel(network, num_annotators=2)
        >>> model.compile("sgd", "categorical_crossentropy")
        >>> labels = np.array([[0, -1], [1, 2], [-1, 2]])
        >>> history = model.fit(np.ones((3, 4)), labels, verbose=0)
        >>> model.confusion().shape, model.predict(np.ones((3, 4)), verbose=0).shape
        ((2, 3, 3), (3, 3))

    Reference:
        Rodrigues, Pereira, "Deep Learning from Crowds", AAAI 2018.
    """

    def __init__(self, network, num_annotators, **model_options):
        check(_OWNER, _LIMITS, num_annotators=num_annotators)
        if not isinstance(network, keras.Model):
            raise ParameterTypeError(_OWNER, "network", network, "a `keras.Model`")
        check_built(_OWNER, "network", network)
        if ending(network) != "softmax":
            constraint = "a model that ends in a softmax"
            hint = f"Of a network that ends in logits: {_SOFTMAX}."
            raise ParameterError(_OWNER, "network", network.name, constraint, hint)
        super().__init__(**model_options)
        self.network = network
        self.num_annotators = int(num_annotators)
        classes = network.output_shape[-1]
        identity = np.tile(np.eye(classes, dtype="float32"), (num_annotators, 1, 1))
        self._matrices = self.add_weight(
            shape=identity.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                identity, dtype
            ),
            name="annotator_matrices",
        )

    def call(self, inputs, training=False):
        """Class probabilities by the network."""
        return self.network(inputs, training=training)

    def fit(self, x=None, y=None, *arguments, **options):
        """Trains the model, as every `keras.Model`, once labels are checked.

        Raises:
            ValueError: Labels are not class ids or -1, or of another shape.
        """
        if isinstance(y, np.ndarray | list | tuple):
            classes = self._matrices.shape[-1]
            hint = "-1 stands for an annotator who was not asked."
            y = integers(_OWNER, "labels", y, -1, classes - 1, hint)
            self._check_shape(y.shape)
        return super().fit(x, y, *arguments, **options)

    def compile(self, *arguments, metrics=None, weighted_metrics=None, **options):
        """Compiles the model as every `keras.Model`; all metrics are weighted.

        The weight of a label that was not given is 0: metrics without weights would
        count it.
        """
        metrics = [each for part in (metrics, weighted_metrics) for each in part or []]
        super().compile(*arguments, weighted_metrics=metrics or None, **options)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was compiled when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The loss over all labels that were given."""
        from_logits = getattr(self.loss, "from_logits", False)
        classes = self._matrices.shape[-1]
        if self._is_of_crowd(y):
            y, mask = self._flat(y, sample_weight)
            matrices = ops.cast(self._matrices, y_pred.dtype)
            scores = ops.reshape(
                ops.einsum("nk,akl->nal", y_pred, matrices), (-1, classes)
            )
            outputs = scores if from_logits else ops.softmax(scores, axis=-1)
            # so that Keras' mean over all cells is one over those with a label
            count = ops.cast(ops.shape(mask)[0], mask.dtype)
            given = ops.sum(ops.cast(mask > 0, mask.dtype))
            sample_weight = mask * count / ops.maximum(given, 1)
        else:
            y = ops.reshape(ops.cast(y, "int32"), (-1,))
            outputs = ops.log(ops.maximum(y_pred, _TINY)) if from_logits else y_pred
        if not _takes_ids(self.loss):
            y = ops.one_hot(y, classes, dtype=outputs.dtype)
        return super().compute_loss(x, y, outputs, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of the network's output against every label that was given."""
        if self._is_of_crowd(y):
            y, sample_weight = self._flat(y, sample_weight)
            y_pred = ops.repeat(y_pred, self.num_annotators, axis=0)
        else:
            y = ops.reshape(ops.cast(y, "int32"), (-1,))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def matrices(self):
        """The trained matrices `W`, shape `(annotators, classes, classes)`."""
        return ops.convert_to_numpy(self._matrices)

    def confusion(self):
        """Probabilities of the labels that each annotator gives to each class.

        Returns:
            Float32 array, shape `(annotators, classes, classes)`, rows summing to 1:
            the softmax of the rows of `matrices()`, that is for inputs of whose class
            the network is sure.
        """
        return ops.convert_to_numpy(ops.softmax(self._matrices, axis=-1))

    def exported_model(self):
        """The network, which `serving.export` writes in place of this model."""
        return self.network

    def export(self, *args, **options):
        """Exports the network, which knows of no annotators."""
        return self.network.export(*args, **options)

    def get_config(self):
        """Network and number of annotators as plain JSON values."""
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "num_annotators": self.num_annotators,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        network = keras.saving.deserialize_keras_object(
            config["network"], custom_objects
        )
        return cls(**{**config, "network": network})

    def _check_shape(self, shape):
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == self.num_annotators):
            return
        constraint = f"(batch, {self.num_annotators}), or (batch,) for right labels"
        raise ParameterError(_OWNER, "labels.shape", tuple(shape), constraint)

    def _is_of_crowd(self, y):
        self._check_shape(y.shape)
        return len(y.shape) == 2

    def _flat(self, y, sample_weight):
        """Labels of all annotators, -1 as 0, and weights, 0 where there is none."""
        y = ops.reshape(ops.cast(y, "int32"), (-1,))
        mask = ops.cast(y >= 0, "float32")
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            mask = mask * ops.repeat(weights, self.num_annotators, axis=0)
        return ops.maximum(y, 0), mask


def _takes_ids(loss):
    """Whether a loss of Keras takes class ids."""
    if isinstance(loss, str):
        return loss.lower().startswith("sparse")
    return isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
