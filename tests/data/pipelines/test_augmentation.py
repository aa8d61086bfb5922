"""Augmentation in a pipeline: where its randomness comes from and what it may touch."""

import keras
import numpy as np
import pytest

from tests.data.pipelines.parts import CLEAN, NOISY, make, source
from tfrobustloss import data
from tfrobustloss.data import augment, noise
from tfrobustloss.data.pipelines import augmentation

tf = pytest.importorskip("tensorflow")


def jitter(images, labels, seed):
    noise = tf.random.stateless_uniform(tf.shape(images), seed)
    return tf.cast(images, tf.float32) + 0.5 * noise, labels


def flip(images, labels, seed):
    """Images and masks from right to left."""
    return images[:, :, ::-1], labels[:, :, ::-1]


class Flip:
    """A recipe that leaves labels alone, as `data.augment` has them."""

    mixes_labels = False
    supports_jit = True

    def __call__(self, images, labels=None, seed=None, training=True):
        return images[:, :, ::-1] + tf.cast(tf.reduce_sum(seed) * 0, images.dtype)


class Blend(Flip):
    """A recipe that mixes each image and label with the next one's."""

    mixes_labels = True
    supports_jit = False

    def __call__(self, images, labels=None, seed=None, training=True):
        share = tf.random.stateless_uniform((), seed)
        mixed = share * labels + (1 - share) * tf.roll(labels, 1, 0)
        return images, mixed


def epochs(**options):
    """Images and labels of two epochs, in the source's order."""
    options = dict(shuffle=False, augment=jitter, batch_size=100, **options)
    batches = make(source("arrays"), **options)
    return [
        [
            np.concatenate(part)
            for part in zip(*batches.as_numpy_iterator(), strict=True)
        ]
        for _ in range(2)
    ]


def test_same_seed_same_images_but_new_ones_each_epoch_and_batch():
    (one, labels), (two, _) = epochs()
    (again, _), (again_two, _) = epochs()
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(two, again_two)
    assert not np.array_equal(one, two)
    drawn = one - np.floor(one)
    assert not np.array_equal(drawn[:100], drawn[100:200])
    np.testing.assert_array_equal(labels, NOISY)
    (other, _), _ = epochs(seed=12)
    assert not np.array_equal(one, other)


def test_a_recipe_gets_images_only_and_is_compiled():
    plain = make(source("arrays"), shuffle=False)
    flipped = make(source("arrays"), shuffle=False, augment=Flip(), keep_clean=True)
    for (image, label), (other, noisy, clean) in zip(
        plain.as_numpy_iterator(), flipped.as_numpy_iterator(), strict=True
    ):
        np.testing.assert_array_equal(other, image[:, :, ::-1])
        np.testing.assert_array_equal(noisy, label)
        assert clean.shape == label.shape
    graph = tf.compat.v1.GraphDef.FromString(flipped._as_serialized_graph().numpy())
    assert any(
        each.attr["_XlaMustCompile"].b or each.attr["jit_compile"].b
        for each in graph.library.function
    )


def test_a_recipe_that_mixes_labels_mixes_the_clean_ones_alike():
    options = dict(labels="one_hot", keep_clean=True, shuffle=False, batch_size=300)
    batches = make(source("arrays"), augment=Blend(), **options)
    _, noisy, clean = next(batches.as_numpy_iterator())
    share = noisy[0, NOISY[0]]
    for mixed, ids in ((noisy, NOISY), (clean, CLEAN)):
        rows = np.eye(10)[ids]
        expected = share * rows + (1 - share) * np.roll(rows, 1, 0)
        np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_a_recipe_that_mixes_labels_needs_rows():
    with pytest.raises(ValueError, match="`labels`.*'one_hot'.*labels='sparse'"):
        make(source("arrays"), augment=Blend())


def test_a_step_alone_is_a_recipe():
    step = augment.Affine(shift=0.3)
    recipe = augmentation.prepare(step, "sparse")
    assert isinstance(recipe, augment.Recipe)
    assert recipe.steps == (step,)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (augment.adma, r"Call it first: `adma\(\.\.\.\)`"),
        (augment.rand_augment, r"Call it first: `rand_augment\("),
        (augment.Affine, r"Call it first: `Affine\("),
        (keras.layers.RandomFlip(), r"ImageLayer\(layer\)"),
        (augment.Augmentation(augment.adma("mnist")), "the recipe that is in"),
        (lambda images: images, "It must take three arguments"),
        (
            lambda images, labels, seed: images,
            "`augment.images, labels, seed.`.*Tensor",
        ),
    ],
)
def test_what_cannot_augment_is_refused(wrong, match):
    with pytest.raises(TypeError, match=f"^pipeline: .*{match}"):
        make(source("arrays"), augment=wrong)


def test_recipes_run_on_tensorflow_only(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"augment.*Flip.*augment\.attach"):
        make(source("arrays"), augment=Flip())


# --- masks


