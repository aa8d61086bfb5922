"""What a training program is made from, and the part that all backends share."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfrobustloss.experiments.trainer.layer_kinds import may_be_padded, suits_xla

_VALIDATION_BATCH = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One network, family of losses and data, as the training programs see them.

    Attributes:
        model: The `keras.Model` that is traced; its variables are never changed.
        loss: Function `(labels, outputs, vector) -> losses`.
        dimension: Length of `vector`.
        train: `(inputs, labels)`, structures of arrays.
        validation: The same, padded to whole batches.
        num_examples: Number of training examples.
        num_validation: Number of validation examples before the padding.
        batch_size: Examples of a full training batch.
        remainder: Examples of the last batch of an epoch, 0 if that is full.
        steps_per_epoch: Batches of an epoch, a partial one included.
        validation_batch: Examples of a validation batch.
        momentum: Of SGD.
        one_program: Whether a whole run becomes one XLA program.
        padded: Whether a partial batch may be padded with rows that do not count.
    """

    model: Any
    loss: Any
    dimension: int
    train: tuple
    validation: tuple
    num_examples: int
    num_validation: int
    batch_size: int
    remainder: int
    steps_per_epoch: int
    validation_batch: int
    momentum: float
    one_program: bool
    padded: bool

    @property
    def validation_steps(self):
        """Number of validation batches."""
        return _length(self.validation) // self.validation_batch

    def outputs(self, trainable, others, inputs, training):
        """Outputs in float32, the other variables afterwards, and the penalties."""
        model = self.model
        variables = model.trainable_variables + model.non_trainable_variables
        mapping = list(zip(variables, [*trainable, *others], strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = model(inputs, training=training)
            penalties = model.losses
        others = [scope.get_current_value(v) for v in model.non_trainable_variables]
        return ops.cast(outputs, "float32"), others, penalties

    def batch_loss(self, trainable, others, vector, batch, weights=None):
        """Loss of a batch as in `fit`, penalties included, and the other variables.

        Args:
            trainable: Values of the model's trainable variables.
            others: Values of its other variables.
            vector: The loss' parameters.
            batch: `(inputs, labels)`.
            weights: None, or 0 for the rows that pad the batch and 1 for the others.
        """
        inputs, labels = batch
        outputs, others, penalties = self.outputs(trainable, others, inputs, True)
        losses = self.loss(labels, outputs, vector)
        if weights is None:
            loss = ops.mean(losses)
        else:
            loss = ops.sum(losses * weights) / ops.sum(weights)
        return loss + sum(penalties), others

    def batch_weights(self, step):
        """0 or 1 a row: which rows of a padded batch count."""
        mask = (np.arange(self.batch_size) < self.remainder).astype("float32")
        return ops.where(self.is_partial(step), mask, 1.0)

    def is_partial(self, step):
        """Whether a step's batch is the partial one of its epoch."""
        return ops.equal(step % self.steps_per_epoch, self.steps_per_epoch - 1)

    def correct(self, outputs, labels, index):
        """How many of a validation batch are right, and whether all is finite."""
        if len(labels.shape) > 1 and labels.shape[-1] > 1:
            labels = ops.argmax(labels, axis=-1)
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        right = ops.equal(ops.cast(ops.argmax(outputs, axis=-1), "int32"), labels)
        size = self.validation_batch
        row = index * size + ops.arange(size, dtype="int32")
        right = ops.logical_and(right, row < self.num_validation)
        return ops.sum(ops.cast(right, "int32")), ops.all(ops.isfinite(outputs))


def make_task(model, family, train, validation, batch_size, momentum, xla=None):
    """The `Task` of a model and data; `xla` overrules the choice by layer types."""
    train, validation = _prepare(train), _prepare(validation)
    num_examples, num_validation = _length(train), _length(validation)
    batch_size = min(batch_size, num_examples)
    num_batches = math.ceil(num_validation / _VALIDATION_BATCH)
    validation_batch = math.ceil(num_validation / num_batches)
    missing = num_batches * validation_batch - num_validation
    return Task(
        model=model,
        loss=family.function,
        dimension=family.dimension,
        train=train,
        validation=keras.tree.map_structure(lambda a: _pad(a, missing), validation),
        num_examples=num_examples,
        num_validation=num_validation,
        batch_size=batch_size,
        remainder=num_examples % batch_size,
        steps_per_epoch=math.ceil(num_examples / batch_size),
        validation_batch=validation_batch,
        momentum=momentum,
        one_program=suits_xla(model) if xla is None else xla,
        padded=may_be_padded(model),
    )


def _prepare(data):
    """Inputs and labels as arrays of the types that a program takes."""
    inputs, labels = data
    return keras.tree.map_structure(_to_array, inputs), _to_array(labels)


def _to_array(values):
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.floating):
        return np.ascontiguousarray(values, "float32")
    return values.astype("int32") if values.dtype == np.int64 else values


def _length(data):
    return len(keras.tree.flatten(data)[0])


def _pad(values, missing):
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
