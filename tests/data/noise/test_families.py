"""Noise that depends on the image, noise on the image, images from elsewhere."""

import numpy as np
import pytest

from tfrobustloss.data import noise
from tfrobustloss.data.noise.draws import normal_draws, stream_seed
from tfrobustloss.data.noise.instance_dependent import _weights

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(4000, 12))
CLEAN = RNG.integers(0, 5, 4000)


# --- draws


def test_normal_draws_are_standard_normal():
    drawn = normal_draws(np.arange(100_000), seed=3)
    # standard errors: .0032 of the mean, .0022 of the deviation; 4 of them allowed
    assert abs(drawn.mean()) < 0.013
    assert abs(drawn.std() - 1) < 0.009
    assert abs(np.mean(drawn < 1) - 0.8413) < 0.005  # Phi(1)
    np.testing.assert_array_equal(
        normal_draws([7, 5], 3), normal_draws(range(8), 3)[[7, 5]]
    )


def test_streams_differ():
    seeds = {stream_seed(seed, stream) for seed in range(50) for stream in range(50)}
    assert len(seeds) == 2500
    assert stream_seed(2**64 - 1, 0) < 2**64


# --- instance-dependent


def truncated_mean(rate):
    """Mean of Normal(rate, .1 ** 2) kept to [0, 1], by the midpoint rule."""
    grid = (np.arange(100_000) + 0.5) / 100_000
    weight = np.exp(-0.5 * ((grid - rate) / 0.1) ** 2)
    return float((grid * weight).sum() / weight.sum())


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.6, 1.0])
def test_share_of_wrong_labels(rate):
    noisy = noise.instance_dependent(FEATURES, CLEAN, rate, seed=1, num_classes=5)
    expected = truncated_mean(rate)
    spread = np.sqrt(expected * (1 - expected) / len(CLEAN))
    assert abs(noise.realized_rate(CLEAN, noisy) - expected) < 3.3 * spread + 1e-9


def test_the_documented_means():
    # the docstring's figures
    means = [round(truncated_mean(rate), 3) for rate in (0.1, 0.2, 0.3)]
    assert means == [0.129, 0.206, 0.3]


def test_wrong_classes_follow_the_softmax_of_the_projection():
    noisy = noise.instance_dependent(FEATURES, CLEAN, 0.9, seed=2, num_classes=5)
    member = (CLEAN == 3) & (noisy != 3)
    weights = _weights(3, 12, 5, seed=2)
    scores = FEATURES[member] @ weights
    scores[:, 3] = -np.inf
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    # expected counts of each wrong class against what came: sum of Bernoullis
    counts = np.bincount(noisy[member], minlength=5)
    spread = np.sqrt((chances * (1 - chances)).sum(axis=0))
    assert counts[3] == 0
    assert (np.abs(counts - chances.sum(axis=0)) < 3.5 * spread + 1e-9).all()


def test_noise_of_an_example_is_its_own():
    options = dict(seed=4, num_classes=5)
    whole = noise.instance_dependent(FEATURES, CLEAN, 0.4, **options)
    part = noise.instance_dependent(FEATURES[:500], CLEAN[:500], 0.4, **options)
    np.testing.assert_array_equal(part, whole[:500])
    other = noise.instance_dependent(FEATURES, CLEAN, 0.4, seed=5, num_classes=5)
    assert not np.array_equal(other, whole)
    moved = noise.instance_dependent(FEATURES[::-1], CLEAN, 0.4, **options)
    assert not np.array_equal(moved, whole)  # it does depend on the features


def test_a_whole_float_is_a_number_of_classes():
    features, labels = np.arange(80.0).reshape(20, 4) / 80, np.arange(20) % 3
    found, again = (
        noise.instance_dependent(features, labels, 0.4, seed=0, num_classes=each)
        for each in (3, 3.0)
    )
    np.testing.assert_array_equal(found, again)


def test_shape_dtype_and_rate_0_are_kept():
    labels = CLEAN.astype(np.uint8).reshape(-1, 1)
    noisy = noise.instance_dependent(FEATURES, labels, 0.4, seed=0)
    assert noisy.shape == labels.shape
    assert noisy.dtype == np.uint8
    still = noise.instance_dependent(FEATURES, labels, 0, seed=0)
    np.testing.assert_array_equal(still, labels)
    assert noise.instance_dependent(np.ones((0, 3)), CLEAN[:0], 0.5, seed=0).size == 0


def test_large_pixels_do_not_overflow():
    noisy = noise.instance_dependent(255 * np.abs(FEATURES), CLEAN, 0.5, seed=0)
    assert set(np.unique(noisy)) <= set(range(5))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (dict(rate=1.5), "`rate`.*rate=1.5"),
        (dict(seed=-1), "`seed`.*seed=-1"),
        (dict(features=FEATURES[1:]), r"features.shape.*\(4000, ...\).*\(3999, 12\)"),
        (dict(features=np.full((4000, 2), np.nan)), r"features\[0, 0\].*nan"),
        (dict(features=np.full(4000, "a")), "features.dtype"),
        (dict(num_classes=3), "labels"),
        (
            dict(labels=CLEAN.astype("int8"), num_classes=300),
            "`labels.dtype`.*can hold class 299.*'int8'.*Cast the labels to int64",
        ),
    ],
)
def test_instance_dependent_checks(change, match):
    arguments = dict(features=FEATURES, labels=CLEAN, rate=0.4, seed=0)
    with pytest.raises(ValueError, match=match):
        noise.instance_dependent(**{**arguments, **change})


