"""Pixel values stay in the range of the images, whatever that range is."""

import keras
import numpy as np
import pytest
from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.data import augment

# Keras' RandAugment on PyTorch, in `count_nonzero`
pytestmark = pytest.mark.filterwarnings("ignore:Tensor.T is deprecated:UserWarning")

L = keras.layers
BYTES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype("uint8")


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def in_range(low, high):
    """The same images with values in [low, high]."""
    return (BYTES / 255 * (high - low) + low).astype("float32")


def step(layer_class, **options):
    return augment.Recipe(augment.ImageLayer(layer_class(**options, dtype="float32")))


RECIPES = {
    "rand_augment": augment.rand_augment(5),
    "random_erasing": augment.random_erasing(1.0),
    "after a geometric step": augment.adma("cifar10") + augment.random_erasing(1.0),
    **{
        name: step(getattr(L, name), **options)
        for name, options in {
            "AutoContrast": {},
            "Equalization": {},
            "RandomBrightness": {"factor": 0.5},
            "RandomColorDegeneration": {"factor": 0.5},
            "RandomContrast": {"factor": 0.5},
            "RandomGaussianBlur": {},
            "RandomHue": {"factor": 0.5},
            "RandomInvert": {"factor": 1.0},
            "RandomPosterization": {"factor": 4},
            "RandomSaturation": {"factor": 0.9},
            "RandomSharpness": {"factor": 0.5},
            "Solarization": {"threshold_factor": 0.4},
        }.items()
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_floats_come_out_as_bytes_do(name):
    recipe = RECIPES[name]
    expected = numpy(recipe(BYTES, seed=3)) / 255
    for low, high in ((0, 1), (-1, 1)):
        images = in_range(low, high)
        found = numpy(recipe(images, seed=3))
        np.testing.assert_array_equal(images, in_range(low, high))  # not in place
        assert low - 1e-6 <= found.min()
        assert found.max() <= high + 1e-6
        apart = np.abs((found - low) / (high - low) - expected)
        # Keras cuts off to bins of 1 / 255 in histograms; elsewhere rounding moves few
        # values over the edge of a bin
        bins = 2 if name in ("rand_augment", "Equalization") else 0
        assert (apart > bins / 255 + 1e-5).mean() < 0.03, apart.max()


def test_erasing_leaves_the_other_pixels_bit_by_bit():
    recipe = augment.random_erasing(1.0, area=(0.25, 0.25))
    for low, high in ((0, 1), (-1, 1)):
        images = in_range(low, high)
        same = (numpy(recipe(images, seed=0)) == images).all(axis=-1)
        assert 0.7 < same.mean() < 0.8


def standardised():
    return ((BYTES / 255 - 0.45) / 0.225).astype("float32")


@pytest.mark.parametrize(
    ("name", "images"),
    [
        pytest.param("random_erasing", standardised(), id="standardised"),
        pytest.param(
            "random_erasing", (BYTES // 16).astype("float32"), id="digits in [0, 16)"
        ),
        pytest.param("random_erasing", 100 * in_range(0, 1), id="percent"),
        pytest.param("random_erasing", BYTES.astype("uint16") * 257, id="16 bits"),
        pytest.param("rand_augment", standardised(), id="rand_augment"),
        pytest.param("rand_augment", BYTES.astype("uint16") * 257, id="rand_augment16"),
    ],
)
def test_a_range_that_does_not_show_must_be_given(name, images):
    make = getattr(augment, name)
    with pytest.raises(ValueError, match=r"`value_range` must be given.*\(0, 1\)"):
        make()(images, seed=0)
    low, high = float(images.min()), float(images.max())
    found = numpy(make(value_range=(low, high))(images, seed=0))
    slack = 1e-5 * (high - low)
    assert low - slack <= found.min()
    assert found.max() <= high + slack
    assert np.abs(found - images).max() > 0


def test_a_compiled_program_shows_no_floats():
    def compiled(recipe):
        return backend.compiled(lambda images: recipe(images, seed=0))

    for recipe in (RECIPES["random_erasing"], RECIPES["RandomContrast"]):
        bytes_out = numpy(compiled(recipe)(ops.convert_to_tensor(BYTES)))
        np.testing.assert_allclose(bytes_out, recipe(BYTES, seed=0), atol=1e-4)
    if keras.backend.backend() == "torch":
        return  # compiles nothing, so values can be seen
    floats = ops.convert_to_tensor(in_range(0, 1))
    with pytest.raises(ValueError, match="value_range=None.*Give the range"):
        compiled(RECIPES["RandomContrast"])(floats)
    layer = L.RandomContrast(0.5, dtype="float32")
    for given in (
        augment.ImageLayer(layer, value_range=(0, 1)),
        augment.ImageLayer(L.RandomContrast(0.5, value_range=(0, 1), dtype="float32")),
    ):
        found = numpy(compiled(augment.Recipe(given))(floats))
        expected = numpy(RECIPES["RandomContrast"](floats, seed=0))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # Keras' own default, said aloud
    recipe = augment.Recipe(augment.ImageLayer(layer, value_range=(0, 255)))
    found = numpy(compiled(recipe)(ops.cast(BYTES, "float32")))
    np.testing.assert_allclose(found, recipe(BYTES, seed=0), atol=1e-3)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="compiles nothing on PyTorch, and on JAX nothing that XLA should not",
)
def test_training_on_floats_asks_for_the_range():
    net = keras.Sequential([L.Input((16, 16, 3)), L.Flatten(), L.Dense(2)])
    model = augment.attach(net, augment.random_erasing(1.0), seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="RandomErasing: `value_range`"):
        model.train_on_batch(in_range(0, 1), np.zeros((6, 2)))
    model.train_on_batch(BYTES, np.zeros((6, 2)))


@pytest.mark.parametrize(
    ("declared", "images"),
    [
        ((0, 255), in_range(0, 1)),
        ((0, 255), in_range(-1, 1)),
        ((0, 1), BYTES),
        ((0, 1), BYTES.astype("float32")),
        ((0, 1), standardised()),
        ((-1, 1), BYTES),
    ],
)
def test_a_range_that_is_plainly_another_is_refused(declared, images):
    recipe = augment.random_erasing(value_range=declared)
    text = rf"`value_range`.*\[.*value_range=\({declared[0]}, {declared[1]}\)"
    with pytest.raises(ValueError, match=text):
        recipe(images, seed=0)


def test_black_and_overshooting_images_are_of_any_range():
    for images in (np.zeros_like(BYTES), np.zeros((2, 8, 8, 3), "float32")):
        augment.random_erasing(value_range=(0, 255))(images, seed=0)
    augment.random_erasing(value_range=(0, 1))(1.1 * in_range(0, 1), seed=0)


@pytest.mark.parametrize(
    ("fill", "images"), [(300, BYTES), (-1, BYTES), (128, in_range(0, 1))]
)
def test_a_fill_outside_the_range_is_refused(fill, images):
    recipe = augment.Recipe(
        augment.Affine(pixels=2, fill_mode="constant", fill_value=fill)
    )
    with pytest.raises(ValueError, match=rf"Affine: `fill_value`.*={fill}"):
        recipe(images, seed=0)


def test_a_fraction_as_fill_of_bytes_is_not_cut_off():
    step = augment.Affine(pixels=3, fill_mode="constant", fill_value=0.5)
    found = numpy(augment.Recipe(step)(np.full((8, 8, 8, 1), 7, "uint8"), seed=0))
    assert set(np.unique(found)) == {0.5, 7.0}


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: augment.random_erasing(value_range=(1, 0)), ValueError, r"=\(1, 0\)"),
        (lambda: augment.rand_augment(value_range="01"), TypeError, "value_range='01'"),
        (
            lambda: augment.ImageLayer(L.RandomFlip(), value_range=(0, 1)),
            ValueError,
            r"None for a layer without a range.*value_range=\(0, 1\)",
        ),
        (
            lambda: augment.ImageLayer(
                L.RandomBrightness(0.1, value_range=(-1, 1)), value_range=(0, 1)
            ),
            ValueError,
            r"that of the layer, \(-1, 1\).*value_range=\(0, 1\)",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
