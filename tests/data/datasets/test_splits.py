"""Validation splits by noisy label, and how many examples tell two models apart."""

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.data import noise
from tfrobustloss.metrics import estimated_accuracy

LABELS = np.repeat([0, 1, 2, 3], [50, 25, 3, 1])


def shares(part, labels=LABELS):
    return np.bincount(labels[part], minlength=4).tolist()


def test_a_split_is_whole_stratified_and_repeatable():
    train, validation = data.split_validation(LABELS, 0.2, seed=3)
    everything = np.sort(np.concatenate([train, validation]))
    np.testing.assert_array_equal(everything, np.arange(len(LABELS)))
    for part in train, validation:
        np.testing.assert_array_equal(part, np.sort(part))
    # a class of one stays in training
    assert shares(validation) == [10, 5, 1, 0]
    again = data.split_validation(LABELS[:, None], 0.2, seed=3)
    np.testing.assert_array_equal(again[1], validation)
    rows = data.split_validation(np.eye(4)[LABELS], 0.2, seed=3)
    np.testing.assert_array_equal(rows[1], validation)
    other = data.split_validation(LABELS, 0.2, seed=4)[1]
    assert shares(other) == shares(validation)
    assert (other != validation).any()


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, [1, 1, 1, 0]),  # one of each class that has two
        (0.99, [49, 24, 2, 0]),  # and one for training
        (0.5, [25, 13, 2, 0]),  # 12.5, 1.5 and .5, of which two make 40 in all
    ],
)
def test_shares_by_hand(share, expected):
    assert shares(data.split_validation(LABELS, share)[1]) == expected


def test_many_small_classes_keep_the_whole_share():
    labels = np.repeat(np.arange(100), 3)  # 0.6 of each class
    train, validation = data.split_validation(labels, 0.2)
    assert np.bincount(labels[train]).min() >= 1
    assert np.bincount(labels[validation]).min() >= 1
    labels = np.repeat(np.arange(10), 7)  # 1.4 of each class
    assert len(data.split_validation(labels, 0.2)[1]) == 14


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS, {"share": 0}, r"`share` must be in \(0, 1\).*share=0"),
        (LABELS, {"share": 1}, r"`share` must be in \(0, 1\).*share=1"),
        (LABELS, {"seed": -1}, r"`seed` must be an integer"),
        ([1, 1, 1], {}, r"`labels` must be of two classes.*3 of class 1"),
        ([0, 1, 2], {}, r"`labels` must be two or more of a class"),
        ([], {}, r"`labels` must be at least one label"),
        ([0.5, 1], {}, r"`labels.dtype` must be an integer type"),
    ],
)
def test_splits_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        data.split_validation(labels, **options)


# --- how many


def test_numbers_by_hand():
    z = 1.959964 + 0.8416212
    for rate, classes, square in ((0.0, 3, 1.0), (0.6, 10, 4.2), (0.2, 2, 1 / 0.36)):
        matrix = noise.symmetric(classes, rate)
        e = rate / (classes - 1)
        np.testing.assert_allclose((1 - rate + e) / (1 - rate - e) ** 2, square)
        expected = np.ceil(z**2 * (0.1 * square - 0.02**2) / 0.02**2)
        assert data.examples_needed(0.02, matrix, 0.1) == expected
    assert data.examples_needed(0.02, disagreement=0.1) == data.examples_needed(
        0.02, np.eye(3), 0.1
    )


@pytest.mark.parametrize("matrix", [noise.symmetric(5, 0.5), noise.pair_flip(5, 0.3)])
def test_that_many_find_the_difference_as_often_as_said(matrix):
    random = np.random.default_rng(0)
    count = data.examples_needed(0.1, matrix, 0.2)
    seen = []
    for seed in range(300):
        clean = random.integers(0, 5, count)
        first, second = clean.copy(), clean.copy()
        where = random.random(count)
        # they differ on a fifth: the first is right on .15, the second on .05
        second[where < 0.15] = (clean[where < 0.15] + 1) % 5
        better = (where >= 0.15) & (where < 0.2)
        first[better] = (clean[better] + 1) % 5
        noisy = noise.corrupt(clean, matrix, seed)
        value = np.linalg.inv(matrix)
        d = value[noisy, first] - value[noisy, second]
        seen.append(d.mean() / (d.std() / np.sqrt(count)) > 1.96)
        means = [estimated_accuracy(noisy, each, matrix)[0] for each in (first, second)]
        np.testing.assert_allclose(d.mean(), means[0] - means[1], atol=1e-9)
    assert 0.75 < np.mean(seen)
    if matrix[0, 2]:  # of symmetric noise the bound is exact
        assert np.mean(seen) < 0.86


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difference": 0}, r"`difference` must be in \(0, 1\)"),
        ({"difference": 0.3}, r"`difference` must be at most `disagreement`, 0.2"),
        ({"difference": 0.1, "power": 0.4}, r"`power` must be in \[0.5, 1\)"),
        ({"difference": 0.1, "disagreement": 0}, r"`disagreement` must be in \(0, 1\]"),
        (
            {"difference": 0.1, "transition_matrix": np.full((2, 2), 0.5)},
            "examples_needed: .*Leave the matrix out",
        ),
    ],
)
def test_numbers_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.examples_needed(**arguments)
