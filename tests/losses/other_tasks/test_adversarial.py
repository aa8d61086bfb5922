"""Values of the losses of generative adversarial networks."""

import math

import numpy as np
import pytest

from tests.derivatives import gradient
from tests.losses.values import numpy
from tfrobustloss import losses

REAL, GENERATED = 1.0, -0.5  # the critic's logits of losses.md A13


@pytest.mark.parametrize(
    ("loss_class", "arguments", "critic", "generator"),
    [
        # losses.md A13: the critic's two means added, and the generator's
        (losses.MinimaxGAN, {}, 0.78733867, -0.47407698),
        (losses.NonSaturatingGAN, {}, 0.78733867, 0.97407698),
        (losses.LeastSquaresGAN, {}, 0.125, 1.125),
        (losses.WassersteinGAN, {}, -1.5, 0.5),
        (losses.HingeGAN, {}, 0.5, 0.5),
        # by hand: (1 - 1)² / 2 + (-.5 + 1)² / 2, and (-.5 - 0)² / 2
        (
            losses.LeastSquaresGAN,
            {"real": 1.0, "fake": -1.0, "target": 0.0},
            0.125,
            0.125,
        ),
    ],
)
def test_values(loss_class, arguments, critic, generator):
    y_true, logits = np.array([[1], [0]]), np.float32([[REAL], [GENERATED]])
    loss = loss_class(**arguments, role="discriminator", reduction="sum")
    np.testing.assert_allclose(float(loss(y_true, logits)), critic, rtol=2e-7)
    loss = loss_class(**arguments, role="generator", reduction="sum")
    # the real example costs the generator nothing
    np.testing.assert_allclose(float(loss(y_true, logits)), generator, rtol=2e-7)
    per_example = loss_class(**arguments, role="generator", reduction=None)
    values = numpy(per_example(y_true, logits))
    np.testing.assert_allclose(values, [0, generator], rtol=2e-7)


def test_the_mean_is_half_the_sum_of_the_two():
    y_true, logits = np.array([1, 1, 0, 0]), np.float32([1, 2, -0.5, 0.5])
    loss = losses.HingeGAN()
    # by hand: (0 + 0) / 2 + (.5 + 1.5) / 2, halved
    assert float(loss(y_true, logits)) == 0.5


def test_one_sided_smoothing_is_a_soft_label():
    # .9 softplus(-z) + .1 softplus(z)
    value = float(losses.minimax_gan([0.9], [2.0])[0])
    expected = 0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2))
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("logits", "y_true", "shape"),
    [
        ((4,), (4,), (4,)),
        ((4,), (4, 1), (4,)),
        ((4, 1), (4,), (4,)),
        ((4, 1), (4, 1), (4,)),
        ((4, 3, 2, 1), (4,), (4, 3, 2)),  # a logit per patch
        ((4, 3, 2, 1), (4, 1), (4, 3, 2)),
        ((4, 3, 2, 1), (4, 3, 2, 1), (4, 3, 2)),
        ((4, 3), (4, 1), (4, 3)),
    ],
)
def test_shapes(logits, y_true, shape):
    real = np.array([1.0, 0, 1, 0])
    real = np.broadcast_to(real.reshape(4, *[1] * (len(y_true) - 1)), y_true)
    values = numpy(losses.wasserstein_gan(real, np.ones(logits, "float32")))
    signs = np.array([-1, 1, -1, 1]).reshape(4, *[1] * (len(shape) - 1))
    np.testing.assert_array_equal(values, np.broadcast_to(signs, shape))


def test_labels_of_other_examples_are_refused():
    with pytest.raises(ValueError, match=r"hinge_gan: `y_true` must be .*\(5,\)"):
        losses.hinge_gan(np.ones(5), np.ones((4, 1)))


def test_role_of_no_player():
    with pytest.raises(ValueError, match=r"HingeGAN: `role` .*role='critic'"):
        losses.HingeGAN("critic")


def test_a_saturated_generator_learns_from_one_loss_and_not_from_the_other():
    # d/dz of -softplus(z) is -sigmoid(z), of softplus(-z) it is sigmoid(z) - 1
    z, y_true = np.float32([-20.0]), np.zeros(1, "float32")
    slope = gradient(lambda z: losses.minimax_gan(y_true, z, "generator"), z)
    assert abs(slope[0]) < 1e-8
    slope = gradient(lambda z: losses.non_saturating_gan(y_true, z, "generator"), z)
    np.testing.assert_allclose(slope, [-1], rtol=1e-6)
