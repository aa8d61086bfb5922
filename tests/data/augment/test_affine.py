"""The affine map: each part by hand, all together beside Keras' own layers."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.data import augment
from tfrobustloss.data.augment._sampling import FILL_MODES, sample
from tfrobustloss.data.augment._seeds import SeedStream
from tfrobustloss.data.augment.affine import matrix

NINE = np.arange(9, dtype="float32").reshape(3, 3)


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def sampled(image, fill_mode="nearest", fill_value=0.0, whole=False, **parts):
    """A single image of one channel, mapped."""
    parts = {name: ops.array([value], "float32") for name, value in parts.items()}
    images = ops.convert_to_tensor(image[None, ..., None])
    result = sample(images, matrix(**parts), fill_mode, fill_value, whole)
    return numpy(result)[0, ..., 0]


# --- each part alone, by hand


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"flip_across": -1}, NINE[:, ::-1]),
        ({"flip_down": -1}, NINE[::-1]),
        ({"across": 1}, NINE[:, [0, 0, 1]]),
        ({"down": -1}, NINE[[1, 2, 2]]),
        ({"across": 1, "flip_across": -1}, NINE[:, [2, 2, 1]]),  # flipped, then moved
        ({"across": 100}, NINE[:, [0, 0, 0]]),
    ],
)
def test_pixels_that_move_as_they_are(parts, expected, whole):
    np.testing.assert_array_equal(sampled(NINE, whole=whole, **parts), expected)


def test_a_quarter_turn_is_counter_clockwise():
    turned = sampled(NINE, angle=math.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(NINE), atol=1e-5)


def test_zoom_takes_every_second_pixel():
    image = np.arange(25, dtype="float32").reshape(5, 5)
    expected = image[np.ix_([0, 0, 2, 4, 4], [0, 0, 2, 4, 4])]
    np.testing.assert_array_equal(sampled(image, zoom=2), expected)


def test_shear_moves_rows_by_their_distance_from_the_centre():
    # the row above the centre reads one column to the left, that below to the right
    expected = [[0, 0, 1], [3, 4, 5], [7, 8, 8]]
    np.testing.assert_array_equal(sampled(NINE, shear=1), expected)


def test_half_a_pixel_is_the_mean_of_two():
    expected = [[0, 0.5, 1.5], [3, 3.5, 4.5], [6, 6.5, 7.5]]
    np.testing.assert_array_equal(sampled(NINE, across=0.5), expected)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("fill_mode", "row"),
    [
        ("nearest", [0, 0, 0]),
        ("reflect", [1, 0, 0]),  # 2 1 0 | 0 1 2
        ("constant", [8, 8, 0]),
    ],
)
def test_beyond_the_border(fill_mode, row, whole):
    image = NINE[:1]
    moved = sampled(image, fill_mode, 8.0, whole=whole, across=2)
    np.testing.assert_array_equal(moved, [row])


def test_a_border_pixel_is_mixed_with_the_fill():
    image = np.array([[2.0, 4.0]], "float32")
    moved = sampled(image, "constant", 8.0, across=0.5)
    np.testing.assert_array_equal(moved, [[5, 3]])
    moved = sampled(image, "constant", 0.0, across=-0.5)
    np.testing.assert_array_equal(moved, [[3, 2]])


# --- beside Keras


PARTS = {"angle": 0.4, "shear": 0.2, "zoom": 1.3, "across": 5.0, "down": -3.3}


def random_images(batch=2, height=12, width=15, channels=3):
    rng = np.random.default_rng(0)
    return rng.random((batch, height, width, channels), "float32")


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_keras_affine_transform_agrees(fill_mode):
    images = random_images()
    _, height, width, _ = images.shape
    # far out, so that all the ways to fill are seen
    parts = {
        name: ops.array([value, 2 * value], "float32") for name, value in PARTS.items()
    }
    m = [numpy(each) for each in matrix(flip_down=-1, **parts)]
    cx, cy = (width - 1) / 2, (height - 1) / 2
    from_corner = [
        *(m[0], m[1], m[2] + cx - cx * m[0] - cy * m[1]),
        *(m[3], m[4], m[5] + cy - cx * m[3] - cy * m[4]),
        *(0 * m[0], 0 * m[0]),
    ]
    theirs = ops.image.affine_transform(
        images,
        ops.stack([ops.array(each) for each in from_corner], axis=1),
        fill_mode=fill_mode,
        fill_value=0.25,
        data_format="channels_last",
    )
    ours = sample(ops.array(images), [ops.array(x) for x in m], fill_mode, 0.25, False)
    np.testing.assert_allclose(numpy(ours), numpy(theirs), atol=2e-5)


def test_keras_layers_one_after_the_other_agree():
    """Within what three interpolations of theirs cost; ours is one."""
    y, x = np.mgrid[:32, :32] / 32 * 2 * np.pi
    image = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1)
    images = ops.convert_to_tensor(image[None].astype("float32"))
    layers = [
        keras.layers.RandomZoom((-0.1, -0.1)),
        keras.layers.RandomRotation((0.05, 0.05)),
        keras.layers.RandomTranslation((0.08, 0.08), (-0.05, -0.05)),
    ]
    theirs = ops.flip(images, axis=2)
    for layer in layers:
        theirs = layer(theirs, training=True)
    parts = {
        "zoom": 0.9,
        "angle": 0.05 * 2 * math.pi,
        "across": -0.05 * 32,
        "down": 0.08 * 32,
        "flip_across": -1,
    }

    def worst(**parts):
        m = matrix(**{name: ops.array([x], "float32") for name, x in parts.items()})
        ours = sample(images, m, "reflect", 0.0, False)
        inner = slice(8, 24)
        return np.abs(numpy(ours) - numpy(theirs))[:, inner, inner].max()

    # bilinear: (2 pi / 32) ** 2 / 8 per axis and interpolation
    assert worst(**parts) < 3 * 2 * (2 * math.pi / 32) ** 2 / 8
    for name in parts:  # and each part is seen
        assert worst(**{key: x for key, x in parts.items() if key != name}) > 0.1


# --- compiled


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_xla_compiles_it(fill_mode):
    images = ops.convert_to_tensor(random_images())
    values = ops.array([PARTS["angle"], 0.0], "float32")

    def run(images, angle):
        return sample(images, matrix(angle=angle, across=3.0), fill_mode, 0.5, False)

    compiled = backend.compiled(run, xla=True)(images, values)
    np.testing.assert_allclose(numpy(compiled), numpy(run(images, values)), atol=1e-5)


@pytest.mark.parametrize(
    "recipe",
    [
        augment.adma("cifar10"),
        augment.adma("cifar100"),
        augment.pad_crop_flip(2),
    ],
    ids=["cifar10", "cifar100", "pad_crop_flip"],
)
def test_xla_compiles_recipes(recipe):
    assert recipe.supports_jit
    images = ops.convert_to_tensor(random_images())
    run = backend.compiled(lambda images, seed: recipe(images, seed=seed), xla=True)
    first = numpy(run(images, ops.array([1, 2])))
    np.testing.assert_array_equal(first, numpy(run(images, ops.array([1, 2]))))
    assert np.abs(first - numpy(run(images, ops.array([1, 3])))).max() > 0.1


# --- what is drawn


def test_draws_fill_their_range():
    step = augment.Affine(
        rotation=30, shift=0.2, shear=0.1, zoom=0.3, flip="both", pixels=0
    )
    draws = step.draw(4000, 10, 20, SeedStream(0))
    ranges = {
        "angle": (-math.pi / 6, math.pi / 6),
        "across": (-4, 4),
        "down": (-2, 2),
        "shear": (-0.1, 0.1),
        "zoom": (0.7, 1.3),
        "flip_across": (-1, 1),
        "flip_down": (-1, 1),
    }
    assert draws.keys() == ranges.keys()
    for name, (low, high) in ranges.items():
        values = numpy(draws[name])
        assert low <= values.min() < low + 0.01 * (high - low), name
        assert high - 0.01 * (high - low) < values.max() <= high, name
        # uniform, or a fair coin: six standard errors of the mean
        assert abs(values.mean() - (low + high) / 2) < 0.05 * (high - low), name
    pairs = np.corrcoef([numpy(each) for each in draws.values()])
    assert np.abs(pairs - np.eye(len(pairs))).max() < 0.1


def test_pixels_are_whole_and_reach_both_ends():
    step = augment.Affine(pixels=2)
    draws = step.draw(500, 8, 8, SeedStream(0))
    assert sorted(set(numpy(draws["across"]).tolist())) == [-2, -1, 0, 1, 2]
    both = augment.Affine(pixels=2, shift=0.1).draw(500, 8, 8, SeedStream(0))
    assert 2 < np.abs(numpy(both["across"])).max() <= 2.8


def test_pad_crop_flip_is_a_crop_of_the_padded_image():
    images = random_images(64, 5, 5, 2)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    result = numpy(augment.pad_crop_flip(1)(images, seed=0))
    seen = set()
    for image, whole in zip(result, padded, strict=True):
        crops = {
            (i, j, flip): whole[i : i + 5, j : j + 5][:, ::flip]
            for i in range(3)
            for j in range(3)
            for flip in (1, -1)
        }
        # flipped before or after the pad is the same set of crops
        found = [key for key, crop in crops.items() if np.array_equal(crop, image)]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 12  # of 18; 64 draws leave out 0.5 on average
