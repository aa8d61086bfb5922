"""Values of the losses for wrong masks."""

import math

import numpy as np
import pytest
from keras import ops

from tests.derivatives import finite_differences, gradient, needs_float64
from tests.losses.values import PRINTED, numpy, with_unknown_batch
from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss._core.backend import value_and_gradient
from tfrobustloss.losses.other_tasks.noisy_masks import log_gamma_ratio

# field.md 1a: foreground probabilities of four pixels, and the mask
P, G = np.float32([0.9, 0.8, 0.2, 0.1]), np.float32([1, 1, 0, 0])


def one_channel(values):
    return np.float32(values)[np.newaxis, :, np.newaxis]


def two_channels(values):
    return np.stack([1 - values, values], axis=-1)[np.newaxis]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"gamma": 1.0}, 0.171429),  # field.md 1a, these three
        ({}, 0.069180),
        ({"gamma": 2.0}, 0.028571),
        # by hand: .6 / (2 + 2), and .6 / (3.5 + .5)
        ({"gamma": 1.0, "squared": False}, 0.15),
        ({"gamma": 1.0, "smooth": 0.5}, 0.15),
    ],
)
def test_noise_robust_dice(parameters, expected):
    loss = losses.NoiseRobustDice(**{"smooth": 0.0, **parameters})
    near = {"rtol": 1e-6, "atol": PRINTED}
    value = float(loss(one_channel(G), one_channel(P)))
    np.testing.assert_allclose(value, expected, **near)
    # the background's values are the same here, so that the mean over classes is
    mask, p = two_channels(G), two_channels(P)
    np.testing.assert_allclose(float(loss(mask, p)), expected, **near)
    for shape in (2, 2), (2, 1, 2):
        value = float(loss(mask.reshape(1, *shape, 2), p.reshape(1, *shape, 2)))
        np.testing.assert_allclose(value, expected, **near)
    options = {"smooth": 0.0, **parameters, "from_logits": True}
    value = losses.NoiseRobustDice(**options)(mask, np.log(p) + 2)
    np.testing.assert_allclose(float(value), expected, **near)


@pytest.mark.parametrize("squared", [True, False])
def test_noise_robust_dice_is_its_formula(squared):
    random = np.random.default_rng(0)
    mask = np.eye(3)[random.integers(0, 3, (2, 6, 5, 4))]
    p = random.dirichlet([1, 1, 1], (2, 6, 5, 4))
    missed = (np.abs(p - mask) ** 1.3).sum((1, 2, 3))
    both = (p**2 + mask**2 if squared else p + mask).sum((1, 2, 3))
    ratio = missed / (both + 0.2)
    given = (mask.astype("float32"), p.astype("float32"), 1.3, 0.2, squared)
    values = numpy(losses.noise_robust_dice(*given))
    np.testing.assert_allclose(values, ratio.mean(-1), rtol=1e-5)
    values = numpy(losses.noise_robust_dice(*given, classes=[2, 0]))
    np.testing.assert_allclose(values, ratio[:, [0, 2]].mean(-1), rtol=1e-5)


def test_with_exponent_2_it_is_the_dice_loss_with_squares():
    random = np.random.default_rng(0)
    mask, p = np.eye(2)[random.integers(0, 2, 30)], random.uniform(0, 1, (30, 2))
    # 1 - 2 sum of p g / (sum of p² + g²)
    ratio = 2 * (mask * p).sum(0) / (mask**2 + p**2).sum(0)
    value = losses.noise_robust_dice(mask[None], p[None].astype("float32"), 2.0, 0.0)
    np.testing.assert_allclose(numpy(value), [1 - ratio.mean()], rtol=1e-5)


@pytest.mark.parametrize("gamma", [1, 1.0, 1.2, 1.5, 1.9, 2.0])
def test_the_slope_where_prediction_and_mask_agree(gamma):
    for p in (G, np.float32([1, 0.5, 0, 0])):
        slope = gradient(
            lambda p: losses.noise_robust_dice(one_channel(G), p, gamma), one_channel(p)
        )
        assert np.isfinite(slope).all()
        assert not slope[0, [0, 3], 0].any() or (p != G).any()
    # 0 there, and close to it
    near = one_channel(np.float32([1 - 1e-6, 1, 1e-12, 0]))
    slope = gradient(lambda p: losses.noise_robust_dice(one_channel(G), p, gamma), near)
    assert np.isfinite(slope).all()


