"""Recipes: seeds, dtypes, labels, configs, errors."""

import functools
import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.losses.rows import ROWS
from tfrobustloss.data import augment

# Keras' RandAugment on PyTorch, in `count_nonzero`
pytestmark = pytest.mark.filterwarnings("ignore:Tensor.T is deprecated:UserWarning")

# those of the ADMA paper that are not here differ in numbers alone
RECIPES = {
    "mnist": augment.adma("mnist"),
    "cifar100": augment.adma("cifar100"),
    "pad_crop_flip": augment.pad_crop_flip(),
    "rand_augment": augment.rand_augment(3, value_range=(0, 255)),
    "random_erasing": augment.random_erasing(1.0, value_range=(0, 255)),
    "mixup": augment.mixup(4, alpha=1.0),
    "cutmix": augment.cutmix(4),
    "sum": augment.adma("cifar10") + augment.random_erasing(value_range=(0, 255)),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype("float32")
LABELS = np.array([0, 1, 2, 3, 0, 1])


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def run(recipe, seed, images=IMAGES, **options):
    """The images of a recipe, and the labels if it mixes them."""
    if not recipe.mixes_labels:
        return numpy(recipe(images, seed=seed, **options))
    images, labels = recipe(images, LABELS, seed=seed, **options)
    return np.concatenate([numpy(images).reshape(len(LABELS), -1), numpy(labels)], 1)


each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())


@functools.cache
def first_run(name):
    return run(RECIPES[name], seed=7)


# --- seeds


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_images(name):
    first = first_run(name)
    np.testing.assert_array_equal(run(RECIPES[name], seed=7), first)
    assert first.std() > 0


@pytest.mark.parametrize("name", RECIPES)
def test_configs_give_the_same_recipe(name):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(RECIPES[name])))
    again = keras.saving.deserialize_keras_object(config)
    assert again.supports_jit == RECIPES[name].supports_jit
    np.testing.assert_array_equal(run(again, seed=7), first_run(name))


def test_what_a_seed_may_be():
    recipe = RECIPES["cifar100"]
    first = run(recipe, 7)
    np.testing.assert_array_equal(run(recipe, ops.array(7)), first)
    np.testing.assert_array_equal(run(recipe, np.array([7, 0])), first)
    np.testing.assert_array_equal(run(recipe, keras.random.SeedGenerator(7)), first)
    others = [8, 2**40 + 7, 2**64 - 1, np.array([0, 7]), np.array([7, 1])]
    for other in others:
        assert np.abs(run(recipe, other) - first).max() > 1, other


def test_no_seed_is_that_of_keras():
    keras.utils.set_random_seed(3)
    first = run(RECIPES["mnist"], None)
    assert np.abs(run(RECIPES["mnist"], None) - first).max() > 1
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(run(RECIPES["mnist"], None), first)


def test_batches_share_no_draws():
    """The first draw of batch 1 is not the second of batch 0, and so on."""
    from tfrobustloss.data.augment._seeds import SeedStream

    seen = set()
    for seed in range(3):
        for batch in range(10):
            stream = SeedStream(np.array([seed, batch]))
            for _ in range(8):
                draw = keras.random.uniform((2,), seed=stream)
                seen.add(tuple(numpy(draw).tolist()))
    assert len(seen) == 3 * 10 * 8


@each_recipe
def test_nothing_is_stored_in_a_graph(recipe):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf.data runs recipes on the TensorFlow backend")
    labels = LABELS if recipe.mixes_labels else None

    def step(batch, images):
        result = recipe(images, labels, seed=tf.stack([7, batch]))
        return result if labels is None else result[0]

    # a user's `map` converts with AutoGraph; one recipe shows that it may
    autograph = recipe is RECIPES["mixup"]
    graph = tf.function(step, autograph=autograph).get_concrete_function(
        tf.TensorSpec((), tf.int64), tf.TensorSpec(IMAGES.shape, tf.float32)
    )
    many = tf.data.Dataset.from_tensors(IMAGES).repeat(2).enumerate()
    many = many.map(lambda batch, images: graph(batch, images))
    first, second = [image.numpy() for image in many]
    again, _ = [image.numpy() for image in many]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 1
    assert not graph.variables


# --- what comes out


@each_recipe
def test_inactive_outside_training(recipe):
    np.testing.assert_array_equal(numpy(recipe(IMAGES, training=False)), IMAGES)
    images, labels = recipe(IMAGES, LABELS, training=False)
    np.testing.assert_array_equal(numpy(labels), LABELS)


