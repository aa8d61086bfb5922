"""Noise of multi-hot labels."""

import numpy as np
import pytest

from tfrobustloss.data import noise

RATES = [[0.1, 0.4], [0.0, 0.3], [0.25, 0.0]]
MISSING = [[0.2, 0.1], [0.5, 0.0], [0.0, 1.0]]


def many(count=20_000, dtype="int8"):
    return np.random.default_rng(0).integers(0, 2, (count, 3)).astype(dtype)


def slowly(labels, flips, missing, seed):
    """One label after the other, by the rule of the docstring."""
    noisy = labels.copy()
    for i, row in enumerate(labels):
        for c, value in enumerate(row):
            draw = noise.uniform_draws(i * len(row) + c, seed)
            if value == -1 or draw < missing[c][value]:
                noisy[i, c] = -1
            elif draw < missing[c][value] + flips[c][value]:
                noisy[i, c] = 1 - value
    return noisy


def test_by_the_rule():
    labels = many(40)
    labels[::7, 1] = -1
    received = noise.corrupt_multi_hot(labels, RATES, 3, MISSING)
    np.testing.assert_array_equal(received, slowly(labels, RATES, MISSING, 3))
    assert len(np.unique(received)) == 3


def test_pinned():
    # a change here changes everybody's noisy labels; the first draw of seed 0 is .6525
    # (test_matrices.py), and the loop above gives the same
    labels = np.tile([0, 1], 6).reshape(4, 3)
    noisy = noise.corrupt_multi_hot(labels, 0.7, seed=0)
    assert (
        noisy.tolist() == slowly(labels, [[0.7] * 2] * 3, np.zeros((3, 2)), 0).tolist()
    )
    assert noisy[0, 0] == 1


def test_realized_rates_are_within_binomial_bounds():
    labels = many()
    noisy = noise.corrupt_multi_hot(labels, RATES, 5)
    realized = noise.realized_flip_rates(labels, noisy)
    # 4.5 standard deviations: sqrt(.25 / 10000) = .005
    np.testing.assert_allclose(realized, RATES, atol=4.5 * 0.005)
    assert (realized[np.array(RATES) == 0] == 0).all()
    lost = noise.corrupt_multi_hot(labels, 0, 5, MISSING) == -1
    for value in (0, 1):
        shares = [lost[labels[:, c] == value, c].mean() for c in range(3)]
        np.testing.assert_allclose(shares, np.array(MISSING)[:, value], atol=0.0225)


def test_the_same_labels_are_flipped_and_lost():
    labels = many(500)
    flipped = noise.corrupt_multi_hot(labels, (0, 0.3), 1) != labels
    lost = noise.corrupt_multi_hot(labels, 0, 1, missing_rates=(0, 0.3)) == -1
    np.testing.assert_array_equal(flipped, lost)
    assert flipped.any()
    assert (labels[flipped] == 1).all()


@pytest.mark.parametrize(
    "dtype", ["int8", "int64", "float32", "float16", "uint8", bool]
)
@pytest.mark.parametrize("shape", [(30, 3), (5, 6, 3), (3,), (0, 3)])
def test_dtype_shape_and_prefix(dtype, shape):
    labels = many(30).reshape(-1)[: np.prod(shape)].reshape(shape).astype(dtype)
    before = labels.copy()
    noisy = noise.corrupt_multi_hot(labels, RATES, seed=2)
    assert (noisy.dtype, noisy.shape) == (labels.dtype, labels.shape)
    np.testing.assert_array_equal(labels, before)
    whole = noise.corrupt_multi_hot(many(30), RATES, seed=2)
    np.testing.assert_array_equal(
        noisy.reshape(-1, 3), whole[: len(noisy.reshape(-1, 3))].astype(dtype)
    )


