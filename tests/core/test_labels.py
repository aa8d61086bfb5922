"""Label rules: class ids and transition matrices."""

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss._core.labels import class_ids, flat_class_ids, stochastic_matrix
from tfrobustloss.data import noise


def taken(matrix):
    return stochastic_matrix("owner", "matrix", matrix)


def as_reported(classes, digits=6, dtype="float64"):
    """Random rows as a report writes them."""
    rows = np.random.default_rng(0).dirichlet(np.full(classes, 0.5), classes)
    return rows.round(digits).astype(dtype)


# --- class ids


@pytest.mark.parametrize("rows", [[["a", "b"]], [[None, 1]], [["1", "0"]]])
def test_rows_of_texts_and_objects_are_refused(rows):
    with pytest.raises(
        ValueError, match=r"^owner: `labels\[0\]` must be a class id or"
    ):
        flat_class_ids("owner", rows)
    with pytest.raises(ValueError, match=r"^owner: `labels.dtype` must be an integer"):
        class_ids("owner", "labels", rows)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 0, 1], ([2, 0, 1], 3)),
        ([[0], [0]], ([0, 0], 2)),  # at least two classes
        (np.eye(4, dtype=bool)[[3, 0]], ([3, 0], 4)),
    ],
)
def test_flat_class_ids(labels, expected):
    ids, num_classes = flat_class_ids("owner", labels)
    assert (ids.tolist(), num_classes) == expected
    assert ids.dtype == np.int64


# --- matrices


@pytest.mark.parametrize("classes", [2, 3, 7, 10, 100, 1000])
def test_exact_matrices_are_taken_as_they_are(classes):
    for matrix in (
        noise.symmetric(classes, 0.3),
        noise.pair_flip(classes, 0.45),
        np.random.default_rng(0).dirichlet(np.ones(classes), classes),
        np.eye(classes, dtype=int),
    ):
        np.testing.assert_array_equal(taken(matrix), matrix)
        assert taken(matrix).dtype == np.float64


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rounded_matrices_are_taken_and_normalised(classes, dtype):
    matrix = as_reported(classes, dtype=dtype)
    found = taken(matrix)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-14)
    expected = matrix / matrix.sum(axis=1, keepdims=True, dtype="float64")
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    np.testing.assert_array_equal(taken(found), found)


def test_every_part_takes_a_reported_matrix():
    matrix = as_reported(10)
    assert abs(matrix.sum(axis=1) - 1).max() > 1e-6  # the tolerance that there was
    clean = np.arange(2000) % 10
    noisy = noise.corrupt(clean, matrix, seed=0)
    np.testing.assert_array_equal(noisy, noise.corrupt(clean, taken(matrix), seed=0))
    assert (noise.class_thresholds(matrix)[:, -1] == 1).all()
    source = np.zeros((2000, 1)), clean
    options = dict(num_classes=10, batch_size=2000, seed=0, shuffle=False)
    batches = data.pipeline(source, transition_matrix=matrix, **options)
    np.testing.assert_array_equal(next(iter(batches))[1], noisy)


@pytest.mark.parametrize(("classes", "off"), [(2, 3e-4), (100, 3e-4), (1000, 3e-3)])
def test_rows_that_do_not_sum_to_1_are_refused(classes, off):
    matrix = noise.symmetric(classes, 0.2)
    matrix[1, 1] += off
    with pytest.raises(ValueError, match=r"^owner: `matrix\[1\].sum\(\)` .*=1.00"):
        taken(matrix)
    with pytest.raises(ValueError, match=r"`matrix\[0\].sum\(\)` must be 1.*=0.9"):
        taken([[0.9, 0], [0, 0.9]])
