"""Gradients: of the backend, and by finite differences."""

import keras
import numpy as np
import pytest

from tfrobustloss._core.backend import value_and_gradient


def gradient(function, x):
    """Gradient of the sum of `function(x)` at the array `x`, as numpy."""
    return value_and_gradient(function, x)[1][0]


def finite_differences(function, x, step):
    """The same by central differences; `function` takes and gives float64 arrays."""
    x = np.asarray(x, "float64")
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        rise = np.asarray(function(x + shift)) - np.asarray(function(x - shift))
        result[index] = rise.sum() / (2 * step)
    return result


needs_float64 = pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras on torch computes maximum and matmul of float64 in float32",
)
