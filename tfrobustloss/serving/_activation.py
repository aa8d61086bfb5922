"""Output activation of an exported model: given, or read from its compiled loss."""

import warnings

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import models
from tfrobustloss._core.validation import ParameterError, check
from tfrobustloss.losses import (
    BiTemperedLogistic,
    IoUBalancedClassification,
    tempered_softmax,
)

_LIMITS = {"temperature": BiTemperedLogistic.limits["t2"]}
_BY_NAME = {
    "linear": lambda outputs: outputs,
    "sigmoid": ops.sigmoid,
    "softmax": lambda logits: ops.softmax(logits, axis=-1),
}
_SAY = (
    'Say what the outputs need: activation="softmax" or "sigmoid" for logits, '
    'temperature=t2 for logits of the bi-tempered loss, activation="linear" to leave '
    "them as they are."
)
_LEAVE = 'Say activation="linear" to leave its outputs as they are.'
_SEVERAL = (
    "Train it with a loss of many labels, such as `losses.MultiLabel`, or say "
    'activation="sigmoid" for logits.'
)
_ONE_UNIT = (
    "Train one unit with a sigmoid, for example `BinaryCrossentropy`, or give the "
    "model two units."
)


def find(
    owner, model, activation=None, temperature=None, loss=None, several_labels=False
):
    """The function from the model's outputs to probabilities, and its description.

    A model with one unit gets two columns, `[1 - p, p]`, unless it is one label of
    several that an example may have at once.

    Args:
        owner: Name of the function that asks, for errors.
        model: A built `keras.Model` with one output.
        activation: `"linear"`, `"sigmoid"`, `"softmax"`, or None to read it off the
            compiled loss.
        temperature: Temperature of a tempered softmax, or None.
        loss: The compiled loss where it is not the model's own.
        several_labels: Whether each output is a label of its own.

    Returns:
        `(function, text)`.

    Raises:
        TypeError: `temperature` is not a number.
        ValueError: A value is none of those above, the activation is not known, the
            outputs are probabilities already, a softmax has a single unit, or several
            labels have a softmax.
    """
    function, text = _function(owner, model, activation, temperature, loss)
    if several_labels:
        _refuse_softmax(owner, model, function)
        return function, text
    if model.outputs[0].shape[-1] != 1:
        return function, text
    _refuse_softmax_of_one(owner, model, function)
    return lambda outputs: _two_columns(function(outputs)), text


def has_several_labels(model, loss=None):
    """True if the compiled loss is a multi-label loss.

    Args:
        model: A `keras.Model`.
        loss: The compiled loss where it is not the model's own.

    Returns:
        Bool; False for Keras' own losses, which do not say it.
    """
    loss = models.only_loss(getattr(model, "loss", None) if loss is None else loss)
    return bool(getattr(loss, "several_labels", False))


def num_classes(model):
    """The number of classes of a model: one unit stands for two."""
    return max(2, model.outputs[0].shape[-1])


def _function(owner, model, activation, temperature, loss):
    if activation is not None and activation not in _BY_NAME:
        constraint = f"one of {', '.join(_BY_NAME)}, or None"
        raise ParameterError(owner, "activation", activation, constraint)
    if temperature is not None:
        check(owner, _LIMITS, temperature=temperature)
        if activation is not None:
            hint = f"The activation is {activation!r} already."
            raise ParameterError(owner, "temperature", temperature, "None", hint)
        _refuse_second(owner, model, "temperature", temperature)
        return _tempered(temperature), f"tempered softmax of {temperature:g}"
    if activation is not None:
        if activation != "linear":
            _refuse_second(owner, model, "activation", activation)
        return _BY_NAME[activation], activation
    return _from_loss(owner, model, loss)


def _refuse_second(owner, model, name, value):
    """Raises if the model ends in probabilities: an activation would come twice."""
    if models.are_probabilities(model):
        constraint = "None for a model that ends in probabilities"
        raise ParameterError(owner, name, value, constraint, _LEAVE)


