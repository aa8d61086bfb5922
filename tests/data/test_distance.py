"""Distances to a border, by hand and against every pair of pixels."""

import functools
import inspect
import textwrap

import keras
import numpy as np
import pytest

from tfrobustloss import losses
from tfrobustloss.data.distance import signed_distance_map

SQUARE = np.zeros((5, 5), int)
SQUARE[1:4, 1:4] = 1


def test_a_square():
    # losses.md A14: -1 in the centre, 0 on the ring, 1 outside, √2 at the corners
    expected = np.ones((5, 5))
    expected[1:4, 1:4] = 0
    expected[2, 2] = -1
    expected[np.ix_([0, 4], [0, 4])] = np.sqrt(2)
    distance = signed_distance_map(SQUARE)
    assert distance.dtype == np.float32
    np.testing.assert_allclose(distance, expected, rtol=1e-7)


def test_spacing():
    # by hand: rows 2 apart, columns 0.5
    distance = signed_distance_map(SQUARE, spacing=(2, 0.5))
    assert distance[0, 2] == 2
    assert distance[2, 0] == 0.5
    np.testing.assert_allclose(distance[0, 0], np.hypot(2, 0.5), rtol=1e-7)
    # inside, the nearest outside is 2 columns off: 0.5 - 1
    assert distance[2, 2] == -0.5
    np.testing.assert_array_equal(
        signed_distance_map(SQUARE, 3.0), 3 * signed_distance_map(SQUARE)
    )


@pytest.mark.parametrize("mask", [np.zeros((3, 4)), np.ones((3, 4))])
def test_no_border(mask):
    np.testing.assert_array_equal(signed_distance_map(mask), np.zeros((3, 4)))


def test_one_map_per_class():
    masks = np.eye(3)[[[0, 0, 1], [0, 1, 1]]]  # nothing of class 2
    maps = signed_distance_map(masks, (1, 1))
    for k in range(3):
        expected = signed_distance_map(masks[..., k])
        np.testing.assert_array_equal(maps[..., k], expected)
    assert (maps[..., 2] == 0).all()
    # without a spacing per axis the classes would be slices of a volume
    assert not np.array_equal(maps, signed_distance_map(masks))


@pytest.mark.parametrize(
    ("target", "loss", "known"),
    [
        ("with_distance", losses.Boundary(from_logits=True), True),
        ("with_both", losses.RegionBoundary(from_logits=True), False),
    ],
    ids=["all sizes", "no size"],
)
def test_the_recipe_of_the_docstring_trains(target, loss, known):
    tf = pytest.importorskip("tensorflow")
    text = inspect.getdoc(signed_distance_map).split("`(rows, columns, classes)`:\n")[1]
    names = {"tf": tf, "functools": functools}
    names["signed_distance_map"] = signed_distance_map
    exec(textwrap.dedent(text.split("\nArgs:")[0]), names)
    masks = np.eye(2, dtype="float32")[[SQUARE, 1 - SQUARE, SQUARE.T, 0 * SQUARE]]
    shape = masks.shape[1:]
    specs = tf.TensorSpec(shape), tf.TensorSpec(shape if known else (None,) * 3)
    data = tf.data.Dataset.from_generator(
        lambda: zip(masks, masks, strict=True), output_signature=specs
    )
    data = data.apply(tf.data.experimental.assert_cardinality(len(masks)))
    batches = data.map(names[target]).batch(2)
    model = keras.Sequential([keras.Input((5, 5, 2)), keras.layers.Conv2D(2, 3)])
    model.add(keras.layers.ZeroPadding2D(1))
    model.compile("adam", loss, jit_compile=False)
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert history[1] < history[0]
    # what the program was given is what the arrays give
    distance = np.stack([signed_distance_map(mask, (1, 1)) for mask in masks])
    given = np.concatenate([masks, distance], axis=-1)
    given = distance if target == "with_distance" else given
    value = model.evaluate(batches, verbose=0)
    expected = model.evaluate(masks, given, batch_size=2, verbose=0)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("mask", "shown"),
    [
        (np.array([-1, 0, 1]), r"mask=\[-1\]"),
        (255 * SQUARE, r"mask=\[255, .*mask == 255"),
        (np.array([0, np.nan, 1]), r"mask=\[nan\]"),
    ],
)
def test_bad_values_are_shown(mask, shown):
    with pytest.raises(ValueError, match=shown):
        signed_distance_map(mask)


def test_against_every_pair():
    random = np.random.default_rng(0)
    for trial in range(60):
        axes = random.integers(1, 4)
        shape = random.integers(1, 9, axes)
        mask = random.random(shape) < random.choice([0.02, 0.1, 0.5, 0.9, 0.98])
        steps = random.choice([1.0, 0.5, 2.3, 0.1, 7.0], axes)
        steps = steps if trial % 2 else np.ones(axes)
        expected = np.zeros(shape)
        if mask.any() and not mask.all():
            inside, outside = np.argwhere(mask) * steps, np.argwhere(~mask) * steps
            apart = np.linalg.norm(inside[:, None] - outside, axis=-1)
            expected[mask] = steps.min() - apart.min(axis=1)
            expected[~mask] = apart.min(axis=0)
        distance = signed_distance_map(mask, steps)
        np.testing.assert_allclose(distance, expected, rtol=2e-7, atol=1e-6)


def test_long_lines_against_every_pair():
    random = np.random.default_rng(1)
    mask = random.random((3, 300)) < 0.01
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[:3, :300]
    apart = np.hypot(2 * (y[..., None] - rows), x[..., None] - columns).min(-1)
    distance = signed_distance_map(mask, (2, 1))
    np.testing.assert_allclose(distance[~mask], apart[~mask], rtol=1e-6)


@pytest.mark.parametrize(
    ("mask", "spacing", "named"),
    [
        (2 * SQUARE, 1.0, "mask"),
        (SQUARE / 2, 1.0, "mask"),
        (SQUARE.astype(str), 1.0, "mask"),
        (SQUARE, (1, 1, 1), "spacing"),
        (SQUARE, (1, 0), "spacing"),
        (SQUARE, -1.0, "spacing"),
        (SQUARE, (1, np.nan), "spacing"),
        (np.array(1), 1.0, "spacing"),
    ],
)
def test_refused(mask, spacing, named):
    with pytest.raises(ValueError, match=rf"signed_distance_map: `{named}` must be"):
        signed_distance_map(mask, spacing)
