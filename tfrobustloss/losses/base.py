"""`FunctionLoss` and `TaskLoss`: base classes that wrap a per-example function."""

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
from tfrobustloss._core.validation import ParameterError, Range, check, check_flag
from tfrobustloss.losses.labels import Labels, class_probabilities


class FunctionLoss(keras.losses.Loss):
    """A per-example function as a `keras.losses.Loss`.

    A subclass names its `function` and the `limits` of its parameters, and hands its
    parameters over by name. Each becomes an attribute of that name and part of the
    config. `purpose`, `paper` and `paper_url` are for readers: what the loss is for,
    who published it, and where.

        class MyLoss(FunctionLoss):
            function = staticmethod(my_loss)  # of (y_true, y_pred, q, from_logits)
            limits = {"q": Range(0, 1)}

            def __init__(self, q=0.7, from_logits=False, **options):
                super().__init__(q=q, from_logits=from_logits, **options)

    A scalar parameter may be a `keras.Variable`: assigning to it changes a
    compiled model without tracing it again, and the config holds its current value.
    It gets no gradient: some losses would fall by moving their parameter alone. (On
    JAX, make the variable, with `trainable=False`, an attribute of the model as well.)

    The computation runs in float32, or float64 for that dtype, whatever the policy.

    Predictions of one unit, shape `(..., 1)`, are those of two classes: the probability
    of class 1, or its logit; labels are 0 and 1, or probabilities of class 1. `decode`
    makes the two classes. A function that reads `y_pred` without it says so by
    `one_unit = False` in its class.

    Invalid labels (an id outside the classes, a row whose mass is not 1, NaN) are
    refused where they can be seen, which is in eager code, unless a Keras mask or a
    sample weight of 0 excludes them. The compiled programs of `fit` and `evaluate`
    cannot see labels: there, an invalid one has the loss and the gradient 0, but
    counts in the mean. Check labels before training, or name their id `ignore_class`.

    Args:
        ignore_class: Int or None. Examples with this label count neither in the loss
            nor in its mean; need not be one of the classes (255, -1).
        reduction: As in Keras: `"sum_over_batch_size"`, `"sum"`, `"mean"`,
            `"mean_with_sample_weight"` or None.
        name: Name of the loss; the function's by default.
        dtype: Type of the result; Keras' `floatx()` by default.
        **named: The function's arguments after `y_true, y_pred`; they may come as a
            dict, the first argument, as well.

    Raises:
        TypeError: A parameter is of the wrong kind, or an argument is unknown.
        ValueError: A parameter is outside its limits.
    """

    function = None
    limits = {}
    purpose = paper = paper_url = ""
    per_example = one_unit = True
    shared_arguments = ("ignore_class", "reduction", "name", "dtype")

    def __init__(
        self,
        parameters=None,
        /,
        ignore_class=None,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        **named,
    ):
        owner, parameters = type(self).__name__, {**(parameters or {}), **named}
        _check_arguments(self, parameters)
        check(owner, {"ignore_class": _IGNORE}, ignore_class=ignore_class)
        check(owner, self.limits, **parameters)
        super().__init__(name or self.function.__name__, reduction, dtype)
        self.ignore_class = ignore_class
        self._names = tuple(parameters)
        self._given_dtype = dtype is not None
        for key, value in parameters.items():
            setattr(self, key, value)

    def bounds(self, num_classes):
        """Smallest and largest value for a one-hot label, or None if not known.

        Args:
            num_classes: Int, the number of classes.

        Returns:
            Two numbers, of which the second may be infinite, or None.
        """
        return None

    def activation(self, logits):
        """Class probabilities that this loss computes from logits.

        Args:
            logits: Float tensor, shape `(..., classes)`, or `(..., 1)` of one unit.

        Returns:
            Tensor of the same shape; of one unit, the probability of class 1.
        """
        return class_probabilities(logits)

    def call(self, y_true, y_pred):
        """Loss per example, shape `(...)`, float32 or float64; no class is ignored."""
        y_pred = ops.cast(y_pred, self._wide_dtype())
        labels = y_true
        if not isinstance(labels, Labels):
            labels = self._labels(y_true, y_pred)
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
            labels = self._labels(y_true, y_pred)
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
        """The constructor arguments as plain JSON values."""
        config = super().get_config()
        for name in self._names:
            config[name] = current_value(getattr(self, name))
        if self.ignore_class is not None:
            config["ignore_class"] = self.ignore_class
        if self._given_dtype:
            config["dtype"] = self._dtype_policy.name
        return config

    def _labels(self, y_true, y_pred):
        if not self.one_unit and tuple(y_pred.shape)[-1:] == (1,):
            constraint = "2 or more classes on its last axis for this loss"
            shape = tuple(y_pred.shape)
            raise ParameterError(type(self).__name__, "y_pred.shape", shape, constraint)
        return Labels(y_true, y_pred, self.ignore_class)

    def _wide_dtype(self):
        return "float64" if self.dtype == "float64" else "float32"

    def _parameters(self):
        """The function's arguments after `y_true, y_pred`; variables as tensors."""
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
    """A per-example function of targets other than class labels, as a Keras loss.

    The same as `FunctionLoss` in every other way: parameters, variables, config and
    dtype. Targets are numbers of whatever shape the function takes: a value or a row
    of values per box, a map per image.

    A subclass whose `y_pred` are logits of classes defines `activation(logits)`, the
    probabilities that it computes from them: `serving.export` puts it into the model.
    By default it is None: the predictions are no class probabilities.

    Args:
        reduction: As in `FunctionLoss`.
        name: Name of the loss; the function's by default.
        dtype: Type of the result; Keras' `floatx()` by default.
        **named: As in `FunctionLoss`.

    Raises:
        TypeError: A parameter is of the wrong kind, or an argument is unknown.
        ValueError: A parameter is outside its limits.
    """

    activation = None
    one_unit = False  # its predictions are no classes
    shared_arguments = ("reduction", "name", "dtype")

    def __init__(
        self,
        parameters=None,
        /,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        **named,
    ):
        _check_arguments(self, named)  # an `ignore_class` among them
        super().__init__(parameters, None, reduction, name, dtype, **named)

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

    Padding is often labelled -100 and excluded by a mask or a weight of 0. Where all
    refused targets are excluded, the losses are computed as a compiled program would,
    which cannot see targets.

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


def _check_arguments(loss, parameters):
    """Raises for unknown arguments, and for switches that are not bools."""
    owner = type(loss).__name__
    signature = inspect.signature(type(loss)).parameters
    named = [name for name, each in signature.items() if each.kind != each.VAR_KEYWORD]
    taken = {*named, *inspect.signature(loss.function).parameters}
    for name, value in parameters.items():
        if name not in taken:
            known = ", ".join([*named, *loss.shared_arguments])
            raise TypeError(f"{owner}: unknown argument {name!r}. It has {known}.")
        if name in signature and isinstance(signature[name].default, bool):
            check_flag(owner, name, value)


class _Reduce(keras.losses.Loss):
    """Keras' weighting, masking and reduction of losses that are computed already."""

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
