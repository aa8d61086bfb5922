"""Augmentation in a pipeline: where its randomness comes from and what it may touch."""

import keras
import numpy as np
import pytest

from tests.data.pipelines.parts import CLEAN, NOISY, make, source
from tfrobustloss.data import augment

tf = pytest.importorskip("tensorflow")


def jitter(images, labels, seed):
    noise = tf.random.stateless_uniform(tf.shape(images), seed)
    return tf.cast(images, tf.float32) + 0.5 * noise, labels


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
    options = dict(shuffle=False, batch_size=300)
    step = augment.Affine(shift=0.3)
    one, two = (
        next(make(source("arrays"), augment=each, **options).as_numpy_iterator())
        for each in (step, augment.Recipe([step]))
    )
    np.testing.assert_array_equal(one[0], two[0])
    assert one[0].dtype == np.float32


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