@each_recipe
def test_dtypes(recipe):
    expected = {"uint8": "float32", "int32": "float32"}
    for dtype in ("uint8", "int32", "float16", "bfloat16", "float32"):
        images = ops.cast(IMAGES, dtype)
        for training in (True, False)[: 2 if dtype in ("uint8", "float16") else 1]:
            result, _ = recipe(images, LABELS, seed=0, training=training)
            found = keras.backend.standardize_dtype(result.dtype)
            assert found == expected.get(dtype, dtype)
            assert tuple(result.shape) == IMAGES.shape


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_labels_are_those_of_the_images(name):
    """Images of one value a class, so that an image tells of what it is made."""
    recipe, values = RECIPES[name], np.array([0.0, 1.0, 10.0, 100.0], "float32")
    images = np.ones((6, 64, 64, 1), "float32") * values[LABELS][:, None, None, None]
    mixed, rows = recipe(images, LABELS, seed=1)
    mixed, rows = numpy(mixed), numpy(rows)
    assert rows.shape == (6, 4)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    assert rows.min() >= 0
    assert ((rows > 0.02) & (rows < 0.98)).any()
    # a patch ends on a pixel: up to one of 64 more in each direction
    error = 1e-5 if name == "mixup" else 2.1 / 64
    np.testing.assert_allclose(
        mixed.mean(axis=(1, 2, 3)) / 100, rows @ values / 100, atol=error
    )
    for labels in (LABELS[:, None], np.eye(4, dtype="float32")[LABELS]):
        np.testing.assert_array_equal(numpy(recipe(images, labels, seed=1)[1]), rows)


def test_every_loss_takes_mixed_labels():
    _, rows = augment.mixup(4, alpha=1.0)(IMAGES, LABELS, seed=0)
    scores = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    predictions = ops.softmax(ops.array(scores))
    for loss_class, row in {row.loss_class: row for row in ROWS}.items():
        value = row.build()(rows, predictions)
        assert np.isfinite(numpy(value)), loss_class


def test_a_recipe_of_one_step_or_of_recipes():
    step = augment.Affine(shift=0.1)
    assert augment.Recipe(step).steps == (step,)
    erasing = augment.random_erasing()
    both = augment.Recipe([augment.Recipe([step]), erasing])
    assert both.steps == (step, *erasing.steps)
    assert (erasing + step).steps == (*erasing.steps, step)
    with pytest.raises(TypeError, match="unsupported operand"):
        erasing + run


def test_erasing_takes_its_share():
    images = np.full((200, 32, 32, 1), 100.0, "float32")
    erased = numpy(augment.random_erasing(0.5, area=(0.25, 0.25))(images, seed=0))
    hit = (erased != 100).any(axis=(1, 2, 3))
    assert 0.35 < hit.mean() < 0.65  # four standard deviations
    share = (erased[hit] != 100).mean()
    assert 0.23 < share < 0.27
    assert erased.min() >= 0
    assert erased.max() <= 255
    untouched = augment.random_erasing(0.0)(images, seed=0)
    np.testing.assert_array_equal(numpy(untouched), images)


def test_the_settings_of_the_adma_paper():
    # sections 4.2.1 to 4.2.4
    def settings(dataset):
        (step,) = augment.adma(dataset).steps
        return {name: value for name, value in step.get_config().items() if value}

    nearest = {"fill_mode": "nearest"}
    assert settings("mnist") == {"rotation": 30, "shift": 0.2, **nearest}
    assert settings("fashion_mnist") == settings("mnist")
    flip = {"flip": "horizontal", **nearest}
    assert settings("cifar100") == {"rotation": 15, "shift": 0.1, **flip}
    assert settings("cifar10") == {"shift": 0.2, "shear": 0.2, **flip}


