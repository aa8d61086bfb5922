"""Checks of a model: is it built, how does it end, how many outputs has it."""

import keras

from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_SOFTMAX = ("Softmax", "TemperedSoftmax")  # layers and operations
_SIGMOID = ("Sigmoid",)
_OF_KERAS = {
    "sigmoid": (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy),
    "softmax": (
        keras.losses.CategoricalCrossentropy,
        keras.losses.CategoricalFocalCrossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ),
}


def ending(model):
    """The last activation of a model: `"softmax"`, `"sigmoid"` or None.

    Args:
        model: A `keras.Model`, of which the operation that computes its first output
            is looked at (of an unbuilt `Sequential`, its last layer); or a layer.

    Returns:
        `"softmax"` for a softmax or tempered softmax, `"sigmoid"`, or None for anything
        else, and where it cannot be seen.
    """
    while isinstance(model, keras.Model):
        outputs = getattr(model, "outputs", None)
        if not outputs and isinstance(model, keras.Sequential) and model.layers:
            model = model.layers[-1]
            continue
        if not outputs:  # a subclassed model: its code says, not the order of layers
            outputs = _symbolic_outputs(model)
        if not outputs:
            return None
        model = outputs[0]._keras_history.operation
    names = {one.__name__ for one in type(model).__mro__}
    activation = getattr(model, "activation", None)
    if names.intersection(_SOFTMAX) or activation is keras.activations.softmax:
        return "softmax"
    if names.intersection(_SIGMOID) or activation is keras.activations.sigmoid:
        return "sigmoid"
    return None


def are_probabilities(model):
    """True if a model or layer ends in a softmax, tempered softmax or sigmoid.

    Args:
        model: As for `ending`.

    Returns:
        Bool; False also where it cannot be seen.
    """
    return ending(model) is not None


def keras_activation(loss):
    """The activation that one of Keras' own losses applies to logits.

    Args:
        loss: A `keras.losses.Loss`.

    Returns:
        `"sigmoid"`, `"softmax"`, or None for a loss without `from_logits` and for
        classes that are not Keras' own.
    """
    for name, classes in _OF_KERAS.items():
        if isinstance(loss, classes):
            return name
    return None


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


def symbolic_inputs(model):
    """Symbolic inputs of the shapes with which a subclassed model was first called.

    Args:
        model: A `keras.Model`.

    Returns:
        A `keras.Input`, or a list or dict of them; None for a model that was not
        called, or that takes several arguments.
    """
    shapes = (model.get_build_config() or {}).get("input_shape")
    return None if shapes is None else _inputs(shapes)


def _inputs(shapes):
    if isinstance(shapes, dict):
        return {
            name: keras.Input(shape[1:], name=name) for name, shape in shapes.items()
        }
    if shapes and isinstance(shapes[0], list | tuple):
        return [_inputs(shape) for shape in shapes]
    return keras.Input(shapes[1:])


def _symbolic_outputs(model):
    """Outputs of `model.call` as a graph of its layers; None where it has none."""
    inputs = symbolic_inputs(model) if model.built else None
    if inputs is None:
        return None
    try:
        outputs = keras.tree.flatten(model.call(inputs))
    except Exception:  # user's code, which may use TensorFlow or NumPy directly
        return None
    known = all(hasattr(output, "_keras_history") for output in outputs)
    return outputs if known else None
