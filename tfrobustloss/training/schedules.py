"""Callbacks that schedule a loss's hyperparameter over epochs."""

import math
import numbers

import keras
import numpy as np

from tfrobustloss._core.tensors import deep_copy
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

_LIMITS = {
    "start": Range(0, 1),
    "step": Range(-1, 1),
    "end": Range(0, 1),
}
_KNOWN = ("keras", "tfrobustloss")  # whose losses hold nothing that is not an attribute


class HoldsVariable(keras.callbacks.Callback):
    """Callback that holds a variable of a loss, and checks that a loss has it.

    Attributes:
        holds: Name of the argument that is the variable.
        role: How a loss has the variable, to follow "the variable that a loss has".
        hint: What to do where no loss of the model has it.
    """

    holds = role = hint = ""

    def __init__(self, variable):
        super().__init__()
        if not isinstance(variable, keras.Variable):
            constraint = f"the `keras.Variable` that the loss has {self.role}"
            raise ParameterTypeError(
                type(self).__name__, self.holds, variable, constraint
            )
        setattr(self, self.holds, variable)

    def __deepcopy__(self, memo):
        """A copy for another training, which moves the same variable."""
        if self.model is not None:
            memo[id(self.model)] = self.model
        return deep_copy(self, memo)

    def on_train_begin(self, logs=None):
        """Checks that a loss of the model has the variable.

        Raises:
            ValueError: No loss has it.
        """
        model, variable = self.model, getattr(self, self.holds)
        if model is None or _trains_its_own_way(model) or model.loss is None:
            return
        if any(_has(loss, variable) for loss in keras.tree.flatten(model.loss)):
            return
        if _in_layers(model, variable):
            return
        constraint = f"the `keras.Variable` that a loss of the model has {self.role}"
        raise ParameterError(
            type(self).__name__, self.holds, variable, constraint, self.hint
        )


