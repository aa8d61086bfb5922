"""Callbacks that schedule a loss's hyperparameter over epochs."""

import keras

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


class ShiftToBoundary(keras.callbacks.Callback):
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

    def __init__(self, weight, start=0.01, step=0.01, end=0.99):
        super().__init__()
        if not isinstance(weight, keras.Variable):
            constraint = "the `keras.Variable` that the loss has as `alpha`"
            raise ParameterTypeError("ShiftToBoundary", "weight", weight, constraint)
        check("ShiftToBoundary", _LIMITS, start=start, step=step, end=end)
        if step * (end - start) < 0:
            constraint = f"of the sign that leads from `start` {start} to `end` {end}"
            raise ParameterError("ShiftToBoundary", "step", step, constraint)
        self.weight = weight
        self.start, self.step, self.end = start, step, end

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
        constraint = "the `keras.Variable` that a loss of the model has as `alpha`"
        hint = (
            "A loaded model has a number there. Compile it again: "
            "`model.compile(model.optimizer, RegionBoundary(alpha=weight, ...))`."
        )
        if not _may_have(self.model, self.weight):
            raise ParameterError(
                "ShiftToBoundary", "weight", self.weight, constraint, hint
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the weight of this epoch."""
        weight = self.start + self.step * epoch
        low, high = sorted((self.start, self.end))
        self.weight.assign(min(max(weight, low), high))


class SwitchAfterWarmUp(keras.callbacks.Callback):
    """Gives a loss's hyperparameter another value after some epochs.

    Such as `correction` of `losses.SelfPacedCorrection`, which the authors switch on
    after the first epoch. The value depends on the epoch's number alone, so
    `fit(initial_epoch=...)` goes on where it stopped. A saved model holds the value as
    a number: see `ShiftToBoundary` for how to compile a loaded one again.

    Args:
        variable: `keras.Variable` that is a loss's hyperparameter. (On JAX, make it an
            attribute of the model too, and `del` that before saving.) Copies of the
            callback share it.
        epochs: Int >= 0, the number of epochs before the switch.
        before: Number, the value during these epochs.
        after: Number, the value from then on.

    Raises:
        TypeError: `variable` is no `keras.Variable`, or another value is no number.
        ValueError: A number is out of range. In `fit`: no loss of the model has
            `variable`, where that can be told, as for `ShiftToBoundary`.

    Example:
        >>> from tfrobustloss import losses
        >>> correction = keras.Variable(0.0, trainable=False)
        >>> loss = losses.SelfPacedCorrection(correction=correction, from_logits=True)
        >>> switch = SwitchAfterWarmUp(correction, epochs=1)
        >>> for epoch in range(3):
        ...     switch.on_epoch_begin(epoch)
        ...     print(float(correction))
        0.0
        1.0
        1.0

    Reference:
        Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
        Missing Labels", arXiv 2112.07368.
    """

    def __init__(self, variable, epochs=1, before=0.0, after=1.0):
        super().__init__()
        owner = "SwitchAfterWarmUp"
        if not isinstance(variable, keras.Variable):
            constraint = "a `keras.Variable` that is a hyperparameter of the loss"
            raise ParameterTypeError(owner, "variable", variable, constraint)
        limits = {
            "epochs": Range(low=0, integer=True),
            "before": Range(),
            "after": Range(),
        }
        check(owner, limits, epochs=epochs, before=before, after=after)
        self.variable, self.epochs = variable, epochs
        self.before, self.after = before, after

    def __deepcopy__(self, memo):
        """A copy for another training, which sets the same variable."""
        if self.model is not None:
            memo[id(self.model)] = self.model
        return deep_copy(self, memo)

    def on_train_begin(self, logs=None):
        """Checks that a loss of the model has the variable.

        Raises:
            ValueError: No loss has it.
        """
        if not _may_have(self.model, self.variable):
            owner, value = "SwitchAfterWarmUp", self.variable
            constraint = "a `keras.Variable` that a loss of the model has"
            hint = (
                "A loaded model has a number there. Compile it again with a loss that "
                "has the variable."
            )
            raise ParameterError(owner, "variable", value, constraint, hint)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the value of this epoch."""
        self.variable.assign(self.before if epoch < self.epochs else self.after)


def _may_have(model, variable):
    """Whether a loss of a model has a variable; True where that cannot be told."""
    if model is None or _trains_its_own_way(model) or model.loss is None:
        return True
    if any(_has(loss, variable) for loss in keras.tree.flatten(model.loss)):
        return True
    return _in_layers(model, variable)


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
