"""Checks of a model: is it built, how many outputs, does it end in probabilities."""

import keras

from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_PROBABILITIES = {"Softmax", "Sigmoid", "TemperedSoftmax"}  # layers and operations


def are_probabilities(model):
    """Whether a model or layer ends in a softmax, tempered softmax or sigmoid.

    Args:
        model: A `keras.Model`, of which the operation that makes its first output is
            looked at, or its last layer where the operation is not known; or a layer.

    Returns:
        Bool; False also where neither is known.
    """
    while isinstance(model, keras.Model):
        outputs = getattr(model, "outputs", None)
        if outputs:
            model = outputs[0]._keras_history.operation
        elif model.layers:
            model = model.layers[-1]
        else:
            break
    names = {one.__name__ for one in type(model).__mro__}
    known = (keras.activations.softmax, keras.activations.sigmoid)
    return bool(names & _PROBABILITIES) or getattr(model, "activation", None) in known


def check_built(owner, name, model):
    """Raises a ValueError if a model has no variables yet.

    Args:
        owner: Name of the class or function that took the model.
        name: Name of the parameter.
        model: A `keras.Model`.
    """
    if not model.built:
        constraint, hint = "built", "Give it a `keras.Input`, or call it once."
        raise ParameterError(owner, name, model.name, constraint, hint)


def check_logits(owner, name, model, num_classes=None):
    """Raises if a model is not built or does not end in one logit a class.

    Args:
        owner: Name of the class or function that took the model.
        name: Name of the parameter.
        model: What should be a `keras.Model`.
        num_classes: Int, number of outputs that it should have, or None for any.

    Returns:
        Number of its outputs.

    Raises:
        TypeError: It is no model.
        ValueError: It is not built, or its output is not one row of logits.
    """
    if not isinstance(model, keras.Model):
        constraint = "a `keras.Model` or a function that returns one"
        raise ParameterTypeError(owner, name, model, constraint)
    check_built(owner, name, model)
    shape = getattr(model, "output_shape", None)
    count = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    if not isinstance(count, int) or count not in (num_classes, num_classes or count):
        wanted = num_classes or "a number for each class"
        constraint = f"a model whose output has the shape (batch, {wanted})"
        raise ParameterError(owner, name, shape, constraint)
    if are_probabilities(model):
        constraint, hint = "a model that ends in logits", "Leave out its activation."
        text = f"{model.name}, which ends in probabilities"
        raise ParameterError(owner, name, text, constraint, hint)
    return count