# --- errors


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: augment.Affine(rotation=181), ValueError, "`rotation` must be in"),
        (lambda: augment.Affine(shift=-0.1), ValueError, "shift=-0.1"),
        (lambda: augment.Affine(pixels=1.5), ValueError, "pixels=1.5"),
        (lambda: augment.Affine(shear=2), ValueError, "shear=2"),
        (lambda: augment.Affine(zoom=1), ValueError, "zoom=1"),
        (lambda: augment.Affine(flip="x"), ValueError, "flip='x'"),
        (lambda: augment.Affine(fill_mode="wrap"), ValueError, "fill_mode='wrap'"),
        (lambda: augment.Affine(fill_value="0"), TypeError, "fill_value='0'"),
        (lambda: augment.adma("svhn"), ValueError, "dataset='svhn'"),
        (lambda: augment.pad_crop_flip(-1), ValueError, "padding=-1"),
        (lambda: augment.rand_augment(11), ValueError, "magnitude=11"),
        (lambda: augment.random_erasing(2), ValueError, "probability=2"),
        (lambda: augment.random_erasing(area=(0, 3)), ValueError, "area=3"),
        (lambda: augment.random_erasing(area=0.2), TypeError, "a pair.*area=0.2"),
        (lambda: augment.random_erasing(value_range=1), TypeError, "value_range=1"),
        (lambda: augment.rand_augment(value_range=1), TypeError, "value_range=1"),
        (lambda: augment.Recipe([augment.adma]), TypeError, r"`adma\(\.\.\.\)`"),
        (lambda: augment.mixup(1), ValueError, "num_classes=1"),
        (lambda: augment.cutmix(3, alpha=2), ValueError, "alpha=2"),
        (lambda: augment.Recipe([3]), TypeError, "steps=3"),
        (lambda: augment.Recipe(3), TypeError, "steps=3"),
        (lambda: augment.Recipe([augment.Affine]), TypeError, r"`Affine\(\.\.\.\)`"),
        (lambda: augment.Recipe([run]), TypeError, "augment=function"),
        (
            lambda: augment.Recipe([keras.layers.RandomFlip()]),
            TypeError,
            r"`ImageLayer\(layer\)`",
        ),
        (lambda: augment.ImageLayer(3), TypeError, "layer=3"),
        (
            lambda: augment.ImageLayer(keras.layers.MixUp()),
            ValueError,
            r"layer='MixUp'.*`augment.MixUp\(num_classes\)`",
        ),
        (
            lambda: augment.ImageLayer(keras.layers.RandAugment()),
            ValueError,
            r"layer='RandAugment'.*`augment.rand_augment\(\)`",
        ),
        (
            lambda: augment.ImageLayer(keras.layers.RandomColorJitter((0, 255))),
            ValueError,
            "layer='RandomColorJitter'.*seed",
        ),
        (
            lambda: augment.ImageLayer(keras.layers.RandomFlip(), "no"),
            TypeError,
            "supports_jit='no'",
        ),
        (lambda: augment.mixup(3)(IMAGES), ValueError, "labels=None"),
        (
            lambda: augment.mixup(3)(IMAGES, np.eye(4)[LABELS]),
            ValueError,
            r"labels.shape=\(6, 4\)",
        ),
        (
            lambda: augment.adma("mnist")(IMAGES[0]),
            ValueError,
            r"images.shape=\(16, 16, 3\)",
        ),
        (lambda: augment.adma("mnist")(IMAGES, seed=-1), ValueError, "seed=-1"),
        (lambda: augment.adma("mnist")(IMAGES, seed="a"), TypeError, "seed='a'"),
        (
            lambda: augment.adma("mnist")(IMAGES, seed=np.array([1, 2, 3])),
            ValueError,
            r"seed.shape=\(3,\)",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (LABELS + 3, r"`labels\[1\]` must be an integer in \[0, 3\].*=4"),
        (LABELS - 1, r"`labels\[0\]`.*=-1"),
        (LABELS[:, None] + 0.5, r"`labels\[0\]`.*=0.5"),
        (LABELS * np.nan, r"`labels\[0\]`.*=nan"),
        (LABELS[:4], r"`len\(labels\)` must be 6, one an image.*=4"),
        (np.eye(4)[LABELS][:4], r"`len\(labels\)` must be 6"),
        (np.eye(4)[LABELS] * 3, r"`labels\[0\]`.*1 in total.*\[3.0, 0.0"),
        (np.eye(4)[LABELS] * 2 - 0.25, r"`labels\[0\]`.*0 or more"),
        (list("abcdab"), "`labels.dtype` must be numeric"),
        (0, r"`labels.shape`.*=\(\)"),
    ],
)
def test_labels_to_mix_are_checked(name, labels, text):
    step = {"mixup": "MixUp", "cutmix": "CutMix"}[name]
    with pytest.raises(ValueError, match=f"^{step}: {text}"):
        RECIPES[name](IMAGES, labels, seed=0)


def test_rows_that_count_for_nothing_and_whole_floats_can_be_mixed():
    rows = np.eye(4, dtype="float32")[LABELS]
    rows[2] = 0
    _, mixed = RECIPES["mixup"](IMAGES, rows, seed=0)
    assert numpy(mixed).sum() < 6
    want = numpy(RECIPES["mixup"](IMAGES, LABELS, seed=0)[1])
    found = RECIPES["mixup"](IMAGES, LABELS.astype("float32"), seed=0)[1]
    np.testing.assert_array_equal(numpy(found), want)
