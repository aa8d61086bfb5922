"""Transition matrices and the labels drawn from them."""

import numpy as np
import pytest

from tfrobustloss.data import noise
from tfrobustloss.data.noise import matrices

# 99.99 % quantile of chi-square with 99 degrees of freedom (scipy 1.x, run once)
CHI_SQUARE_99 = 160.1

KINDS = {
    "symmetric": lambda rate: noise.symmetric(10, rate),
    "pair_flip": lambda rate: noise.pair_flip(10, rate),
    "mnist": lambda rate: noise.asymmetric("mnist", rate),
    "cifar10": lambda rate: noise.asymmetric("cifar10", rate),
    "cifar100": lambda rate: noise.asymmetric("cifar100", rate),
}


def chi_square(cells, num_cells):
    counts = np.bincount(cells, minlength=num_cells)
    return ((counts - cells.size / num_cells) ** 2).sum() / (cells.size / num_cells)


# --- matrices


def test_symmetric_by_hand():
    # 0.6 / (4 - 1) = 0.2 for each wrong class
    expected = np.full((4, 4), 0.2) + 0.2 * np.eye(4)
    np.testing.assert_allclose(noise.symmetric(4, 0.6), expected, rtol=1e-15)


def test_pair_flip_by_hand():
    expected = [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]]
    assert noise.pair_flip(3, 0.25).tolist() == expected


@pytest.mark.parametrize(
    ("dataset", "flips"),
    [
        # Patrini et al. 2017, section 5: mnist 2→7, 3→8, 5↔6, 7→1; CIFAR-10
        # truck→automobile, bird→airplane, deer→horse, cat↔dog
        ("mnist", {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}),
        ("cifar10", {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}),
    ],
)
def test_asymmetric_by_hand(dataset, flips):
    expected = np.eye(10)
    for clean, wrong in flips.items():
        expected[clean, clean], expected[clean, wrong] = 0.75, 0.25
    np.testing.assert_array_equal(noise.asymmetric(dataset, 0.25), expected)


# Fine ids of the 20 superclasses, in the order of the coarse ids: read off the fine
# and coarse labels of the official CIFAR-100 files, as several public tables agree.
SUPERCLASSES = [
    [4, 30, 55, 72, 95],
    [1, 32, 67, 73, 91],
    [54, 62, 70, 82, 92],
    [9, 10, 16, 28, 61],
    [0, 51, 53, 57, 83],
    [22, 39, 40, 86, 87],
    [5, 20, 25, 84, 94],
    [6, 7, 14, 18, 24],
    [3, 42, 43, 88, 97],
    [12, 17, 37, 68, 76],
    [23, 33, 49, 60, 71],
    [15, 19, 21, 31, 38],
    [34, 63, 64, 66, 75],
    [26, 45, 77, 79, 99],
    [2, 11, 35, 46, 98],
    [27, 29, 44, 78, 93],
    [36, 50, 65, 74, 80],
    [47, 52, 56, 59, 96],
    [8, 13, 48, 58, 90],
    [41, 69, 81, 85, 89],
]


@pytest.mark.parametrize("family", SUPERCLASSES)
def test_cifar100_flips_inside_its_superclasses(family):
    matrix = noise.asymmetric("cifar100", 0.25)
    for clean, wrong in zip(family, family[1:] + family[:1], strict=True):
        assert matrix[clean, clean] == 0.75
        assert matrix[clean, wrong] == 0.25


def test_cifar10_noise_touches_five_classes():
    matrix = noise.asymmetric("cifar10", 0.4)
    assert (np.diag(matrix) < 1).sum() == 5
    # balanced classes: 5/10 * 0.4
    assert 1 - np.diag(matrix).mean() == pytest.approx(0.2)


