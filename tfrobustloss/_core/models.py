"""Whether what a model puts out are probabilities already."""

import keras

_PROBABILITIES = {"Softmax", "Sigmoid", "TemperedSoftmax"}  # layers and operations


def are_probabilities(model):
    """Whether a model or layer ends in a softmax, tempered softmax or sigmoid.

    Args:
        model: A `keras.Model`, of which the operation that makes its first output is
            looked at, or its last layer where it does not tell; or a layer.

    Returns:
        Bool; False also where nothing tells.
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
