"""Layer types that XLA compiles well, and those whose batches may be padded."""

from typing import Any

import keras

from tfrobustloss.layers import TemperedSoftmax

# Layers that compute each row of a batch by itself, without randomness.
_ROWWISE = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Embedding,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.RepeatVector,
    keras.layers.Identity,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.Softmax,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Concatenate,
    keras.layers.Dot,
    TemperedSoftmax,
)
# As good for XLA, but their result for a row changes with the rows of padding.
_WHOLE_BATCH = (
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)


def suits_xla(model: Any) -> bool:
    """Whether every layer is known to run fast in an XLA loop.

    On a CPU, XLA's gradients of convolutions inside a loop are 10 to 100 times slower
    than outside, so every layer that is not listed here counts as slow.
    """
    return all(type(part) in _ROWWISE + _WHOLE_BATCH for part in _parts(model))


def may_be_padded(model: Any) -> bool:
    """Whether rows that are added to a batch leave its other rows unchanged."""
    return all(
        type(part) in _ROWWISE and part.activity_regularizer is None
        for part in _parts(model)
    )


def _parts(model: Any) -> list:
    """Layers of a model and the operations between them, nested models flattened."""
    is_container = isinstance(model, keras.Model) and type(model).__module__.startswith(
        "keras."
    )
    if not is_container:
        return [model]
    members = {id(part): part for part in [*model.layers, *_operations(model)]}
    return [part for member in members.values() for part in _parts(member)]


def _operations(model: Any) -> Any:
    return getattr(model, "operations", ())
