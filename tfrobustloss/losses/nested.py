"""`NestedLoss`, the base class of losses that are made of other losses."""

import keras

from tfrobustloss._core.tensors import is_variable
from tfrobustloss._core.validation import ParameterTypeError
from tfrobustloss.losses.base import FunctionLoss, TaskLoss


class NestedLoss(FunctionLoss):
    """A loss made of others: their functions and parameters, in one computation.

    A subclass names the arguments that are losses in `inner`. Their own reduction, name
    and dtype play no part. An `ignore_class` must be given to the outer loss, which is
    the one that knows of the mean.

    Args:
        **options: The function's arguments by name, and those of `FunctionLoss`.

    Raises:
        TypeError: An inner loss is no classification loss of this package.
        ValueError: An inner loss has an `ignore_class`.
    """

    inner = ()

    def __init__(self, **options):
        inner = {name: options.pop(name) for name in self.inner}
        check_inner(type(self).__name__, **inner)
        super().__init__(**options)
        for name, loss in inner.items():
            setattr(self, name, loss)

    def get_config(self):
        """The constructor arguments as plain values, inner losses as their configs."""
        inner = {name: getattr(self, name) for name in self.inner}
        configs = {name: keras.losses.serialize(loss) for name, loss in inner.items()}
        return {**super().get_config(), **configs}

    @classmethod
    def from_config(cls, config):
        """Builds the loss from a config; inner losses may be configs or losses."""
        built = {
            name: keras.losses.deserialize(value)
            for name, value in config.items()
            if isinstance(value, dict) and "class_name" in value
        }
        return cls(**{**config, **built})

    def _parameters(self):
        inner = {name: getattr(self, name) for name in self.inner}
        return {**inner, **super()._parameters()}


def values(loss, labels, y_pred):
    """Loss per example of `Labels`, in the type of `y_pred`, by an inner loss."""
    parameters = {
        name: keras.ops.cast(value, y_pred.dtype)
        if is_variable(value) and not isinstance(value, FunctionLoss)
        else value
        for name, value in loss._parameters().items()
    }
    return loss.function(labels, y_pred, **parameters)


def on_logits(loss, from_logits):
    """The same loss, sharing everything, on logits or probabilities."""
    if loss.from_logits == from_logits:
        return loss
    if hasattr(type(loss), "from_logits"):  # a wrapper that knows logits only
        raise ValueError(
            f"{type(loss).__name__}: `from_logits` must be True. Received: "
            f"from_logits={from_logits!r} from the loss around it."
        )
    other = object.__new__(type(loss))  # a config would lose the variables
    vars(other).update(vars(loss))
    for name in getattr(loss, "inner", ()):
        setattr(other, name, on_logits(getattr(loss, name), from_logits))
    other.from_logits = from_logits
    return other


def check_inner(owner, **losses):
    """Raises unless all are classification losses of this package."""
    for name, loss in losses.items():
        known = isinstance(loss, FunctionLoss) and not isinstance(loss, TaskLoss)
        known = known and hasattr(loss, "from_logits")
        known = known and loss.per_example
        if not known:
            constraint = "a classification loss of this package"
            hint = "Wrap your own function in a subclass of `FunctionLoss`."
            raise ParameterTypeError(owner, name, loss, constraint, hint)
        if loss.ignore_class is not None:
            raise ValueError(
                f"{owner}: `{name}` must have no `ignore_class`. Received: "
                f"ignore_class={loss.ignore_class!r}. Give it to {owner}."
            )