# --- on the inputs

GREY = np.full((500, 6, 6, 3), 100, np.uint8)


def test_gaussian():
    noisy = noise.feature_noise(GREY, "gaussian", 0.1, seed=0)
    off = noisy.astype(float) - 100
    assert noisy.dtype == np.uint8
    assert abs(off.mean()) < 0.5  # 4 standard errors of 25.5 / sqrt(54,000)
    assert abs(off.std() - 25.5) < 0.4
    assert (GREY == 100).all()


def test_salt_and_pepper_takes_whole_pixels():
    noisy = noise.feature_noise(GREY, "salt_and_pepper", 0.2, seed=0)
    assert set(np.unique(noisy)) == {0, 100, 255}
    assert (noisy == noisy[..., :1]).all()
    shares = [np.mean(noisy == value) for value in (0, 255)]
    np.testing.assert_allclose(shares, 0.1, atol=0.009)  # 4 of .0022


def test_outliers_replace_whole_images():
    noisy = noise.feature_noise(GREY, "outliers", 0.3, seed=0)
    changed = (noisy != 100).mean(axis=(1, 2, 3))
    assert set(np.round(changed)) == {0.0, 1.0}
    assert abs((changed > 0.5).mean() - 0.3) < 0.082  # 4 of .0205
    replaced = noisy[changed > 0.5]
    assert abs(replaced.mean() - 127.5) < 2.5


@pytest.mark.parametrize("kind", ["gaussian", "salt_and_pepper", "outliers"])
def test_feature_noise_of_an_image_is_its_own(kind, monkeypatch):
    floats = RNG.uniform(size=(20, 4, 4, 1)).astype(np.float32)
    whole = noise.feature_noise(floats, kind, 0.4, seed=1)
    assert whole.dtype == np.float32
    assert 0 <= whole.min() <= whole.max() <= 1
    monkeypatch.setattr("tfrobustloss.data.noise.features._VALUES_A_CHUNK", 48)
    np.testing.assert_array_equal(noise.feature_noise(floats, kind, 0.4, seed=1), whole)
    first = noise.feature_noise(floats[:7], kind, 0.4, seed=1)
    np.testing.assert_array_equal(first, whole[:7])
    same = noise.feature_noise(floats, kind, 0, seed=1)
    np.testing.assert_allclose(same, floats, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (dict(kind="blur"), "`kind`.*kind='blur'"),
        (dict(amount=2), "`amount`.*amount=2"),
        (dict(images=GREY.astype(float)), r"`images`.*in \[0, 1\].*value_range"),
        (dict(value_range=(1, 0)), r"value_range=\(1, 0\)"),
        (dict(images=np.array(["a"])), "images.dtype"),
        (dict(images=[[1, 2], [3]]), r"`len\(images\[i\]\)`.*=\[2, 1\]"),
    ],
)
def test_feature_noise_checks(change, match):
    arguments = dict(images=GREY, kind="gaussian", amount=0.1, seed=0)
    with pytest.raises(ValueError, match=match):
        noise.feature_noise(**{**arguments, **change})


# --- from another set


def test_open_set():
    ours, others = np.zeros((2000, 2, 2, 1)), np.arange(1.0, 11).reshape(10, 1, 1, 1)
    others = np.broadcast_to(others, (10, 2, 2, 1))
    mixed, replaced = noise.open_set(ours, others, 0.25, seed=0)
    np.testing.assert_array_equal(mixed[:, 0, 0, 0] > 0, replaced)
    assert abs(replaced.mean() - 0.25) < 0.04  # 4 of .0097
    assert set(np.unique(mixed[replaced])) == set(range(1, 11))
    again, _ = noise.open_set(ours[:50], others, 0.25, seed=0)
    np.testing.assert_array_equal(again, mixed[:50])
    assert (ours == 0).all()


def test_open_set_checks():
    with pytest.raises(
        ValueError, match=r"outside_images.*\(2, 3, 'float64'\).*Resize"
    ):
        noise.open_set(np.zeros((4, 2)), np.zeros((2, 3)), 0.5, seed=0)
    with pytest.raises(ValueError, match=r"len\(outside_images\[i\]\).*=\[2, 1\]"):
        noise.open_set(np.zeros((4, 2)), [[0, 1], [2]], 0.5, seed=0)
    with pytest.raises(ValueError, match=r"len\(outside_images\).*=0"):
        noise.open_set(np.zeros((4, 2)), np.zeros((0, 2)), 0.5, seed=0)
    with pytest.raises(ValueError, match="`rate`.*rate=-1"):
        noise.open_set(np.zeros((4, 2)), np.zeros((1, 2)), -1, seed=0)
