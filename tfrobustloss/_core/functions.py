"""Functions and losses that Keras can save, and hold as nodes of functional models."""

import functools
import inspect

import keras

from tfrobustloss._core.backend import compute_output_spec
from tfrobustloss._core.shapes import check_rank
from tfrobustloss._core.tensors import current_value, is_variable

_WITH_AXES = ("y_true", "y_pred", "sample_weight", "logits")  # whose axes have meanings


def keras_function(function):
    """Decorator: registers a function with Keras and lets it take symbolic tensors.

    Tensors of unknown rank are refused, with the way out.

    The registered name is `tfrobustloss>losses.<name>`. Not `tfrobustloss>focal`: Keras
    gives an unregistered function `focal` of a file the first registered name that ends
    in `>focal`, so a user's own loss would be loaded as ours.

    Args:
        function: A public function of `losses`.

    Returns:
        A function of the same name and signature. Called with a `KerasTensor`, it is
        one node of the functional model: the model computes value and gradient as the
        function does, and its file holds the function's name and arguments.
    """
    names = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        ranked = {name: given[name] for name in _WITH_AXES if name in given}
        check_rank(function.__name__, **ranked)
        if any_symbolic(*given.values()) and len(given) == len(args) + len(kwargs):
            if not any(hasattr(value, "holds_tensors") for value in given.values()):
                return symbolic_call(call, given)
        return function(*args, **kwargs)

    name = f"losses.{function.__name__}"
    return keras.saving.register_keras_serializable("tfrobustloss", name)(call)


def any_symbolic(*values):
    """True for a `KerasTensor`, the placeholder of functional models."""
    return any(map(keras.backend.is_keras_tensor, values))


def symbolic_call(function, arguments):
    """The `KerasTensor` of a call, as one node of a functional model.

    Args:
        function: A function or loss that Keras can save.
        arguments: Dict of all arguments, some of them `KerasTensor`s.
    """
    tensors = {name: v for name, v in arguments.items() if any_symbolic(v)}
    constants = {name: v for name, v in arguments.items() if name not in tensors}
    return SymbolicCall(function, list(tensors), constants)(*tensors.values())


@keras.saving.register_keras_serializable(package="tfrobustloss")
class SymbolicCall(keras.Operation):
    """A call of a function or loss as a node of a functional model.

    Args:
        function: See `symbolic_call`.
        tensors: Names of the arguments that come from the model.
        constants: Dict of the other arguments.
        name: Name of the node.
    """

    def __init__(self, function, tensors, constants, name=None):
        super().__init__(name=name)
        self.function, self.tensors, self.constants = function, tensors, constants

    def call(self, *tensors):
        """The function's value."""
        named = dict(zip(self.tensors, tensors, strict=True))
        return self.function(**named, **self.constants)

    def compute_output_spec(self, *tensors):
        """Shape and type of the function's value."""
        return compute_output_spec(self.call, *tensors)

    def get_config(self):
        """The call as plain JSON values; a variable by its current value."""
        constants = {
            name: current_value(value) if is_variable(value) else value
            for name, value in self.constants.items()
        }
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "function": serialize(self.function),
            "tensors": self.tensors,
            "constants": serialize(constants),
        }

    @classmethod
    def from_config(cls, config):
        """The node of a config."""
        read = keras.saving.deserialize_keras_object
        given = {key: read(config[key]) for key in ("function", "constants")}
        return cls(**{**config, **given})