@pytest.mark.parametrize("rate", [0, 0.1, 0.8, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_matrix_is_row_stochastic(kind, rate):
    matrix = KINDS[kind](rate)
    assert matrix.dtype == np.float64
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_rate_zero_is_the_identity(kind):
    matrix = KINDS[kind](0)
    labels = np.arange(len(matrix)).repeat(20)
    np.testing.assert_array_equal(matrix, np.eye(len(matrix)))
    np.testing.assert_array_equal(noise.corrupt(labels, matrix, 3), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_rate_one_leaves_no_touched_label(kind):
    matrix = KINDS[kind](1.0)
    labels = np.arange(len(matrix)).repeat(20)
    touched = np.diag(matrix)[labels] == 0
    wrong = noise.corrupt(labels, matrix, 3) != labels
    np.testing.assert_array_equal(wrong, touched)


# --- the uniform draws


def splitmix64(state, count):
    """SplitMix64 on Python's whole numbers, by the paper's figures 16 and 19."""
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        bits = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
        yield bits ^ (bits >> 31)


def test_splitmix64_matches_the_published_outputs():
    # rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64, seed 1234567
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert list(splitmix64(1234567, 3)) == published


@pytest.mark.parametrize("seed", [0, 1, 1234567, 2**63, 2**64 - 1])
def test_draws_are_splitmix64_started_at_the_mixed_seed(seed):
    (start,) = splitmix64(seed, 1)
    expected = [(bits >> 11) / 2**53 for bits in splitmix64(start, 50)]
    assert noise.uniform_draws(np.arange(50), seed).tolist() == expected


def test_draws_are_pinned():
    # this module, run once: a change here changes everybody's noisy labels
    pinned = ["0x1.4e0dba5e9a32fp-1", "0x1.6705460be8829p-1", "0x1.8c6a4553eeafcp-2"]
    assert [draw.hex() for draw in noise.uniform_draws([0, 1, 2], 0).tolist()] == pinned


@pytest.mark.parametrize("indices", [5, [5], [[7, 5]], np.uint8([5]), np.int32(5)])
def test_draw_of_an_index_depends_on_it_alone(indices):
    draws = noise.uniform_draws(indices, 4)
    assert draws.shape == np.shape(indices)
    assert draws.reshape(-1)[-1] == noise.uniform_draws(np.arange(9), 4)[5]


@pytest.mark.parametrize("seed", [0, 1, 2, 99])
def test_draws_fill_the_interval_evenly(seed):
    draws = noise.uniform_draws(np.arange(100_000), seed)
    assert 0 <= draws.min() < draws.max() < 1
    assert chi_square((draws * 100).astype(int), 100) < CHI_SQUARE_99


@pytest.mark.parametrize("index_step", [0, 1, 10])
@pytest.mark.parametrize("seed_step", [0, 1, 10])
def test_neighbouring_draws_are_independent(index_step, seed_step):
    if index_step == seed_step == 0:
        return
    index = np.arange(50_000)
    one = (noise.uniform_draws(index, 7) * 10).astype(int)
    two = noise.uniform_draws(index + index_step, 7 + seed_step)
    assert chi_square(one * 10 + (two * 10).astype(int), 100) < CHI_SQUARE_99


@pytest.mark.parametrize("index", [0, 1, 59_999])
def test_draws_over_consecutive_seeds_are_uniform(index):
    draws = np.array([noise.uniform_draws(index, seed) for seed in range(5000)])
    assert chi_square((draws * 100).astype(int), 100) < CHI_SQUARE_99
    pairs = (draws[:-1] * 10).astype(int) * 10 + (draws[1:] * 10).astype(int)
    assert chi_square(pairs, 100) < CHI_SQUARE_99


# --- thresholds


def test_thresholds_by_hand():
    matrix = [[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1]]
    expected = [[0.75, 1, 1], [0, 0.5, 1], [0, 0, 1]]
    assert noise.class_thresholds(matrix).tolist() == expected


def test_thresholds_close_the_gap_of_rounding():
    row = np.append(np.full(10, 0.1), 0)
    assert np.cumsum(row)[-1] < 1  # 0.1 ten times falls short in float64
    matrix = np.vstack([row] * 11)
    thresholds = noise.class_thresholds(matrix)
    largest = 1 - 2.0**-53
    assert (thresholds <= largest).sum(axis=1).tolist() == [9] * 11  # not class 10


def test_thresholds_take_float32_matrices():
    matrix = noise.symmetric(1000, 0.4).astype(np.float32)
    thresholds = noise.class_thresholds(matrix)
    assert (np.diff(thresholds) >= 0).all()
    assert (thresholds[:, -1] == 1).all()


# --- corrupt


def test_a_draw_on_a_threshold_belongs_to_the_next_class(monkeypatch):
    draws = np.array([0.0, 0.25, 0.5, 1 - 2.0**-53])
    monkeypatch.setattr(matrices, "uniform_draws", lambda indices, seed: draws)
    matrix = [[0, 0.5, 0, 0.5, 0]] * 5  # classes 0, 2 and 4 must never be drawn
    assert noise.corrupt([0, 1, 2, 3], matrix, seed=0).tolist() == [1, 1, 3, 3]


def test_noisy_labels_are_pinned():
    labels = np.arange(10).repeat(2)
    noisy = noise.corrupt(labels, noise.symmetric(10, 0.6), seed=0)
    # plain Python loop over the cumulative sums, run once; the 1st by hand:
    # u = 0.65245 lies between 0.4 + 3/15 and 0.4 + 4/15, so class 4
    expected = [4, 5, 1, 4, 6, 2, 6, 3, 4, 4, 5, 1, 1, 6, 7, 5, 8, 8, 9, 1]
    assert noisy.tolist() == expected


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "uint64", ">i4"])
@pytest.mark.parametrize("shape", [(60,), (60, 1), (3, 4, 5), (0,)])
def test_dtype_and_shape_are_those_of_the_labels(dtype, shape):
    labels = (np.arange(np.prod(shape)) % 10).astype(dtype).reshape(shape)
    untouched = labels.copy()
    noisy = noise.corrupt(labels, noise.symmetric(10, 0.5), seed=1)
    assert (noisy.dtype, noisy.shape) == (labels.dtype, labels.shape)
    np.testing.assert_array_equal(labels, untouched)
    flat = noise.corrupt(labels.reshape(-1).tolist() or labels, np.eye(10), seed=1)
    np.testing.assert_array_equal(flat, labels.reshape(-1))


@pytest.mark.parametrize("count", [1, 10, 999])
def test_a_prefix_gets_the_same_noise(count):
    labels = np.arange(1000) % 10
    matrix = noise.symmetric(10, 0.6)
    whole, part = (
        noise.corrupt(labels, matrix, 5),
        noise.corrupt(labels[:count], matrix, 5),
    )
    np.testing.assert_array_equal(whole[:count], part)


def test_noise_of_an_example_ignores_the_labels_of_others():
    labels = np.arange(1000) % 10
    others = labels.copy()
    others[::2] = 3
    matrix = noise.symmetric(10, 0.6)
    one, two = noise.corrupt(labels, matrix, 5), noise.corrupt(others, matrix, 5)
    np.testing.assert_array_equal(one[1::2], two[1::2])


def test_order_in_memory_does_not_matter():
    labels = (np.arange(60) % 10).reshape(6, 10)
    matrix = noise.symmetric(10, 0.6)
    expected = noise.corrupt(labels, matrix, 5)
    np.testing.assert_array_equal(
        noise.corrupt(np.asfortranarray(labels), matrix, 5), expected
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_realized_rate_is_within_binomial_bounds(rate, seed):
    labels = np.arange(20_000) % 10
    rate_drawn = noise.realized_rate(
        labels, noise.corrupt(labels, noise.symmetric(10, rate), seed)
    )
    # 99.9 % two-sided: 3.29 standard deviations
    assert abs(rate_drawn - rate) < 3.29 * (rate * (1 - rate) / labels.size) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_realized_matrix_approaches_the_matrix(kind):
    matrix = KINDS[kind](0.4)
    labels = np.arange(len(matrix)).repeat(4000)
    noisy = noise.corrupt(labels, matrix, seed=2)
    realized = noise.realized_matrix(labels, noisy, len(matrix))
    # 5 standard deviations of the worst cell: 5 * sqrt(0.24 / 4000) = 0.039
    assert np.abs(realized - matrix).max() < 0.039
    assert (realized[matrix == 0] == 0).all()


def test_other_seeds_give_other_noise():
    labels = np.zeros(1000, int)
    matrix = noise.symmetric(10, 0.5)
    drawn = {noise.corrupt(labels, matrix, seed).tobytes() for seed in range(50)}
    assert len(drawn) == 50


def test_global_random_state_is_untouched():
    before = np.random.get_state()[1].tolist()
    noise.corrupt([0, 1], np.eye(2), seed=0)
    assert np.random.get_state()[1].tolist() == before


# --- what was realized


def test_realized_matrix_by_hand():
    clean, noisy = [0, 0, 0, 0, 2, 2], [0, 0, 0, 1, 1, 2]
    expected = [[0.75, 0.25, 0], [0, 1, 0], [0, 0.5, 0.5]]  # class 1 never occurs
    assert noise.realized_matrix(clean, noisy, 3).tolist() == expected


def test_realized_rate_by_hand():
    assert noise.realized_rate([0, 1, 2, 2], [0, 1, 2, 0]) == 0.25
    assert noise.realized_rate(np.uint8([[0], [1]]), np.int64([[1], [0]])) == 1.0


# --- errors


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_rate_must_be_a_probability(kind, rate):
    with pytest.raises(ValueError, match=f"`rate`.*rate={rate}"):
        KINDS[kind](rate)


@pytest.mark.parametrize("num_classes", [1, 0, -3, 2.5])
@pytest.mark.parametrize("kind", [noise.symmetric, noise.pair_flip])
def test_num_classes_must_be_two_or_more(kind, num_classes):
    with pytest.raises(ValueError, match=f"`num_classes`.*num_classes={num_classes}"):
        kind(num_classes, 0.1)
    with pytest.raises(ValueError, match=f"`num_classes`.*num_classes={num_classes}"):
        noise.realized_matrix([0], [0], num_classes)


def test_rate_must_be_a_number():
    with pytest.raises(TypeError, match="`rate`.*rate='0.4'"):
        noise.symmetric(3, "0.4")


@pytest.mark.parametrize("dataset", ["digits", "kmnist_10k", "MNIST", None, []])
def test_dataset_must_have_a_published_map(dataset):
    with pytest.raises(
        ValueError, match="`dataset`.*'mnist', 'cifar10', 'cifar100'"
    ) as e:
        noise.asymmetric(dataset, 0.1)
    assert f"dataset={dataset!r}" in str(e.value)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0], [0.5, 0.4]], r"`transition_matrix\[1\].sum\(\)` must be 1.*=0.9"),
        ([[1, 0], [1.5, -0.5]], r"`transition_matrix\[1, 1\]`.*\]=-0.5"),
        ([[np.nan, 1], [0, 1]], r"`transition_matrix\[0, 0\]`.*\]=nan"),
        ([[1, 0], [np.inf, 0]], r"`transition_matrix\[1, 0\]`.*\]=inf"),
        ([[0.5, 0.5, 0], [1, 0, 0]], r"`transition_matrix.shape`.*=\(2, 3\)"),
        ([0.5, 0.5], r"`transition_matrix.shape`.*=\(2,\)"),
        ([[1.0]], r"`transition_matrix.shape`.*=\(1, 1\)"),
        (np.zeros((0, 0)), r"`transition_matrix.shape`.*=\(0, 0\)"),
        ([["1", "0"], ["0", "1"]], r"`transition_matrix.dtype`.*='<U1'"),
        ([[0.5, 0.5], [1.0]], r"`len\(transition_matrix\[i\]\)`.*=\[2, 1\]"),
    ],
)
def test_matrix_must_be_row_stochastic(matrix, message):
    with pytest.raises(ValueError, match=f"^corrupt: {message}"):
        noise.corrupt([0], matrix, seed=0)
    with pytest.raises(ValueError, match=f"^class_thresholds: {message}"):
        noise.class_thresholds(matrix)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3], r"labels\[2\]` must be an integer in \[0, 2\].*labels\[2\]=3"),
        ([[0], [-1]], r"labels\[1, 0\]`.*labels\[1, 0\]=-1"),
        (5, r"labels`.*labels=5"),
        ([0.0, 1.0], r"labels.dtype`.*='float64'.*Pass class ids.*astype\(\"int64"),
        ([[0.0], [1.0]], r"labels.dtype`.*='float64'.*astype\(\"int64"),
        ([0.5, 1.0], r"labels.dtype`.*='float64'. Pass class ids.$"),
        ([[0, 1], [1]], r"len\(labels\[i\]\)`.*one number.*=\[2, 1\]"),
        ([True, False], r"labels.dtype`.*='bool'"),
        (["cat"], r"labels.dtype`.*='<U3'"),
        ([[0, 1, 0], [1, 0, 0]], r"labels\[0\]`.*one-hot.*=\[0, 1, 0\].*argmax"),
        (np.eye(3, dtype="float32"), r"labels\[0\]`.*one-hot.*=\[1.0, 0.0, 0.0\]"),
        ([[0.2, 0.8, 0.0]], r"labels.dtype`.*='float64'.*soft labels.*argmax"),
    ],
)
def test_labels_must_be_class_ids(labels, message):
    with pytest.raises(ValueError, match=f"^corrupt: `{message}"):
        noise.corrupt(labels, np.eye(3), seed=0)


