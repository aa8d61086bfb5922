"""Seeded initial weights, and mixed-precision clones."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

_MIXED = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "mixed_bfloat16"},
    "registered_name": None,
}

# Values of a model's trainable variables and of its others.
Values = tuple[list[np.ndarray], list[np.ndarray]]


class InitialValues:
    """Initial values of a model's variables, by seed.

    The model is cloned from its config, in which every seed (of initializers, dropout
    and the like) is replaced by one derived from the given seed, and so are those that
    are None: its own initializers run again. Frozen variables, and those of layers
    without trainable weights, keep the values that they have in the model. Python's
    random state, from which Keras draws its default seeds, is restored afterwards; no
    other global state is touched.

    Args:
        model: A built `keras.Model`.
        build: None, or a function of a seed that returns a model of the same
            variables, whose weights are taken as they are.
    """

    def __init__(self, model: Any, build: Callable[[int], Any] | None = None) -> None:
        self._model = model
        self._build = build
        self._fresh = _fresh_variables(model)

    def values(self, seed: int) -> Values:
        """Values of the trainable and of the other variables, as arrays."""
        if self._build is not None:
            return _values(self._build(seed))
        twin = _clone(self._model, lambda config: config, seed)
        trainable, others = _values(twin)
        given = _values(self._model)[1]
        for position, variable in enumerate(self._model.non_trainable_variables):
            if id(variable) not in self._fresh:
                others[position] = given[position]
        return trainable, others


def mixed_precision_twin(model: Any) -> Any:
    """A model with the same weights that computes in bfloat16.

    Its variables stay in float32.
    """
    twin = _clone(model, _with_mixed_policy, 0)
    twin.set_weights(model.get_weights())
    for layer in twin._flatten_layers():
        if hasattr(layer, "finalize_state"):  # statistics derived from the weights
            layer.finalize_state()
    return twin


def _values(model: Any) -> Values:
    return (
        _arrays(model.trainable_variables),
        _arrays(model.non_trainable_variables),
    )


def _arrays(variables: list) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def _fresh_variables(model: Any) -> set[int]:
    """Ids of the non-trainable variables that depend on the seed."""
    fresh: set[int] = set()
    for layer in model._flatten_layers():
        own = {id(v) for v in layer.variables} - {id(v) for v in layer.weights}
        fresh |= own  # states of random generators
        if not layer._layers and layer.trainable_variables:
            fresh |= {id(v) for v in layer.non_trainable_variables}
    return fresh


def _clone(model: Any, change: Callable[[Any], Any], seed: int) -> Any:
    """The model rebuilt from its config, with all seeds derived from `seed`."""

    def clone_layer(layer: Any) -> Any:
        config = change(_with_new_seeds(layer.get_config()))
        return layer.__class__.from_config(config)

    with _python_random(seed):
        if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
            twin = keras.models.clone_model(
                model, clone_function=clone_layer, recursive=True
            )
        else:
            twin = clone_layer(model)
            twin.build_from_config(model.get_build_config())
    return twin


@contextlib.contextmanager
def _python_random(seed: int) -> Iterator[None]:
    """Seeds Python's random numbers inside, and restores their state afterwards."""
    state = random.getstate()
    random.seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    try:
        yield
    finally:
        random.setstate(state)


def _with_new_seeds(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            key: random.randint(1, 10**9)
            if key == "seed" and isinstance(value, int)
            else _with_new_seeds(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_with_new_seeds(value) for value in config)
    return config


def _with_mixed_policy(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "InputLayer":
            return config
        return {
            key: _MIXED
            if key == "dtype" and value is not None
            else _with_mixed_policy(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_with_mixed_policy(value) for value in config)
    return config
