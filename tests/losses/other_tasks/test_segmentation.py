"""Values of the segmentation losses, with distance maps from the data pipeline."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss.data.distance import signed_distance_map

# losses.md A15: foreground probabilities of four pixels, and the two masks
P = np.float32([0.9, 0.8, 0.2, 0.1])
HALF, ONE = np.float32([1, 1, 0, 0]), np.float32([1, 0, 0, 0])


def two_channels(values):
    return np.stack([1 - values, values], axis=-1)[np.newaxis]


@pytest.mark.parametrize(
    ("mask", "parameters", "expected"),
    [
        (HALF, {}, 0.15),  # losses.md A15
        (ONE, {}, 0.375),  # losses.md A15
        # by hand: w = 1 for both, I = 1.7 and U = 4 for both
        (HALF, {"smooth": 4.0}, 1 - (2 * 3.4 + 4) / (8 + 4)),
        # by hand: w = 1/9 and 1, I = 1.9 and 0.9, U = 5 and 3, so 1 - 29/41
        (ONE, {"smooth": 1.0}, 12 / 41),
    ],
)
def test_generalized_dice(mask, parameters, expected):
    mask, p = two_channels(mask), two_channels(P)
    loss = losses.GeneralizedDice(**parameters)
    np.testing.assert_allclose(float(loss(mask, p)), expected, rtol=1e-6)
    on_logits = losses.GeneralizedDice(**parameters, from_logits=True)
    logits = np.log(p) + 2.0
    np.testing.assert_allclose(float(on_logits(mask, logits)), expected, rtol=1e-6)
    # an axis more changes nothing: four pixels in a square, or a volume
    for shape in (2, 2), (2, 1, 2):
        square = (1, *shape, 2)
        value = float(loss(mask.reshape(square), p.reshape(square)))
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_generalized_dice_is_its_formula():
    random = np.random.default_rng(0)
    mask = np.eye(3)[random.integers(0, 3, (2, 6, 5, 4))]
    p = random.dirichlet([1, 1, 1], (2, 6, 5, 4))
    axes = (1, 2, 3)
    weight = 1 / mask.sum(axes) ** 2
    common, union = (mask * p).sum(axes), (mask + p).sum(axes)
    expected = 1 - 2 * (weight * common).sum(-1) / (weight * union).sum(-1)
    values = losses.generalized_dice(mask.astype("float32"), p.astype("float32"))
    np.testing.assert_allclose(numpy(values), expected, rtol=1e-5)


def test_an_absent_class_has_the_largest_weight_of_the_others():
    mask = np.zeros((1, 4, 3), "float32")
    mask[0, :3, 0] = mask[0, 3, 1] = 1
    p = np.full((1, 4, 3), 1 / 3, "float32")
    weight = np.array([1 / 9, 1, 1])
    common, union = np.array([1, 1 / 3, 0]), np.array([3, 1, 0]) + 4 / 3
    expected = 1 - 2 * (weight @ common) / (weight @ union)
    value = float(losses.generalized_dice(mask, p)[0])
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_one_channel_without_foreground():
    mask = np.zeros((1, 4, 1), "float32")
    assert float(losses.generalized_dice(mask, mask)[0]) == 0
    p = np.full((1, 4, 1), 0.25, "float32")
    assert float(losses.generalized_dice(mask, p)[0]) == 1
    # by hand: x / (x + 1) with x = 4 * .25, slope 1 / (x + 1)²
    assert float(losses.generalized_dice(mask, p, smooth=1.0)[0]) == 0.5
    slope = gradient(lambda p: losses.generalized_dice(mask, p, smooth=1.0), p)
    np.testing.assert_allclose(slope, 0.25)
    empty = gradient(lambda p: losses.generalized_dice(mask, p), mask)
    assert np.isfinite(empty).all()


def test_right_is_0_and_wrong_is_1():
    mask = two_channels(HALF)
    assert float(losses.generalized_dice(mask, mask)[0]) == 0
    assert float(losses.generalized_dice(mask, 1 - mask)[0]) == 1


# losses.md A14: a square of 3 x 3 in an image of 5 x 5
SQUARE = np.zeros((5, 5))
SQUARE[1:4, 1:4] = 1


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (SQUARE, -0.04),  # losses.md A14, these three
        (np.ones((5, 5)), 0.66627417),
        (np.full((5, 5), 0.5), 0.33313708),
        (np.zeros((5, 5)), 0),
    ],
)
def test_boundary(p, expected):
    distance = signed_distance_map(SQUARE)[np.newaxis, ..., np.newaxis]
    p = np.float32(p)[np.newaxis, ..., np.newaxis]
    value = float(losses.Boundary()(distance, p))
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)
    # the foreground alone of two classes
    both = np.concatenate([9 + distance, distance], axis=-1)
    p = np.concatenate([1 - p, p], axis=-1)
    value = float(losses.Boundary(classes=[1])(both, p))
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)


def test_boundary_of_all_classes_is_the_mean_of_each():
    random = np.random.default_rng(0)
    distance = random.normal(0, 3, (2, 3, 3, 2, 3)).astype("float32")
    logits = random.normal(0, 1, distance.shape).astype("float32")
    each = [
        numpy(losses.boundary(distance, logits, [k], from_logits=True))
        for k in range(3)
    ]
    values = numpy(losses.boundary(distance, logits, from_logits=True))
    np.testing.assert_allclose(values, np.mean(each, axis=0), rtol=1e-5)


@pytest.mark.parametrize("rebalance", [True, False])
def test_combination(rebalance):
    masks = np.stack([1 - SQUARE, SQUARE], axis=-1)[np.newaxis]
    distance = signed_distance_map(masks[0], (1, 1))[np.newaxis]
    both = np.concatenate([masks, distance], axis=-1).astype("float32")
    logits = np.random.default_rng(0).normal(0, 1, masks.shape).astype("float32")
    region = losses.GeneralizedDice(from_logits=True)(masks, logits)
    border = losses.Boundary(from_logits=True, classes=[1])(distance, logits)
    loss = losses.RegionBoundary(
        alpha=0.3, rebalance=rebalance, classes=[1], from_logits=True
    )
    weight = 0.7 if rebalance else 1.0
    expected = weight * float(region) + 0.3 * float(border)
    np.testing.assert_allclose(float(loss(both, logits)), expected, rtol=1e-5)


def test_combination_with_a_loss_per_pixel_and_with_one_of_keras():
    masks = np.stack([1 - SQUARE, SQUARE], axis=-1)[np.newaxis].astype("float32")
    both = np.concatenate([masks, 0 * masks], axis=-1)
    p = two_channels(np.float32(0.2 + 0.6 * SQUARE))
    for region in (
        losses.GeneralizedCrossEntropy(),
        keras.losses.CategoricalCrossentropy(),
        keras.losses.Dice(),  # one value for the batch
    ):
        loss = losses.RegionBoundary(region, alpha=0.5)
        expected = float(region(masks, p)) / 2
        np.testing.assert_allclose(float(loss(both, p)), expected, rtol=1e-5)


# by hand: softmax of (log 3, 0) is (.75, .25), and sigmoid of log 3 is .75
ONE_HOT, LOGITS = np.float32([[[1, 0], [0, 1]]]), np.float32([[[3, 1], [3, 1]]])


@pytest.mark.parametrize(
    ("region", "mask", "logits", "expected"),
    [
        (keras.losses.Dice(), ONE_HOT, np.log(LOGITS), 1 - 2 * (0.75 + 0.25) / (2 + 2)),
        (keras.losses.Dice(), ONE_HOT[..., :1], np.log(LOGITS)[..., :1], 0.4),
        (keras.losses.Tversky(alpha=1, beta=0), ONE_HOT, np.log(LOGITS), 0.5),
        (keras.losses.MeanSquaredError(), ONE_HOT, np.log(LOGITS), 0.3125),
        (keras.losses.MeanSquaredError(), 0 * ONE_HOT, 0 * LOGITS, 0.25),
    ],
)
def test_a_region_loss_that_knows_no_logits_gets_probabilities(
    region, mask, logits, expected
):
    both = np.concatenate([mask, 0 * mask], axis=-1)
    loss = losses.RegionBoundary(region, alpha=0.0, from_logits=True)
    np.testing.assert_allclose(float(loss(both, logits)), expected, rtol=1e-5)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p = p if mask.shape[-1] > 1 else np.float32([[[0.75], [0.75]]])
    loss = losses.RegionBoundary(region, alpha=0.0)
    np.testing.assert_allclose(float(loss(both, p)), expected, rtol=1e-5)


def test_the_function_s_own_region_loss_is_on_logits_too():
    both = np.concatenate([ONE_HOT, 0 * ONE_HOT], axis=-1)
    value = losses.region_boundary(both, np.log(LOGITS), alpha=0.0, from_logits=True)
    np.testing.assert_allclose(float(value[0]), 0.5, rtol=1e-5)


def test_classes_of_numpy():
    distance, p = np.float32([[[9, 1]]]), np.float32([[[0.5, 0.5]]])
    loss = losses.Boundary(classes=list(np.int64([1])))
    assert float(loss(distance, p)) == 0.5
    assert json.loads(json.dumps(loss.get_config()))["classes"] == [1]
    assert float(losses.boundary(distance, p, (np.int32(1),))[0]) == 0.5
    both = np.concatenate([ONE_HOT, ONE_HOT], axis=-1)
    loss = losses.RegionBoundary(classes=[np.int64(1)])
    assert np.isfinite(float(loss(both, LOGITS / 4)))
    assert loss.get_config()["classes"] == [1]


@keras.saving.register_keras_serializable(package="tests")
class Unmasked(keras.layers.Layer):
    """Probabilities, 0 where masked, and no mask: the way out of the docs."""

    supports_masking = True

    def call(self, p, mask=None):
        return p * ops.expand_dims(ops.cast(mask, p.dtype), -1)

    def compute_mask(self, p, mask=None):
        return None


def padded(*last):
    """A model of padded sequences of three steps, and two of them."""
    softmax = keras.layers.Dense(2, activation="softmax")
    layers = [keras.layers.Masking(), keras.layers.TimeDistributed(softmax), *last]
    x = np.random.default_rng(0).normal(0, 1, (2, 3, 4)).astype("float32")
    x[0, -1] = 0
    return keras.Sequential([keras.Input((None, 4)), *layers]), x


@pytest.mark.parametrize("steps", [3, 2], ids=["3 steps", "as many as sequences"])
@pytest.mark.parametrize(
    "loss", [losses.GeneralizedDice(), losses.Boundary(), losses.RegionBoundary()]
)
def test_a_mask_of_steps_is_refused(loss, steps):
    model, x = padded()
    y_true = np.ones((2, steps, 2 + 2 * isinstance(loss, losses.RegionBoundary)))
    message = rf"`y_pred` must be without a mask .*\(2, {steps}\).*`compute_mask`"
    with pytest.raises(ValueError, match=message):
        loss(y_true, model(x[:, -steps:]))


def test_steps_of_probability_and_target_0_do_not_count():
    model, x = padded(Unmasked())
    y_true = np.ones((2, 3, 2), "float32")
    y_true[0, -1] = 0
    loss = losses.GeneralizedDice(reduction=None)
    values, alone = loss(y_true, model(x)), loss(y_true[:, :2], model(x[:, :2]))
    np.testing.assert_allclose(numpy(values)[0], numpy(alone)[0], rtol=1e-6)


def test_a_mask_of_images_is_kept():
    p = ops.convert_to_tensor(np.stack([HALF, ONE])[..., None] / 2)
    keras.src.backend.set_keras_mask(p, ops.convert_to_tensor([True, False]))
    distance = np.ones((2, 4, 1), "float32")
    assert float(losses.Boundary()(distance, p)) == 0.25


def test_alpha_as_a_variable():
    weight = keras.Variable(0.0, trainable=False)
    loss = losses.RegionBoundary(alpha=weight)
    both, p = np.float32([[[1, -1], [0, 1]]]), np.float32([[[0.75], [0.5]]])
    first = float(loss(both, p))
    weight.assign(1.0)
    # by hand: (-1 * .75 + 1 * .5) / 2
    assert float(loss(both, p)) == -0.125 != first
    assert loss.get_config()["alpha"] == 1.0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: losses.RegionBoundary(losses.CrossEntropy(from_logits=True)), "from"),
        (lambda: losses.RegionBoundary(losses.CrossEntropy(ignore_class=0)), "region"),
        (lambda: losses.boundary(np.ones((1, 3, 2)), np.ones((1, 3, 2)), [2]), "class"),
        (lambda: losses.boundary(np.ones((1, 3, 2)), np.ones((1, 3, 1))), "y_true"),
        (lambda: losses.Boundary(classes=[1.0]), "class"),
        (lambda: losses.RegionBoundary(losses.LogitClip()), "from"),
        (
            lambda: losses.region_boundary(np.ones((1, 3, 2)), np.ones((1, 3, 2))),
            "y_true",
        ),
    ],
)
def test_refused(call, named):
    with pytest.raises(ValueError, match=rf"`{named}\w*` must be"):
        call()
