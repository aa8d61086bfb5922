"""The paper networks: sizes by hand, logits out, seeds that decide the weights."""

import numpy as np
import pytest

from tfrobustloss import architectures

NAMES = architectures.__all__


def build(name, shape=(28, 28, 1), num_classes=10, **options):
    return getattr(architectures, name)(shape, num_classes, **options)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # by hand, weights + biases a layer
        ("mlp2", (784 * 256 + 256) + (256 * 10 + 10)),
        ("mlp3", (784 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10)),
        (
            "cnn4",
            (25 * 32 + 32)
            + (25 * 32 * 64 + 64)
            + (7 * 7 * 64 * 1024 + 1024)
            + (1024 * 10 + 10),
        ),
    ],
)
def test_size_on_mnist(name, parameters):
    assert build(name).count_params() == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3)])
def test_outputs_are_logits(name, shape):
    images = np.random.default_rng(0).random((4, *shape), "float32")
    logits = np.asarray(build(name, shape, num_classes=7, seed=0)(images))
    assert logits.shape == (4, 7)
    assert logits.min() < 0  # no softmax
    assert not np.allclose(logits.sum(axis=-1), 1)


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_the_weights(name):
    one, same, other, free = (
        build(name, seed=seed).get_weights() for seed in (3, 3, 4, None)
    )
    for a, b, c, d in zip(one, same, other, free, strict=True):
        np.testing.assert_array_equal(a, b)
        if a.ndim > 1:  # biases start at 0
            assert not np.array_equal(a, c)
            assert not np.array_equal(a, d)


def test_layers_of_one_shape_differ():
    weights = build("mlp3", shape=(16, 16, 1), seed=0).get_weights()
    assert weights[0].shape == weights[2].shape
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=f"{name}: `num_classes`.*num_classes=1"):
        build(name, num_classes=1)
    with pytest.raises(ValueError, match=f"{name}: `seed`.*seed=-1"):
        build(name, seed=-1)
