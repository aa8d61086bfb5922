"""Probabilities or logits: how a model ends, and what Keras' losses expect of it."""

import keras

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
    """Whether a model or layer ends in a softmax, tempered softmax or sigmoid.

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
