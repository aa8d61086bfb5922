"""The class that turns a per-example function into a `keras.losses.Loss`."""

import inspect

import keras
import numpy as np
from keras import ops

from tfrobustloss._core.backend import get_keras_mask, set_keras_mask, widened
from tfrobustloss._core.functions import any_symbolic, symbolic_call
from tfrobustloss._core.shapes import check_rank
from tfrobustloss._core.tensors import (
    current_value,
    deep_copy,
    hidden_values,
    is_variable,
    shallow_copy,
    visible,
)
from tfrobustloss._core.validation import Range, check, check_flag
from tfrobustloss.losses.labels import Labels


class FunctionLoss(keras.losses.Loss):
    """A per-example function as a `keras.losses.Loss`.

    A subclass names its `function` and the `limits` of its parameters, and hands its
    parameters over by name. Each becomes an attribute of that name and part of the
    config. A scalar parameter may be a `keras.Variable`: assigning to it changes a
    compiled model without tracing it again, and the config holds its current value.
    It gets no gradient: some losses would fall by moving their parameter alone. (On
    JAX, make the variable, with `trainable=False`, an attribute of the model as well.)

    The computation runs in float32, or float64 for that dtype, whatever the policy.

    Labels that are none (an id outside the classes, a row whose mass is not 1, NaN) are
    refused where they can be seen, which is in eager code, unless a Keras mask or a
    sample weight of 0 excludes them. The compiled programs of `fit` and `evaluate`
    cannot see labels: there, one that is none has the loss and the gradient 0, but
    counts in the mean. Check labels before training, or name their id `ignore_class`.

    Args:
        parameters: Dict of the function's arguments after `y_true, y_pred`.
        ignore_class: Int or None. Examples with this label count neither in the loss
            nor in its mean; need not be one of the classes (255, -1).
        reduction: As in Keras: `"sum_over_batch_size"`, `"sum"`, `"mean"`,
            `"mean_with_sample_weight"` or None.
        name: Name of the loss; the function's by default.
        dtype: Type of the result; Keras' `floatx()` by default.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is outside its limits.
    """

    function = None
    limits = {}

    def __init__(
        self,
        parameters,
        ignore_class=None,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        **unknown,
    ):
        owner = type(self).__name__
        _check_arguments(type(self), parameters, unknown)
        check(owner, {"ignore_class": _IGNORE}, ignore_class=ignore_class)
        check(owner, self.limits, **parameters)
        super().__init__(name or self.function.__name__, reduction, dtype)
        self.ignore_class = ignore_class
        self._names = tuple(parameters)
        self._given_dtype = dtype is not None
        for key, value in parameters.items():
            setattr(self, key, value)

    def activation(self, logits):
        """Class probabilities that this loss computes from logits, `(..., classes)`."""
        return ops.softmax(logits, axis=-1)

    def call(self, y_true, y_pred):
        """Loss per example, shape `(...)`, in float32 or float64; nothing ignored."""
        y_pred = ops.cast(y_pred, self._wide_dtype())
        labels = y_true
        if not isinstance(labels, Labels):
            labels = Labels(y_true, y_pred, self.ignore_class)
        losses = self.function(labels, y_pred, **self._parameters())
        known = labels.known()
        return losses if known is None else ops.where(known, losses, 0)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Loss of a batch, reduced as `reduction` says."""
        given = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
        check_rank(type(self).__name__, **given)
        if any_symbolic(*given.values()):
            return symbolic_call(self, given)
        return self._reduced(**given)

    def _reduced(self, y_true, y_pred, sample_weight):
        mask = get_keras_mask(y_pred)
        y_pred = _widen(y_pred, self._wide_dtype())

        def compute():
            labels = Labels(y_true, y_pred, self.ignore_class)
            return labels, self.call(labels, y_pred)

        labels, losses = without_excluded(
            compute, mask, sample_weight, tuple(y_pred.shape[:-1])
        )
        if self.ignore_class is not None:
            ignored = labels.equal(self.ignore_class)
            losses = ops.where(ignored, 0, losses)
            kept = ops.logical_not(ignored)
            mask = kept if mask is None else ops.logical_and(mask, kept)
        return self._reduce(losses, mask, sample_weight)

    def __copy__(self):
        """A copy with the same variables; Keras' own would hold numbers."""
        return shallow_copy(self)

    def __deepcopy__(self, memo):
        """A copy that shares nothing but variables."""
        return deep_copy(self, memo)

    def get_config(self):
        """Everything that builds this loss again, as plain JSON values."""
        config = super().get_config()
        for name in self._names:
            config[name] = current_value(getattr(self, name))
        if self.ignore_class is not None:
            config["ignore_class"] = self.ignore_class
        if self._given_dtype:
            config["dtype"] = self._dtype_policy.name
        return config

    def _wide_dtype(self):
        return "float64" if self.dtype == "float64" else "float32"

    def _parameters(self):
        """What the function takes after `y_true, y_pred`, variables by their value."""
        parameters = {name: getattr(self, name) for name in self._names}
        for name, value in parameters.items():
            if is_variable(value):
                value = ops.cast(ops.convert_to_tensor(value), self._wide_dtype())
                parameters[name] = ops.stop_gradient(value)
        return parameters

    def _reduce(self, losses, mask, sample_weight):
        if mask is not None:
            set_keras_mask(losses, mask)
        reduce = _Reduce(self.name, self.reduction, self._wide_dtype())
        return _saturating_cast(reduce(losses, losses, sample_weight), self.dtype)


