"""Gradient penalty for Wasserstein critics (Gulrajani et al., NeurIPS 2017)."""

import keras
from keras import ops

from tfrobustloss._core.backend import slope
from tfrobustloss._core.shapes import agree, check_rank
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
    check_flag,
)

_LIMITS = {"weight": Range(low=0)}
_SMALLEST = 1e-5  # the root's own slope stays finite at 0, as in their code
_LARGEST = 1e15  # its square and sums of that stay finite in float32
_ONE_INPUT = (
    "Of a critic of several inputs, the slope in one of them counts. Hold the others "
    "fixed: `labels = keras.ops.convert_to_tensor(labels)`, then "
    "`gradient_penalty(lambda x: critic([x, labels]), images, generated)`, or "
    "`critic({'image': x, 'label': labels})` for inputs by name."
)


def gradient_penalty(critic, real, fake, weight=10.0, one_sided=False, seed=None):
    """Penalty on the gradient norm of a critic between real and generated examples.

        penalty = weight * mean((norm - 1)²),    or max(0, norm - 1)² one-sided
        norm = length of the gradient of critic(x) in x
        x = real + u * (fake - real),   u uniform in [0, 1], one an example

    Add it to the critic's loss inside the step that differentiates that loss: it is
    differentiable in the critic's weights, on TensorFlow, JAX and PyTorch. It is no
    `(y_true, y_pred)` loss since it has to call the critic. Real and generated
    examples count as constants, so the generator gets no gradient from it. Computed in
    float32, where a slope whose largest entry is beyond ±1e15 counts as scaled to that.
    The critic must not mix the examples of a batch: no batch normalisation.

    The paper's script for MNIST has the critic take 5 steps for each of the
    generator's, both with Adam(1e-4, beta_1=0.5, beta_2=0.9).

    Args:
        critic: Function or model of one input, from examples to one or more numbers
            each, in one tensor. Of several inputs, hold the others fixed, as tensors:
            `lambda x: critic([x, labels])`. In a JAX step, a function that calls
            `model.stateless_call`.
        real: Real examples, shape `(batch, ...)`.
        fake: Generated examples, same shape.
        weight: Float >= 0, λ in the paper.
        one_sided: Whether slopes below 1 are free, as the paper that discusses both
            prefers.
        seed: Int, for the same u each time, `keras.random.SeedGenerator` or None. In a
            compiled JAX step a `SeedGenerator`, an attribute of the model.

    Returns:
        Scalar tensor, at least 0; 0 for an empty batch.

    Raises:
        TypeError: `one_sided` is no bool, `real` or `fake` holds several arrays, or
            `critic` returns something else than one tensor.
        ValueError: `weight` is negative, `critic` is a model of several inputs, or the
            shapes of `real` and `fake` differ, as far as they are known when the
            program is made.

    Example:
        >>> import numpy as np
        >>> real, fake = np.zeros((2, 3)), np.ones((2, 3))
        >>> float(gradient_penalty(lambda x: 3 * x[:, 0], real, fake))
        40.0

    Reference:
        Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017;
        one-sided: Petzka et al., "On the Regularization of Wasserstein
        GANs", ICLR 2018.
    """
    check("gradient_penalty", _LIMITS, weight=weight)
    check_flag("gradient_penalty", "one_sided", one_sided)
    _check_one_input(critic, real=real, fake=fake)
    real, fake = _examples(real, fake)
    count = ops.shape(real)[0]
    shape = (count, *[1] * (len(real.shape) - 1))
    between = real + keras.random.uniform(shape, seed=seed) * (fake - real)
    excess = _lengths(ops.cast(slope(_of_one_tensor(critic), between), "float32")) - 1
    if one_sided:
        excess = ops.relu(excess)
    count = ops.maximum(ops.cast(count, "float32"), 1)
    return weight * ops.sum(excess * excess) / count


def _check_one_input(critic, **examples):
    """Raises for examples or a critic of several inputs."""
    owner = "gradient_penalty"
    for name, value in examples.items():
        parts = list(value.values()) if isinstance(value, dict) else value
        if isinstance(value, dict) or (
            isinstance(value, list | tuple)
            and any(hasattr(part, "shape") for part in parts)
        ):
            shapes = [tuple(getattr(part, "shape", ())) for part in parts]
            shown = f"a {type(value).__name__} of shapes {shapes}"
            raise ParameterTypeError(owner, name, shown, "one array", _ONE_INPUT)
    inputs = getattr(critic, "inputs", None) or []
    if isinstance(critic, keras.Model) and len(inputs) > 1:
        shown = f"{critic.name} of {len(inputs)} inputs"
        constraint = "a function or model of one input"
        raise ParameterError(owner, "critic", shown, constraint, _ONE_INPUT)


def _of_one_tensor(critic):
    """The critic, which raises if it does not return one tensor."""

    def call(x):
        output = critic(x)
        if not hasattr(output, "shape"):
            hint = "Pick one of several outputs: `lambda x: critic(x)[0]`."
            constraint = "a function that returns one tensor"
            shown = f"one that returns {type(output).__name__}"
            raise ParameterTypeError(
                "gradient_penalty", "critic", shown, constraint, hint
            )
        return output

    return call


def _examples(real, fake):
    """Both as constants in float32, of one shape."""
    owner = "gradient_penalty"
    check_rank(owner, real=real, fake=fake)
    real, fake = (
        ops.stop_gradient(ops.cast(ops.convert_to_tensor(each), "float32"))
        for each in (real, fake)
    )
    shape, received = tuple(real.shape), tuple(fake.shape)
    if not agree(shape, received) or len(shape) < 2:
        constraint = f"of the shape of `real`, {shape}, `(batch, ...)`"
        raise ParameterError(owner, "fake", received, constraint)
    # a batch of a length that the run alone knows fails there if it is another
    if received[0] is None:
        fake = ops.reshape(fake, (ops.shape(real)[0], *ops.shape(fake)[1:]))
    elif shape[0] is None:
        real = ops.reshape(real, (received[0], *ops.shape(real)[1:]))
    return real, fake


def _lengths(gradient):
    """Length of each example's gradient, by squares of numbers up to 8 alone."""
    axes = tuple(range(1, len(gradient.shape)))
    if 0 in gradient.shape:  # Keras refuses the maximum of nothing
        return ops.sum(gradient, axis=axes)
    largest = ops.max(ops.abs(gradient), axis=axes, keepdims=True)
    # up to where the reciprocal is no subnormal: XLA multiplies by it, taken as 0 there
    scale = ops.stop_gradient(ops.clip(largest, 1, 2.0**125))
    parts, smallest = gradient / scale, _SMALLEST / scale
    square = ops.sum(parts * parts, axis=axes) + ops.squeeze(smallest * smallest, axes)
    return ops.squeeze(ops.minimum(scale, _LARGEST), axes) * ops.sqrt(square)
