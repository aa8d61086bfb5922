"""The training problem that every backend's programs compile."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.noisy_accuracy import predicted_classes
from tfrobustloss.experiments.trainer.layer_kinds import may_be_padded, suits_xla
from tfrobustloss.losses import families

_VALIDATION_BATCH = 1024

# A tensor of the backend, or a value that it converts to one.
Tensor = Any
# `(inputs, labels)`: inputs are an array or a structure of arrays.
Examples = tuple[Any, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """One network, one family of losses and the data, as the training programs see it.

    Attributes:
        model: The `keras.Model` that is traced; its variables are never changed.
        loss: Function `(labels, outputs, vector) -> losses`.
        dimension: Length of `vector`.
        train: `(inputs, labels)`, structures of arrays.
        validation: The same, padded to whole batches.
        num_draws: Size of the labels' axis of draws, or None if they have none.
        num_examples: Number of training examples.
        num_validation: Number of validation examples before the padding.
        worth: What a validation example of a noisy label counts where it is predicted
            as a class, float32 of shape `(classes, classes)`; None to count right
            answers.
        batch_size: Examples of a full training batch.
        remainder: Examples of the last batch of an epoch, 0 if that is full.
        steps_per_epoch: Batches of an epoch, a partial one included.
        validation_batch: Examples of a validation batch.
        momentum: Momentum of SGD.
        one_program: Whether a whole run becomes one XLA program.
        padded: Whether a partial batch may be padded with rows of weight 0.
    """

    model: Any
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    dimension: int
    train: Examples
    validation: Examples
    num_draws: int | None
    num_examples: int
    num_validation: int
    worth: np.ndarray | None
    batch_size: int
    remainder: int
    steps_per_epoch: int
    validation_batch: int
    momentum: float
    one_program: bool
    padded: bool

    @property
    def validation_steps(self) -> int:
        """Number of validation batches."""
        return _length(self.validation) // self.validation_batch

    def outputs(
        self, trainable: list, others: list, inputs: Any, training: bool
    ) -> tuple[Tensor, list, list]:
        """Outputs in float32, the other variables afterwards, and the penalties."""
        model = self.model
        variables = model.trainable_variables + model.non_trainable_variables
        mapping = list(zip(variables, [*trainable, *others], strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = model(inputs, training=training)
            penalties = model.losses
        others = [scope.get_current_value(v) for v in model.non_trainable_variables]
        return ops.cast(outputs, "float32"), others, penalties

    def batch_loss(
        self,
        trainable: list,
        others: list,
        vector: Tensor,
        draw: Tensor,
        batch: Examples,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, list]:
        """Loss of a batch as in `fit`, penalties included, and the other variables.

        Args:
            trainable: Values of the model's trainable variables.
            others: Values of its other variables.
            vector: Parameters of the loss.
            draw: Index of the draw of the labels; not used without `num_draws`.
            batch: `(inputs, labels)`.
            weights: None, or 0 for the rows that pad the batch and 1 for the others.
        """
        inputs, labels = batch
        if self.num_draws is not None:
            labels = ops.take(labels, draw, axis=1)
        outputs, others, penalties = self.outputs(trainable, others, inputs, True)
        losses = self.loss(labels, outputs, vector)
        if weights is None:
            loss = ops.mean(losses)
        else:
            loss = ops.sum(losses * weights) / ops.sum(weights)
        return loss + sum(penalties), others

    def batch_weights(self, step: Tensor) -> Tensor:
        """Weight of each row of a padded batch: 1, or 0 for padding."""
        mask = (np.arange(self.batch_size) < self.remainder).astype("float32")
        return ops.where(self.is_partial(step), mask, 1.0)

    def is_partial(self, step: Tensor) -> Tensor:
        """Whether a step's batch is the partial one of its epoch."""
        return ops.equal(step % self.steps_per_epoch, self.steps_per_epoch - 1)

    def correct(
        self, outputs: Tensor, labels: Tensor, index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Number of right answers in a validation batch, and whether all is finite.

        With `worth` it is the sum of that.
        """
        if len(labels.shape) > 1 and labels.shape[-1] > 1:
            labels = ops.argmax(labels, axis=-1)
        elif outputs.shape[-1] == 1 and "float" in str(labels.dtype):
            labels = labels > 0.5  # a probability of class 1
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        predicted = predicted_classes(outputs, threshold=0)  # of a logit
        size = self.validation_batch
        row = index * size + ops.arange(size, dtype="int32")
        counts, is_finite = row < self.num_validation, ops.all(ops.isfinite(outputs))
        if self.worth is None:
            right = ops.logical_and(ops.equal(predicted, labels), counts)
            return ops.sum(ops.cast(right, "int32")), is_finite
        table = ops.convert_to_tensor(self.worth.reshape(-1))
        worth = ops.take(table, labels * len(self.worth) + predicted)
        return ops.sum(worth * ops.cast(counts, "float32")), is_finite

    @property
    def count_type(self) -> str:
        """Data type of the sum over validation batches."""
        return "int32" if self.worth is None else "float32"


def make_problem(
    model: Any,
    family: families.LossFamily,
    train: Examples,
    validation: Examples,
    *,
    batch_size: int,
    momentum: float,
    label_draws: bool = False,
    worth: np.ndarray | None = None,
    xla: bool | None = None,
) -> Problem:
    """The `Problem` of a model and data; arguments as in `Trainer`."""
    train, validation = _prepare(train), _prepare(validation)
    num_examples, num_validation = _length(train), _length(validation)
    batch_size = min(batch_size, num_examples)
    num_batches = math.ceil(num_validation / _VALIDATION_BATCH)
    validation_batch = math.ceil(num_validation / num_batches)
    missing = num_batches * validation_batch - num_validation
    return Problem(
        model=model,
        loss=family.function,
        dimension=family.dimension,
        train=train,
        validation=keras.tree.map_structure(lambda a: _pad(a, missing), validation),
        num_draws=train[1].shape[1] if label_draws else None,
        num_examples=num_examples,
        num_validation=num_validation,
        worth=None if worth is None else worth.astype("float32"),
        batch_size=batch_size,
        remainder=num_examples % batch_size,
        steps_per_epoch=math.ceil(num_examples / batch_size),
        validation_batch=validation_batch,
        momentum=momentum,
        one_program=suits_xla(model) if xla is None else xla,
        padded=may_be_padded(model),
    )


def _prepare(data: Examples) -> Examples:
    """Inputs and labels as arrays of the types that a program takes."""
    inputs, labels = data
    return keras.tree.map_structure(_to_array, inputs), _to_array(labels)


def _to_array(values: Any) -> np.ndarray:
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.floating):
        return np.ascontiguousarray(values, "float32")
    return values.astype("int32") if values.dtype == np.int64 else values


def _length(data: Examples) -> int:
    return len(keras.tree.flatten(data)[0])


def _pad(values: np.ndarray, missing: int) -> np.ndarray:
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