def test_classes_that_the_image_lacks():
    mask = np.zeros((1, 4, 3), "float32")
    mask[0, :3, 0] = mask[0, 3, 1] = 1
    p = np.full((1, 4, 3), 1 / 3, "float32")
    # by hand with gamma 1: (3 * 2/3 + 1/3) / (4/9 + 3), (2/3 + 3 * 1/3) / (4/9 + 1)
    expected = (7 / 3 / (31 / 9) + 5 / 3 / (13 / 9)) / 2
    value = float(losses.noise_robust_dice(mask, p, 1.0, 0.0)[0])
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    # of the third alone the formula stands: 4/3 / (4/9)
    value = float(losses.noise_robust_dice(mask, p, 1.0, 0.0, classes=[2])[0])
    np.testing.assert_allclose(value, 3, rtol=1e-6)
    empty = np.zeros((1, 4, 1), "float32")
    assert float(losses.noise_robust_dice(empty, empty, 1.5, 0.0)[0]) == 0


def foreground_slope(share, **options):
    """Slope in the background pixels of a mask where all is taken for foreground."""
    mask = np.zeros((1, 1000, 1), "float32")
    mask[0, : int(1000 * share)] = 1
    ones = np.ones_like(mask)
    slope = gradient(lambda p: losses.noise_robust_dice(mask, p, **options), ones)
    return slope[0, -1, 0]


def test_where_squares_make_a_minimum_of_all_foreground():
    """As the docstring says: below 1/7 of the pixels, and not without squares."""
    assert foreground_slope(0.13) < 0 < foreground_slope(0.15)
    assert foreground_slope(0.01, squared=False) > 0
    assert foreground_slope(0.0) < 0 < foreground_slope(0.0, squared=False)


def student(distance, d, nu, scale=1.0):
    """The negative logarithm of the density as it stands in books, in float64."""
    return (
        math.lgamma(nu / 2)
        - math.lgamma((nu + d) / 2)
        + d / 2 * math.log(math.pi * nu)
        + d * math.log(scale)
        + (nu + d) / 2 * math.log1p(distance / scale**2 / nu)
    )


@pytest.mark.parametrize(
    ("nu", "expected"),
    [(1.0, 2.815417), (math.e, 3.245667)],  # field.md 1a
)
def test_t_loss(nu, expected):
    loss = losses.TLoss(nu)
    mask, p = one_channel(G), one_channel(P)
    np.testing.assert_allclose(float(loss(mask, p)), expected, rtol=1e-6)
    np.testing.assert_allclose(student(0.1, 4, nu), expected, rtol=1e-6)
    for shape in (2, 2), (2, 1, 2):
        value = float(loss(mask.reshape(1, *shape, 1), p.reshape(1, *shape, 1)))
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    # the foreground of two channels; both are eight numbers, twice as far off
    value = float(losses.TLoss(nu, classes=[1])(two_channels(G), two_channels(P)))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    value = float(loss(two_channels(G), two_channels(P)))
    np.testing.assert_allclose(value, student(0.2, 8, nu), rtol=1e-6)
    logits = np.log(P / (1 - P))
    value = losses.TLoss(nu, from_logits=True)(mask, one_channel(logits))
    np.testing.assert_allclose(float(value), expected, rtol=1e-6)


def test_the_authors_covariance():
    """Their code has a precision of e for each pixel: a scale of exp(-1/2)."""
    value = losses.t_loss(one_channel(G), one_channel(P), math.e, math.exp(-0.5))
    # their terms: third is -D / 2, fifth D / 2 log(nu), sixth has e * S / nu
    expected = math.lgamma(math.e / 2) - math.lgamma((math.e + 4) / 2) - 4 / 2
    expected += 4 / 2 * math.log(math.pi) + 4 / 2
    expected += (math.e + 4) / 2 * math.log(1 + math.e * 0.1 / math.e)
    np.testing.assert_allclose(float(value[0]), expected, rtol=1e-5)