def test_dtype_must_hold_the_highest_class():
    with pytest.raises(ValueError, match=r"`labels.dtype`.*class 199.*='int8'"):
        noise.corrupt(np.int8([0]), noise.symmetric(200, 0.1), seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5, 2**64])
def test_seed_must_be_a_whole_number(seed):
    with pytest.raises(ValueError, match=f"^corrupt: `seed`.*seed={seed}"):
        noise.corrupt([0], np.eye(2), seed)
    with pytest.raises(ValueError, match=f"^uniform_draws: `seed`.*seed={seed}"):
        noise.uniform_draws([0], seed)


@pytest.mark.parametrize(
    ("indices", "message"),
    [([2, -1], r"`indices\[1\]`.*=-1"), ([0.5], r"`indices.dtype`.*='float64'")],
)
def test_indices_must_be_whole_numbers(indices, message):
    with pytest.raises(ValueError, match=message):
        noise.uniform_draws(indices, seed=0)


@pytest.mark.parametrize(
    ("clean", "noisy", "message"),
    [
        ([0, 1], [1], r"`noisy.shape`.*noisy.shape=\(1,\)"),
        ([0, 1], [[0], [1]], r"`noisy.shape`.*noisy.shape=\(2, 1\)"),
        ([0, -1], [0, 1], r"`clean\[1\]`.*=-1"),
        ([0, 1], [0, 0.5], r"`noisy.dtype`.*='float64'"),
        ([[0, 1]], [[1, 0]], r"`clean\[0\]`.*one-hot.*=\[0, 1\]"),
    ],
)
def test_realized_needs_two_lists_of_class_ids(clean, noisy, message):
    with pytest.raises(ValueError, match=f"^realized_rate: {message}"):
        noise.realized_rate(clean, noisy)
    with pytest.raises(ValueError, match=f"^realized_matrix: {message}"):
        noise.realized_matrix(clean, noisy, 2)


def test_realized_rate_needs_labels():
    empty = np.zeros(0, int)
    with pytest.raises(ValueError, match=r"`clean`.*at least one.*clean=\[\]"):
        noise.realized_rate(empty, empty)


def test_realized_matrix_labels_must_be_in_range():
    with pytest.raises(ValueError, match=r"`noisy\[1\]`.*\[0, 1\].*=2"):
        noise.realized_matrix([0, 1], [0, 2], 2)