def test_ends():
    labels = many(200)
    np.testing.assert_array_equal(noise.corrupt_multi_hot(labels, 0, 1), labels)
    np.testing.assert_array_equal(noise.corrupt_multi_hot(labels, 1, 1), 1 - labels)
    gone = noise.corrupt_multi_hot(labels, 0.7, 1, missing_rates=0.3)
    assert ((gone == -1) | (gone == 1 - labels)).all()
    drawn = {noise.corrupt_multi_hot(labels, 0.5, s).tobytes() for s in range(20)}
    assert len(drawn) == 20


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32"])
def test_tensors_give_the_same(dtype):
    tf = pytest.importorskip("tensorflow")
    labels = many(50, dtype)
    labels[::9] = -1
    thresholds = noise.flip_thresholds(RATES, 3, MISSING)
    want = noise.corrupt_multi_hot(labels, RATES, 2**64 - 1, MISSING)
    draw = noise.tensor_draws.noisy_multi_hot
    order = np.random.default_rng(1).permutation(50)
    received = tf.function(lambda y, i: draw(y, i, thresholds, 2**64 - 1))(
        tf.constant(labels[order]), tf.constant(order, tf.int64)
    )
    assert received.dtype == dtype
    np.testing.assert_array_equal(received.numpy(), want[order])
    dataset = tf.data.Dataset.from_tensor_slices(labels).enumerate()
    one_by_one = dataset.map(lambda i, y: draw(y, i, thresholds, 2**64 - 1))
    np.testing.assert_array_equal(np.stack([*one_by_one.as_numpy_iterator()]), want)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": [[0, 2]]}, r"`labels\[0, 1\]` must be 0, 1 or -1 .*=2.*numpy.eye"),
        ({"labels": [[0.5, 1.0]]}, r"`labels\[0, 0\]` must be 0, 1 or -1.*=0.5"),
        ({"labels": [[np.nan, 1.0]]}, r"`labels\[0, 0\]` must be 0, 1 or -1.*=nan"),
        ({"labels": [["a", "b"]]}, "`labels.dtype` must be a type of integers.*<U1"),
        ({"labels": 1}, r"`labels.shape` must be \(..., classes\).*=\(\)"),
        ({"labels": [[0], [1, 0]]}, r"`len\(labels\[i\]\)` must be one number"),
        ({"flip_rates": 1.5}, r"`flip_rates` must be in \[0, 1\].*=1.5"),
        ({"flip_rates": (0, -0.1)}, r"`flip_rates\[1\]` must be in \[0, 1\].*=-0.1"),
        ({"flip_rates": [[0, np.nan]] * 2}, r"`flip_rates\[0, 1\]` must be in"),
        ({"flip_rates": [0.1] * 3}, r"`flip_rates.shape` must be a number, a pair.*3,"),
        ({"flip_rates": "a"}, "`flip_rates.dtype` must be numeric"),
        ({"missing_rates": 2}, r"`missing_rates` must be in \[0, 1\]"),
        (
            {"flip_rates": (0, 0.5), "missing_rates": (0, 0.6)},
            r"`missing_rates\[0, 1\]` must be at most 0.5, the rest of `flip_rates",
        ),
        ({"seed": -1}, "`seed` must be an integer in"),
        (
            {"labels": np.uint8([[0, 1]]), "missing_rates": 0.1},
            "`labels.dtype` must be a type that can hold -1.*'uint8'.*int8",
        ),
    ],
)
def test_refused(given, message):
    arguments = {"labels": [[0, 1]], "flip_rates": 0.1, "seed": 0, **given}
    with pytest.raises(ValueError, match=f"^corrupt_multi_hot: {message}"):
        noise.corrupt_multi_hot(**arguments)


def test_realized_rates_by_hand():
    clean = [[0, 1], [0, 1], [1, 1], [0, 1], [-1, 1]]
    noisy = [[1, 1], [0, 0], [1, 0], [-1, 1], [1, -1]]
    assert noise.realized_flip_rates(clean, noisy).tolist() == [[0.5, 0.0], [0.0, 0.5]]
    with pytest.raises(ValueError, match=r"`noisy.shape` must be \(5, 2\)"):
        noise.realized_flip_rates(clean, noisy[:2])
