"""Checks of a model: is it built, how does it end, how many outputs has it."""

import inspect

import keras

from tfrobustloss._core.validation import ParameterError, ParameterTypeError

_TEMPERED = "TemperedSoftmax"
_SOFTMAX = ("Softmax", _TEMPERED)  # layers and operations
_SIGMOID = ("Sigmoid",)
_OF_KERAS = {
    "sigmoid": (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy),
    "softmax": (
        keras.losses.CategoricalCrossentropy,
        keras.losses.CategoricalFocalCrossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ),
}

# Keras' losses without `from_logits` that are defined on probabilities
_ON_PROBABILITIES = (
    keras.losses.CategoricalGeneralizedCrossEntropy,
    keras.losses.Dice,
    keras.losses.KLDivergence,
    keras.losses.Tversky,
)
_FUNCTIONS_ON_PROBABILITIES = (
    keras.losses.categorical_generalized_cross_entropy,
    keras.losses.dice,
    keras.losses.kl_divergence,
    keras.losses.tversky,
)


def ending(model):
    """The last activation of a model: `"softmax"`, `"sigmoid"` or None.

    Args:
        model: A `keras.Model`, of which the operation that computes its first output
            is looked at (of an unbuilt `Sequential`, its last layer); or a layer.

    Returns:
        `"softmax"` for a softmax or tempered softmax, `"sigmoid"`, also for a tempered
        softmax of one unit, or None for anything else, and where it cannot be seen.
    """
    width = None
    while isinstance(model, keras.Model):
        outputs = getattr(model, "outputs", None)
        if not outputs and isinstance(model, keras.Sequential) and model.layers:
            model = model.layers[-1]
            continue
        if not outputs:  # a subclassed model: its code says, not the order of layers
            outputs = _symbolic_outputs(model)
        if not outputs:
            return None
        model, width = outputs[0]._keras_history.operation, outputs[0].shape[-1]
    names = {one.__name__ for one in type(model).__mro__}
    activation = getattr(model, "activation", None)
    if width == 1 and _TEMPERED in names:
        return "sigmoid"
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


def only_loss(loss):
    """The loss itself where `compile` got a list or dict of one, or a name.

    Args:
        loss: What `keras.Model.loss` is: a loss, a function, a name, a list or dict of
            these, or None.

    Returns:
        A loss, a function or None; a list or dict of several as it is.
    """
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    return keras.losses.get(loss) if isinstance(loss, str) else loss


def on_logits(loss):
    """True for a loss on logits, False for one on probabilities, None if unknown.

    Args:
        loss: A `keras.losses.Loss`, a function, or None.
    """
    if isinstance(loss, keras.losses.Loss):
        if isinstance(loss, _ON_PROBABILITIES):
            return False
        said = getattr(loss, "from_logits", None)
        return loss.get_config().get("from_logits") if said is None else said
    if loss in _FUNCTIONS_ON_PROBABILITIES:
        return False
    if not callable(loss):
        return None
    # Keras calls functions with `(y_true, y_pred)`, so that defaults are what counts
    try:
        said = inspect.signature(loss).parameters.get("from_logits")
    except ValueError:  # a function of C
        return None
    return None if said is None else said.default


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
    """Raises if a model is not built or does not end in logits of classes.

    That is one logit a class, or a single one for two classes.

    Args:
        owner: Name of the class or function that took the model.
        name: Name of the parameter.
        model: What should be a `keras.Model`.
        num_classes: Int, number of classes that it should have, or None for any.

    Returns:
        Number of its classes.

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
    count = 2 if count == 1 else count
    if not isinstance(count, int) or count not in (num_classes, num_classes or count):
        wanted = num_classes or "a number for each class"
        constraint = f"a model whose output has the shape (batch, {wanted})"
        constraint += " or (batch, 1)" if num_classes in (2, None) else ""
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