SIZE = 12
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
# each pixel holds its own row and column, and its class is the column
PLACES = np.tile(np.stack([ROWS, COLUMNS], -1), (24, 1, 1, 1)).astype("float32")
MASKS = np.tile(COLUMNS, (24, 1, 1)).astype("uint8")
AFFINE = augment.Affine(rotation=40, shift=0.2, zoom=0.3, flip="both")


def masked(dataset, **options):
    """All batches of a pipeline of images and masks, put together."""
    defaults = dict(num_classes=SIZE, batch_size=5, seed=1, shuffle=False)
    batches = data.pipeline(dataset, **{**defaults, **options})
    parts = zip(*batches.as_numpy_iterator(), strict=True)
    return [np.concatenate(part) for part in parts]


def masks_from(kind, masks=MASKS):
    if kind == "arrays":
        return PLACES, masks
    stream = tf.data.Dataset.from_tensor_slices((PLACES, masks))
    if kind == "dicts":
        return stream.map(lambda image, mask: {"image": image, "label": mask})
    return stream


@pytest.mark.parametrize(
    ("kind", "axis", "recipe"),
    [("arrays", True, AFFINE), ("stream", False, flip), ("dicts", True, flip)],
)
def test_masks_move_with_the_images(kind, axis, recipe):
    masks = MASKS[..., None] if axis else MASKS
    images, moved, clean = masked(
        masks_from(kind, masks), augment=recipe, keep_clean=True, shuffle=True
    )
    assert moved.shape == MASKS.shape
    assert moved.dtype == MASKS.dtype
    np.testing.assert_array_equal(moved, clean)
    assert np.abs(images[..., 1] - moved).max() <= 0.5 + 1e-4
    assert (moved != MASKS).mean() > 0.5


def test_one_hot_masks_move_with_the_images_and_are_filled():
    recipe = augment.pad_crop_flip(4, mask_fill_value=SIZE)  # no class
    images, rows = masked((PLACES + 1, MASKS), augment=recipe, labels="one_hot")
    assert rows.shape == (*MASKS.shape, SIZE)
    new = images[..., 1] == 0
    assert 0 < new.mean() < 0.7
    assert (rows[new] == 0).all()
    np.testing.assert_array_equal(rows[~new].argmax(-1) + 1, images[~new][:, 1])


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_noise_of_masks_is_that_of_corrupt(kind):
    matrix = noise.symmetric(SIZE, 0.4)
    expected = noise.corrupt(MASKS, matrix, 1)
    _, noisy, clean = masked(
        masks_from(kind), transition_matrix=matrix, keep_clean=True
    )
    np.testing.assert_array_equal(noisy, expected)
    np.testing.assert_array_equal(clean, MASKS)
    _, given = masked(masks_from(kind), noisy_labels=expected)
    np.testing.assert_array_equal(given, expected)


def test_noisy_and_clean_masks_move_alike():
    noisy = (MASKS + 5) % SIZE
    _, moved, clean = masked(
        (PLACES, MASKS), noisy_labels=noisy, keep_clean=True, augment=AFFINE
    )
    np.testing.assert_array_equal(moved, (clean + 5) % SIZE)
    assert (clean != MASKS).any()


def test_a_function_augments_all_masks_of_a_batch():
    images, noisy, clean = masked((PLACES, MASKS), augment=flip, keep_clean=True)
    np.testing.assert_array_equal(noisy, MASKS[:, :, ::-1])
    np.testing.assert_array_equal(clean, noisy)


@pytest.mark.parametrize(
    ("dataset", "options", "text"),
    [
        ((PLACES, MASKS[:, :6]), dict(augment=AFFINE), r"\(batch, 12, 12\).*Resize"),
        ((PLACES, MASKS), dict(augment=augment.mixup(SIZE), labels="one_hot"), "MixUp"),
        ((PLACES, MASKS[:5]), {}, "of one length"),
        ((PLACES, np.zeros((24, 12, 12, 3), int)), {}, r"\(.*12, 12, 3\)"),
        ((PLACES, MASKS), dict(noisy_labels=MASKS[:, :6]), r"noisy_labels.shape"),
    ],
)
@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_masks_that_do_not_fit_are_refused(kind, dataset, options, text):
    if kind == "stream":
        if len(dataset[0]) != len(dataset[1]):
            return
        dataset = tf.data.Dataset.from_tensor_slices(dataset)
    with pytest.raises((ValueError, TypeError), match=text):
        masked(dataset, **options)


def test_a_recipe_needs_the_range_of_floats():
    images = np.random.default_rng(0).random((24, 8, 8, 3)).astype("float32")
    labels = np.arange(24) % SIZE
    with pytest.raises(ValueError, match="RandomErasing: `value_range`.*value_range="):
        masked((images, labels), augment=augment.random_erasing(1.0))
    recipe = augment.random_erasing(1.0, value_range=(0, 1))
    found, _ = masked((images, labels), augment=recipe)
    assert found.max() <= 1
    assert (found != images).any()
    as_bytes = (255 * images).astype("uint8")
    found, _ = masked((as_bytes, labels), augment=augment.random_erasing(1.0))
    assert 1 < found.max() <= 255