def _from_loss(owner, model, loss):
    ends = models.are_probabilities(model)
    loss = models.only_loss(getattr(model, "loss", None) if loss is None else loss)
    if isinstance(loss, IoUBalancedClassification) and model.outputs[0].shape[-1] > 4:
        constraint = "one that gives the scores of classes alone"
        hint = (
            "IoUBalancedClassification takes rows [box, classes]. Export "
            "keras.Model(model.inputs, model.outputs[0][..., 4:]) with "
            'activation="sigmoid", or "linear" for probabilities.'
        )
        raise ParameterError(owner, "model", model.name, constraint, hint)
    on_logits = models.on_logits(loss)
    if on_logits is None and not ends:
        constraint = (
            "compiled with a loss that says whether it is on logits, or end in a "
            "softmax, sigmoid or TemperedSoftmax layer"
        )
        name = model.name if loss is None else f"{model.name}, with loss={_name(loss)}"
        raise ParameterError(owner, "model", name, constraint, _SAY)
    if not on_logits:
        return _BY_NAME["linear"], "linear"
    if ends:
        raise ValueError(
            f"{owner}: `model` must end in logits, as its loss has from_logits=True. "
            f"Received: model={model.name!r}, which ends in probabilities. {_LEAVE} "
            "Its training took the logarithm of a softmax of probabilities: better "
            "train it again with from_logits=False."
        )
    name = models.keras_activation(loss)
    if name is not None:
        return _BY_NAME[name], name
    if callable(getattr(loss, "activation", None)):
        return loss.activation, f"of the loss {loss.name}"
    raise ValueError(
        f"{owner}: `model` must have a loss whose activation is known. Received: "
        f"loss={_name(loss)} with from_logits=True. {_SAY} Or define the method "
        "`activation(logits)` in your loss."
    )


def _name(loss):
    """A short name of a loss: its class, or the function."""
    if isinstance(loss, keras.losses.Loss):
        return type(loss).__name__
    return getattr(loss, "__name__", repr(loss))


def _tempered(temperature):
    return lambda logits: tempered_softmax(logits, temperature)


def _two_columns(p):
    """Probabilities of both classes from that of the second."""
    return ops.concatenate([1 - p, p], axis=-1)


def _refuse_softmax_of_one(owner, model, function):
    """Raises for a softmax of a single unit, which is 1 whatever the input."""
    with warnings.catch_warnings():  # Keras warns of what is refused here
        warnings.filterwarnings("ignore", "You are using a softmax over axis")
        probabilities = function(ops.convert_to_tensor([[-1.0], [1.0]]))
    low, high = ops.convert_to_numpy(probabilities)
    if models.ending(model) == "softmax" or low == high:
        constraint = "wider than one unit for a softmax, which would always be 1"
        raise ParameterError(owner, "model", model.name, constraint, _ONE_UNIT)


def _refuse_softmax(owner, model, function):
    """Raises if the outputs are probabilities of classes of which one is right."""
    width = model.outputs[0].shape[-1]
    outputs = np.random.default_rng(0).normal(size=(3, width)).astype("float32")
    with warnings.catch_warnings():  # Keras warns of a softmax of one unit
        warnings.filterwarnings("ignore", "You are using a softmax over axis")
        probabilities = ops.convert_to_numpy(function(ops.convert_to_tensor(outputs)))
    total = probabilities.sum(axis=-1)
    if models.ending(model) == "softmax" or np.abs(total - 1).max() < 1e-3:
        constraint = (
            "one with a sigmoid for thresholds: probabilities of a softmax sum to 1"
        )
        raise ParameterError(owner, "model", model.name, constraint, _SEVERAL)


def refusal(owner, values):
    """The error for outputs outside [0, 1]; None if there is none.

    Args:
        owner: Name of the function that asks.
        values: Array of outputs.
    """
    if ((values >= -1e-3) & (values <= 1 + 1e-3)).all():
        return None
    low, high = float(values.min()), float(values.max())
    return ValueError(
        f"{owner}: the outputs must be probabilities, in [0, 1]. Received: outputs "
        f"from {low:.3g} to {high:.3g} for random inputs. {_SAY} A model that has no "
        "classes is exported by Keras: model.export(path)."
    )
