"""`BatchLoss`, the base class of losses that are one number a batch."""

import functools

from keras import ops

from tfrobustloss._core.backend import get_keras_mask
from tfrobustloss.losses.base import (
    FunctionLoss,
    _saturating_cast,
    _widen,
    without_excluded,
)


class BatchLoss(FunctionLoss):
    """A function of a whole batch as a `keras.losses.Loss`.

    Its `function` takes `sample_weight`, how often each example counts, after `y_true,
    y_pred`, and gives one number, whatever `reduction` says. Sample weights, masks and
    `ignore_class` all become such weights. Under `tf.distribute` each replica has a
    loss of its own examples.

    Args:
        *arguments: As `FunctionLoss`.
        **options: As `FunctionLoss`.
    """

    per_example = False  # so no combination with losses that are

    def call(self, y_true, y_pred, sample_weight=None):
        """Loss of the batch, shape `()`, in float32 or float64; nothing ignored."""
        y_pred = ops.cast(y_pred, self._wide_dtype())
        parameters = {"sample_weight": sample_weight, **self._parameters()}
        return self.function(y_true, y_pred, **parameters)

    def _reduced(self, y_true, y_pred, sample_weight):
        mask = get_keras_mask(y_pred)
        y_pred = _widen(y_pred, self._wide_dtype())
        if sample_weight is not None:
            sample_weight = _one_per_example(sample_weight, y_pred)

        def compute():
            labels = self._labels(y_true, y_pred)
            weights = [w for w in (mask, sample_weight) if w is not None]
            if self.ignore_class is not None:
                weights.append(ops.logical_not(labels.equal(self.ignore_class)))
            weights = [ops.cast(weight, y_pred.dtype) for weight in weights]
            weight = functools.reduce(ops.multiply, weights) if weights else None
            return self.call(labels, y_pred, weight)

        shape = tuple(y_pred.shape[:-1])
        loss = without_excluded(compute, mask, sample_weight, shape)
        return _saturating_cast(loss, self.dtype)


def weighted_rows(labels, sample_weight, dtype):
    """Rows of label mass, times the weights; 0 for what is no label.

    Args:
        labels: `Labels`.
        sample_weight: Tensor of shape `(...)`, or None.
        dtype: Type of the result.

    Returns:
        Tensor of shape `(..., classes)`.
    """
    rows = labels.dense(dtype)
    if labels.rows is not None and labels.known() is not None:
        rows = ops.where(ops.expand_dims(labels.known(), -1), rows, 0)
    if sample_weight is None:
        return rows
    return rows * ops.expand_dims(ops.cast(sample_weight, dtype), -1)


def _one_per_example(weight, y_pred):
    """Weights of shape `(...)` or `(..., 1)`, or of the first axes, as `(...)`."""
    weight, rank = ops.convert_to_tensor(weight), len(y_pred.shape) - 1
    if len(weight.shape) > rank:
        return ops.squeeze(weight, -1)
    while len(weight.shape) < rank:
        weight = ops.expand_dims(weight, -1)
    return weight