class ParameterScheduler(HoldsVariable):
    """Changes a parameter of a loss from epoch to epoch, as a schedule says.

    Any scalar parameter of a loss may be a `keras.Variable`; the compiled training step
    sees each value without being traced again. Many losses begin as cross-entropy and
    turn robust once the model has learnt something:

        q = keras.Variable(0.0, trainable=False)
        model.compile("adam", losses.GeneralizedCrossEntropy(q))
        callbacks = [ParameterScheduler(q, {5: 0.0, 25: 0.7})]

    leaves `q` at 0, which is cross-entropy, until epoch 5, and raises it to 0.7 until
    epoch 25. `beta` of `ConfidenceRegularized` is published as `{10: 0.0, 40: 2.0}`;
    the weight of `SparseRegularized` on CIFAR-10 as `lambda epoch: 1.2 * 1.03**epoch`.
    `alpha` of `Peer` and the negative `label_smoothing` of `CrossEntropy` begin at 0.

    The value depends on the epoch's number alone, so `fit(initial_epoch=...)` goes on
    where it stopped. A saved model holds the value as a number: compile a loaded one
    again, with a loss that has the variable.

    Args:
        parameter: `keras.Variable` that is a parameter of the loss. (On JAX, make it an
            attribute of the model too, and `del` that before saving.) Copies of the
            callback share it.
        schedule: Dict of epochs (from 0) to values, joined by straight lines: before
            its first epoch the value is the first, after the last the last. Or a
            function of the epoch that returns the value.

    Raises:
        TypeError: `parameter` is no `keras.Variable`, or the schedule is of another
            kind.
        ValueError: The schedule has no epoch, or an epoch or value that is none. In
            `fit`: a value is outside the range of the loss' parameter, or no loss of
            the model has `parameter`, where that can be told.

    Example:
        >>> q = keras.Variable(0.0, trainable=False)
        >>> scheduler = ParameterScheduler(q, {5: 0.0, 25: 0.7})
        >>> for epoch in (0, 15, 100):
        ...     scheduler.on_epoch_begin(epoch)
        ...     print(round(float(q), 4))
        0.0
        0.35
        0.7
    """

    holds = "parameter"
    role = "as a parameter"
    hint = (
        "A loaded model has a number there. Build the loss with the variable and "
        "compile again: `model.compile(model.optimizer, loss)`."
    )

    def __init__(self, parameter, schedule):
        super().__init__(parameter)
        self.schedule = schedule if callable(schedule) else _checked_points(schedule)

    def on_train_begin(self, logs=None):
        """Checks that a loss has the variable, and that its range has the values."""
        super().on_train_begin(logs)
        if not callable(self.schedule):
            for value in self.schedule.values():
                self._check_range(value)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the value of this epoch.

        Raises:
            TypeError: The schedule's function returns no number.
            ValueError: The value is not finite or outside the range of the parameter.
        """
        value = self._value(epoch)
        self._check_range(value)
        self.parameter.assign(value)

    def _value(self, epoch):
        if not callable(self.schedule):
            epochs, values = zip(*self.schedule.items(), strict=True)
            return float(np.interp(epoch, epochs, values))
        value = self.schedule(epoch)
        check("ParameterScheduler", {"schedule": Range()}, schedule=value)
        return float(value)

    def _check_range(self, value):
        """Raises where a loss of the model has a range that `value` is outside of."""
        for loss in keras.tree.flatten(getattr(self.model, "loss", None)):
            for owner, name in _places(loss, self.parameter):
                limits = getattr(type(owner), "limits", {})
                check(type(owner).__name__, limits, **{name: value})


def _checked_points(schedule):
    """The points of a schedule in order of their epochs."""
    owner, constraint = (
        "ParameterScheduler",
        "a dict of epochs to values, or a function",
    )
    if not isinstance(schedule, dict):
        raise ParameterTypeError(owner, "schedule", schedule, constraint)
    for epoch, value in schedule.items():
        numeric = [isinstance(each, numbers.Real) for each in (epoch, value)]
        if not all(numeric) or isinstance(epoch, bool) or isinstance(value, bool):
            raise ParameterTypeError(owner, "schedule", schedule, constraint)
    if not schedule or not all(
        epoch >= 0 and epoch == int(epoch) and math.isfinite(value)
        for epoch, value in schedule.items()
    ):
        constraint = "of epochs from 0 on, whole numbers, and finite values"
        raise ParameterError(owner, "schedule", schedule, constraint)
    return dict(sorted(schedule.items()))


class ShiftToBoundary(HoldsVariable):
    """Moves the weight of `losses.RegionBoundary` from the region to the boundary.

        weight in epoch e (from 0) = start + step * e, as far as end

    The weight depends on the epoch's number alone, so `fit(initial_epoch=...)` goes on
    where it stopped. The defaults are those of the authors' Keras code, whose region
    weight falls from 1 by 0.01 an epoch to 0.01 (they begin at 0 where this begins at
    0.01, their weight for the form without rebalance).

    A saved model holds the weight as a number, so that a loaded one is compiled again,
    with a new variable and the optimizer that it has:

        model = keras.saving.load_model("model.keras")
        weight = keras.Variable(0.01, trainable=False)
        config = {**model.loss.get_config(), "alpha": weight}
        model.compile(model.optimizer, losses.RegionBoundary.from_config(config))
        callbacks = [ShiftToBoundary(weight)]
        model.fit(..., initial_epoch=20, epochs=40, callbacks=callbacks)

    Args:
        weight: `keras.Variable` that is the loss' `alpha`. (On JAX, make it an
            attribute of the model too, and `del` that before saving.) Copies of the
            callback share it: a tuner makes one for each trial.
        start: Weight of the boundary loss in the first epoch, in [0, 1].
        step: What an epoch adds, in [-1, 1]; below 0 if `end` is below `start`.
        end: Where it stops, in [0, 1].

    Raises:
        TypeError: `weight` is no `keras.Variable`.
        ValueError: A number is out of range, or `step` leads away from `end`. In `fit`:
            no loss of the model has `weight`, where that can be told: not if a loss is
            a function or a class of your own, or the training step is.

    Example:
        >>> weight = keras.Variable(0.01, trainable=False)
        >>> shift = ShiftToBoundary(weight, step=0.1)
        >>> for epoch in range(12):
        ...     shift.on_epoch_begin(epoch)
        >>> round(float(weight), 4)
        0.99

    Reference:
        Kervadec et al., "Boundary Loss for Highly Unbalanced Segmentation", MIDL 2019.
    """

    holds = "weight"
    role = "as `alpha`"
    hint = (
        "A loaded model has a number there. Compile it again: "
        "`model.compile(model.optimizer, RegionBoundary(alpha=weight, ...))`."
    )

    def __init__(self, weight, start=0.01, step=0.01, end=0.99):
        super().__init__(weight)
        check("ShiftToBoundary", _LIMITS, start=start, step=step, end=end)
        if step * (end - start) < 0:
            constraint = f"of the sign that leads from `start` {start} to `end` {end}"
            raise ParameterError("ShiftToBoundary", "step", step, constraint)
        self.start, self.step, self.end = start, step, end

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the weight of this epoch."""
        weight = self.start + self.step * epoch
        low, high = sorted((self.start, self.end))
        self.weight.assign(min(max(weight, low), high))


def _trains_its_own_way(model):
    """Whether a model's training may use other losses than it was compiled with."""
    own = ("train_step", "compute_loss")
    return any(
        name in vars(model)
        or getattr(type(model), name, None) is not getattr(keras.Model, name)
        for name in own
    )


def _in_layers(model, variable):
    return any(each is variable for layer in model.layers for each in layer.variables)


def _has(loss, variable):
    """Whether a loss has the variable, or may have it: its inside is not known."""
    if loss is None or isinstance(loss, str):
        return False
    if not isinstance(loss, keras.losses.Loss):
        return True
    code = type(loss), getattr(loss, "fn", type(loss))  # Keras wraps functions
    if any(part.__module__.partition(".")[0] not in _KNOWN for part in code):
        return True
    return any(
        part is variable
        or (isinstance(part, keras.losses.Loss) and _has(part, variable))
        for part in keras.tree.flatten(vars(loss))
    )


def _places(loss, variable):
    """Pairs of a loss, nested ones too, and its attribute that is the variable."""
    if not isinstance(loss, keras.losses.Loss):
        return
    for name, part in vars(loss).items():
        if part is variable:
            yield loss, name
        for inner in keras.tree.flatten(part):
            yield from _places(inner, variable)