class TaskLoss(FunctionLoss):
    """A function of targets that are no class labels, as a `keras.losses.Loss`.

    The same as `FunctionLoss` in every other way: parameters, variables, config and
    dtype. Targets are numbers of whatever shape the function takes: a value or a row
    of values per box, a map per image.

    A subclass whose `y_pred` are logits of classes defines `activation(logits)`, the
    probabilities that it computes from them: `serving.export` puts it into the model.
    By default it is None: the predictions are no class probabilities.

    Args:
        parameters: Dict of the function's arguments after `y_true, y_pred`.
        reduction: As in `FunctionLoss`.
        name: Name of the loss; the function's by default.
        dtype: Type of the result; Keras' `floatx()` by default.

    Raises:
        TypeError: A parameter is of the wrong kind.
        ValueError: A parameter is outside its limits.
    """

    activation = None

    def __init__(
        self,
        parameters,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        **unknown,
    ):
        _check_arguments(type(self), parameters, unknown)
        super().__init__(parameters, None, reduction, name, dtype)

    def call(self, y_true, y_pred):
        """Loss per example, as the function gives it, in float32 or float64."""
        wide = self._wide_dtype()
        y_true = ops.cast(ops.convert_to_tensor(y_true), wide)
        return self.function(y_true, ops.cast(y_pred, wide), **self._parameters())

    def counted(self, y_true):
        """Whether an example counts in the mean, bool, or None if all do."""
        return None

    def _reduced(self, y_true, y_pred, sample_weight):
        mask = get_keras_mask(y_pred)
        y_pred = _widen(y_pred, self._wide_dtype())
        losses = without_excluded(
            lambda: self.call(y_true, y_pred), mask, sample_weight
        )
        counted = self.counted(y_true)
        if counted is not None:
            mask = counted if mask is None else ops.logical_and(mask, counted)
        return self._reduce(losses, mask, sample_weight)


def without_excluded(compute, mask, sample_weight, shape=None):
    """`compute()`, where targets that do not count are not refused.

    Padding is often labelled -100 and excluded by a mask or a weight of 0. A compiled
    program cannot see either and takes it for no label; so does this where a target is
    refused that does not count.

    Args:
        compute: Function that returns the losses and may refuse targets that it sees.
        mask: Bool tensor or None.
        sample_weight: Tensor or None.
        shape: Shape of the losses per example; that of the result if None.

    Returns:
        The result of `compute`.
    """
    try:
        return compute()
    except ValueError as error:
        refused = getattr(error, "refused", None)
        if refused is None or (mask is None and sample_weight is None):
            raise
        with hidden_values():
            result = compute()
        if _any_counts(refused, (mask, sample_weight), shape or tuple(result.shape)):
            raise
        return result


def _any_counts(refused, weights, shape):
    """Whether a refused target has a weight other than 0, as Keras will apply them."""
    refused = refused.reshape(refused.shape + (1,) * (len(shape) - refused.ndim))
    refused = refused.any(axis=tuple(range(len(shape), refused.ndim)))
    counts = np.ones(shape, bool)
    for weight in weights:
        seen = None if weight is None else visible(weight)
        if seen is None:
            if weight is not None:  # hidden, and so is whether the target counts
                return False
            continue
        if seen.ndim == len(shape) + 1 and seen.shape[-1] == 1:
            seen = seen[..., 0]
        elif seen.ndim == 1 and len(shape) == 2 and shape[-1] == 1:
            seen = seen[:, None]
        try:
            counts &= np.broadcast_to(seen != 0, shape)
        except ValueError:  # Keras has its own words for a weight that does not fit
            pass
    return bool((refused & counts).any())


_IGNORE = Range(integer=True, optional=True)


def _check_arguments(loss_class, parameters, unknown):
    """Raises for arguments that a loss does not have, and switches that are no bool."""
    owner = loss_class.__name__
    signature = inspect.signature(loss_class).parameters
    if unknown:
        named = [name for name in signature if name != "keras_options"]
        known = ", ".join([*named, "reduction", "name", "dtype"])
        raise TypeError(
            f"{owner}: unknown argument {next(iter(unknown))!r}. It has {known}."
        )
    for name, value in parameters.items():
        if name in signature and isinstance(signature[name].default, bool):
            check_flag(owner, name, value)


class _Reduce(keras.losses.Loss):
    """Keras' weighting, masking and reduction of losses that are there already."""

    def call(self, y_true, y_pred):
        return y_pred


def _widen(y_pred, dtype):
    """`y_pred` in `dtype`; its gradient stays finite on the way back to float16."""
    if not ops.is_tensor(y_pred):
        return ops.convert_to_tensor(y_pred, dtype)
    if keras.backend.standardize_dtype(y_pred.dtype) != "float16":
        return ops.cast(y_pred, dtype)
    return widened(y_pred, dtype)


def _saturating_cast(values, dtype):
    """A cast that gives the largest value of `dtype` in place of infinity."""
    if dtype == "float16":
        clipped = ops.clip(values, -65504.0, 65504.0)
        # the gradient is that of `values`, whose difference from itself is exactly 0
        values = ops.stop_gradient(clipped) + (values - ops.stop_gradient(values))
    return ops.cast(values, dtype)
