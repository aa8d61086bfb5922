"""The gradient penalty that keeps a critic's slope near 1 (Gulrajani et al., 2017)."""

import keras
from keras import ops

from tfrobustloss import _limits
from tfrobustloss._backend import slope

_LIMITS = {"weight": _limits.Range(low=0)}
_SMALLEST_SQUARE = 1e-10  # the root's own slope stays finite at 0, as in their code


def gradient_penalty(critic, real, fake, weight=10.0, one_sided=False, seed=None):
    """How far a critic's slope is from 1 between real and generated examples.

        penalty = weight * mean((norm - 1)²),    or max(0, norm - 1)² one-sided
        norm = length of the gradient of critic(x) in x
        x = real + u * (fake - real),   u uniform in [0, 1], one an example

    Add it to the critic's loss inside the step that differentiates that loss: it is
    differentiable in the critic's weights, on TensorFlow, JAX and PyTorch. It is no
    `(y_true, y_pred)` loss since it has to call the critic. Real and generated
    examples count as constants, so the generator gets no gradient from it. Computed in
    float32. The critic must not mix the examples of a batch: no batch normalisation.

    The paper's script for MNIST has the critic take 5 steps for each of the
    generator's, both with Adam(1e-4, beta_1=0.5, beta_2=0.9).

    Args:
        critic: Function or model of one input, from examples to one or more numbers
            each. In a JAX step, a function that calls `model.stateless_call`.
        real: Real examples, shape `(batch, ...)`.
        fake: Generated examples, same shape.
        weight: Float >= 0, λ in the paper.
        one_sided: Whether slopes below 1 are free, as the paper that discusses both
            prefers.
        seed: Int, for the same u each time, `keras.random.SeedGenerator` or None. In a
            compiled JAX step a `SeedGenerator`, an attribute of the model.

    Returns:
        Scalar tensor, at least 0.

    Raises:
        ValueError: `weight` is negative, or the shapes of `real` and `fake` differ.

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
    _limits.check("gradient_penalty", _LIMITS, weight=weight)
    real, fake = (
        ops.stop_gradient(ops.cast(ops.convert_to_tensor(each), "float32"))
        for each in (real, fake)
    )
    if tuple(real.shape[1:]) != tuple(fake.shape[1:]) or len(real.shape) < 2:
        constraint = f"of the shape of `real`, {tuple(real.shape)}, `(batch, ...)`"
        received = tuple(fake.shape)
        raise ValueError(
            _limits.error("gradient_penalty", "fake", constraint, received)
        )
    shape = (ops.shape(real)[0], *[1] * (len(real.shape) - 1))
    between = real + keras.random.uniform(shape, seed=seed) * (fake - real)
    gradient = ops.cast(slope(critic, between), "float32")
    square = ops.sum(gradient * gradient, axis=tuple(range(1, len(real.shape))))
    excess = ops.sqrt(square + _SMALLEST_SQUARE) - 1
    if one_sided:
        excess = ops.relu(excess)
    return weight * ops.mean(excess * excess)