@pytest.mark.parametrize("nu", [1e-3, 0.3, 5.0, 1e3, 1e6])
@pytest.mark.parametrize("pixels", [1, 7, 4096, 300_000])
def test_t_loss_of_masks_of_any_size(nu, pixels):
    mask = np.zeros((1, pixels, 1), "float32")
    p = np.full_like(mask, 0.25)
    expected = student(0.0625 * pixels, pixels, nu, 0.5)
    value = float(losses.t_loss(mask, p, nu, 0.5)[0])
    # both have large terms that cancel: 1e-6 of those
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=2e-6 * (pixels + 1))
    slope = value_and_gradient(
        lambda nu: losses.t_loss(mask, p, nu, 0.5), np.float32(nu)
    )[1][0]
    step = 1e-4 * nu
    expected = student(0.0625 * pixels, pixels, nu + step, 0.5)
    expected = (expected - student(0.0625 * pixels, pixels, nu - step, 0.5)) / step / 2
    np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-9)


def test_large_nu_is_squared_error():
    random = np.random.default_rng(0)
    mask = np.eye(2)[random.integers(0, 2, (2, 20))]
    p = random.dirichlet([1, 1], (2, 20)).astype("float32")
    values = numpy(losses.t_loss(mask, p, 1e6))
    expected = ((p - mask) ** 2).sum((1, 2)) / 2 + 20 * math.log(2 * math.pi)
    np.testing.assert_allclose(values, expected, rtol=1e-4)


@needs_float64
def test_the_gamma_function():
    a = np.array([5e-4, 0.1, 0.5, 1.0, 2.5, 9.0, 1e3, 1e6])
    for m in (0.5, 3.5, 2048.0, 1e6):
        with backend.double_precision():
            a64 = ops.convert_to_tensor(a, "float64")
            value = numpy(log_gamma_ratio(a64, m))
            slope = value_and_gradient(lambda a, m=m: log_gamma_ratio(a, m), a)[1][0]
            expected = finite_differences(
                lambda a, m=m: numpy(
                    log_gamma_ratio(ops.convert_to_tensor(a, "float64"), m)
                ),
                a,
                1e-5,
            )
        exact = [math.lgamma(each + m) - math.lgamma(each) for each in a]
        np.testing.assert_allclose(value, exact, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(slope[1:], expected[1:], rtol=1e-4, atol=1e-4)


def test_a_whole_mask_is_doubted_not_a_pixel():
    """The weight of an error is that of its image: (nu + D) / (nu + S)."""
    mask = np.zeros((2, 50, 1), "float32")
    p = np.full_like(mask, 0.1)
    p[1, :25] = 0.9
    slope = gradient(lambda p: losses.t_loss(mask, p, 2.0), p)
    distance = (p**2).sum((1, 2), keepdims=True)
    np.testing.assert_allclose(slope, (2 + 50) / (2 + distance) * p, rtol=1e-5)


@pytest.mark.parametrize("loss", [losses.NoiseRobustDice(), losses.TLoss()])
def test_shapes_known_in_the_run_alone(loss):
    random = np.random.default_rng(0)
    p = random.dirichlet([1, 1], (3, 4, 5)).astype("float32")
    mask = np.eye(2, dtype="float32")[random.integers(0, 2, (3, 4, 5))]
    expected = numpy(loss(mask, p))
    np.testing.assert_allclose(with_unknown_batch(loss, mask, p), expected, rtol=1e-5)
    if backend.keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    unknown = tf.TensorSpec((None, None, None, 2), "float32")
    program = tf.function(loss, input_signature=[unknown, unknown])
    np.testing.assert_allclose(program(mask, p), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.NoiseRobustDice(0.9), r"`gamma` must be in \[1, 2\].*0.9"),
        (lambda: losses.NoiseRobustDice(smooth=-1), r"`smooth` must be in \[0"),
        (lambda: losses.TLoss(0), r"`nu` must be in \[0.001, 1e\+06\]"),
        (lambda: losses.TLoss(scale=0.0), r"`scale` must be in \[0.001"),
        (lambda: losses.TLoss(classes=[-1]), "`classes` must be"),
        (lambda: losses.t_loss(np.ones((1, 3, 1)), np.ones((1, 3, 2))), "`y_true`"),
        (lambda: losses.t_loss(np.ones((1, 3)), np.ones((1, 3, 2))), "One-hot encode"),
        (
            lambda: losses.noise_robust_dice(255 * one_channel(G), one_channel(P)),
            r"`y_true` must be in \[0, 1\].*by 255",
        ),
        (
            lambda: losses.noise_robust_dice(
                one_channel(G), one_channel(P), classes=[1]
            ),
            "`classes` must be None or a list of channels, 0 to 0",
        ),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
