"""What makes probabilities of a model's outputs: told, or read off its loss."""

import keras

from tfrobustloss._core import models
from tfrobustloss._core.validation import ParameterError, check
from tfrobustloss.losses import BiTemperedLogistic, tempered_softmax

_LIMITS = {"temperature": BiTemperedLogistic.limits["t2"]}
NAMES = ("linear", "sigmoid", "softmax")
_SAY = (
    'Say what the outputs need: activation="softmax" or "sigmoid" for logits, '
    'temperature=t2 for logits of the bi-tempered loss, activation="linear" to leave '
    "them as they are."
)
_LEAVE = 'Say activation="linear" to leave its outputs as they are.'


def find(owner, model, activation=None, temperature=None, loss=None):
    """The function from the model's outputs to probabilities, and its description.

    Args:
        owner: Name of the function that asks, for errors.
        model: A built `keras.Model` with one output.
        activation: One of `NAMES`, or None to read it off the compiled loss.
        temperature: Temperature of a tempered softmax, or None.
        loss: The compiled loss where it is not the model's own.

    Returns:
        `(function, text)`.

    Raises:
        TypeError: `temperature` is not a number.
        ValueError: A value is none of those above, nothing tells what the outputs
            are, or they are probabilities already.
    """
    if activation is not None and activation not in NAMES:
        constraint = f"one of {', '.join(NAMES)}, or None"
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
    """Raises if probabilities would be made of what is probabilities already."""
    if models.are_probabilities(model):
        constraint = "None for a model that ends in probabilities"
        raise ParameterError(owner, name, value, constraint, _LEAVE)


def _from_loss(owner, model, loss):
    ends = models.are_probabilities(model)
    loss = _only(getattr(model, "loss", None) if loss is None else loss)
    if loss is None:
        if ends:
            return _BY_NAME["linear"], "linear"
        raise ValueError(
            f"{owner}: `model` must be compiled, or end in a softmax, sigmoid or "
            f"TemperedSoftmax layer. Received: model={model.name!r}. {_SAY}"
        )
    if not getattr(loss, "from_logits", False):
        return _BY_NAME["linear"], "linear"
    if ends:
        raise ValueError(
            f"{owner}: `model` must end in logits, as its loss has from_logits=True. "
            f"Received: model={model.name!r}, which ends in probabilities. {_LEAVE} "
            "Its training took the logarithm of a softmax of probabilities: better "
            "train it anew with from_logits=False."
        )
    if callable(getattr(loss, "activation", None)):  # a loss of this package
        return loss.activation, f"of the loss {loss.name}"
    for name, kinds in _OF_KERAS.items():
        if isinstance(loss, kinds):
            return _BY_NAME[name], name
    raise ValueError(
        f"{owner}: `model` must have a loss whose activation is known. Received: "
        f"loss={type(loss).__name__} with from_logits=True. {_SAY}"
    )


def _only(loss):
    """The loss itself where `compile` got a list or dict of one."""
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple) and len(loss) == 1:
        return loss[0]
    return loss


def _tempered(temperature):
    return lambda logits: tempered_softmax(logits, temperature)


_BY_NAME = {
    "linear": lambda outputs: outputs,
    "sigmoid": keras.ops.sigmoid,
    "softmax": lambda logits: keras.ops.softmax(logits, axis=-1),
}
_OF_KERAS = {
    "sigmoid": (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy),
    "softmax": (
        keras.losses.CategoricalCrossentropy,
        keras.losses.CategoricalFocalCrossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ),
}


def refusal(owner, values):
    """The error for outputs that are no probabilities, None for those that are.

    Args:
        owner: Name of the function that asks.
        values: Array of outputs.
    """
    if ((values >= 0) & (values <= 1 + 1e-3)).all():
        return None
    low, high = float(values.min()), float(values.max())
    return ValueError(
        f"{owner}: the outputs must be probabilities, in [0, 1]. Received: outputs "
        f"from {low:.3g} to {high:.3g} for random inputs. {_SAY}"
    )
