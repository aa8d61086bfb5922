"""What a model has to be for a loss to be searched on it."""

import keras

from tfrobustloss._core import models
from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_NAME = "architecture"


def check(owner, model, num_classes=None):
    """Raises if a model is not built or does not end in logits.

    Args:
        owner: Name of what was given the model, for errors.
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
        raise ParameterTypeError(owner, _NAME, model, constraint)
    if not model.built:
        constraint, hint = "built", "Give it a `keras.Input`, or call it once."
        raise ParameterError(owner, _NAME, model.name, constraint, hint)
    shape = getattr(model, "output_shape", None)
    count = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    if not isinstance(count, int) or count not in (num_classes, num_classes or count):
        wanted = num_classes or "a number for each class"
        constraint = f"a model whose output has the shape (batch, {wanted})"
        raise ParameterError(owner, _NAME, shape, constraint)
    if models.are_probabilities(model):
        constraint, hint = "a model that ends in logits", "Leave out its activation."
        text = f"{model.name}, which ends in probabilities"
        raise ParameterError(owner, _NAME, text, constraint, hint)
    return count
