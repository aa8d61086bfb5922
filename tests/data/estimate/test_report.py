"""The estimate of label noise: by hand, on noise that is known, at the edges."""

import json

import numpy as np
import pytest

from tfrobustloss.data import estimate, noise
from tfrobustloss.data.estimate.methods import follows_labels

METHODS = estimate.METHODS
# 10 examples of class 0, 2 of them labelled 1, and 10 of class 1
LABELS = np.array([0] * 8 + [1] * 12)
PROBABILITIES = np.array([[0.8, 0.2]] * 10 + [[0.0, 1.0]] * 10)


def make(matrix, size=4000, unsure=0.0, seed=0):
    """Noisy and clean labels, and the exact probabilities of the noisy ones.

    A share of the examples is `unsure`: of one of two classes, and x does not tell.
    """
    generator = np.random.default_rng(seed)
    classes = len(matrix)
    clean = generator.integers(classes, size=size)
    x = np.eye(classes)[clean]
    mixed = generator.random(size) < unsure
    other = (clean + generator.integers(1, classes, size=size)) % classes
    x[mixed] = (x[mixed] + np.eye(classes)[other[mixed]]) / 2
    return noise.corrupt(clean, matrix, seed), clean, x @ matrix


def error(matrix, true):
    return np.abs(matrix - true).mean()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # thresholds .8 * 8 / 8 and (.2 * 2 + 10) / 12: every example counts as what it
        # is; counts [[8, 2], [0, 10]], whose columns 8 and 12 are the labels' counts
        ("confident", [[0.8, 0.2], [0, 1]]),
        ("anchor", [[0.8, 0.2], [0, 1]]),  # the rows of the surest examples
        # the 97th percentiles are .8 and 1, the surest below them the other class
        ("percentile", [[0, 1], [0.8, 0.2]]),
    ],
)
def test_by_hand(method, expected):
    matrix = estimate.transition_matrix(LABELS, PROBABILITIES, method)
    assert matrix == pytest.approx(np.array(expected), abs=1e-12)


def test_confident_leaves_out_the_unsure_and_scales_to_the_labels():
    labels = [0, 0, 0, 1, 1, 1]
    one = [0.9, 0.7, 0.2, 0.1, 0.3, 0.8]  # of class 0; thresholds .6 and 1.8 / 3 = .6
    probabilities = np.stack([one, 1 - np.array(one)], axis=1)
    # sure of 0: examples 0, 1, 5; of 1: examples 2, 3, 4. By label: 0 has 2 and 1, 1
    # has 1 and 2; already of the labels' counts, 3 and 3
    expected = np.array([[2, 1], [1, 2]]) / 3
    found = estimate.transition_matrix(labels, probabilities, "confident")
    assert found == pytest.approx(expected)
    # example 1 at .55 is below the threshold .55 = (.9 + .55 + .2) / 3? it equals it;
    # at .5 the threshold is .5333 and it is left out: label 0 has 1 and 1, scaled to 3
    probabilities[1] = 0.5
    found = estimate.transition_matrix(labels, probabilities, "confident")
    # columns of counts [[1, 1], [1, 2]] scaled to 3 each: [[1.5, 1], [1.5, 2]]
    assert found == pytest.approx(
        np.array([[1.5 / 2.5, 1 / 2.5], [1.5 / 3.5, 2 / 3.5]])
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "true",
    [noise.symmetric(4, 0.3), noise.pair_flip(4, 0.35), np.eye(4)],
    ids=["symmetric", "pair", "clean"],
)
def test_known_noise_with_clear_examples(method, true):
    labels, clean, probabilities = make(true)
    if method == "percentile":  # a quarter of all are equally sure: break the ties
        jitter = np.random.default_rng(1).normal(0, 1e-3, probabilities.shape)
        probabilities = np.abs(probabilities + jitter)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = estimate.transition_matrix(labels, probabilities, method)
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    # 1000 examples a class: standard errors are below .015
    assert error(found, true) < 0.012
    rate = estimate.noise_rate(labels, probabilities, method, resamples=20)
    assert rate.rate == pytest.approx(noise.realized_rate(clean, labels), abs=0.03)


def test_unsure_examples_do_not_look_wrong():
    """What confident counting takes for noise: examples that x does not tell."""
    true = noise.symmetric(4, 0.2)
    labels, clean, probabilities = make(true, unsure=0.5)
    realized = noise.realized_matrix(clean, labels, 4)
    likely = estimate.transition_matrix(labels, probabilities)
    assert error(likely, realized) < 0.02
    confident = estimate.transition_matrix(labels, probabilities, "confident")
    assert error(likely, realized) < error(confident, realized)


def test_overconfident_probabilities():
    """Likelihood does not take them at their word, anchors do."""
    true = noise.symmetric(4, 0.3)
    labels, clean, probabilities = make(true, unsure=0.3)
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    realized = noise.realized_matrix(clean, labels, 4)
    assert error(estimate.transition_matrix(labels, sharp), realized) < 0.02
    anchor = estimate.transition_matrix(labels, sharp, "anchor")
    assert error(anchor, realized) > 0.1


def test_permutation_of_classes():
    true = np.array([[0.7, 0.2, 0.1], [0, 0.9, 0.1], [0.3, 0, 0.7]])
    labels, _, probabilities = make(true, size=1500, unsure=0.2)
    order = np.array([2, 0, 1])  # class i is called order[i]
    renamed = probabilities[:, np.argsort(order)]
    for method in METHODS:
        first = estimate.transition_matrix(labels, probabilities, method)
        second = estimate.transition_matrix(order[labels], renamed, method)
        assert second[np.ix_(order, order)] == pytest.approx(first, abs=5e-3)


def test_interval_has_the_width_of_a_share():
    """With sure examples the rate is a share: its sd is sqrt(r (1 - r) / n)."""
    labels, _, probabilities = make(noise.symmetric(3, 0.25), size=2000)
    found = estimate.noise_rate(labels, probabilities, "confident", resamples=400)
    sd = np.sqrt(found.rate * (1 - found.rate) / 2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * sd, rel=0.2)
    narrow = estimate.noise_rate(labels, probabilities, "confident", confidence=0.5)
    assert narrow.high - narrow.low < 0.5 * (found.high - found.low)
    assert found.low < found.rate < found.high


def test_interval_of_many_examples_is_scaled_from_fewer():
    labels, _, probabilities = make(noise.symmetric(3, 0.25), size=20_000)
    found = estimate.noise_rate(labels, probabilities, "confident", resamples=400)
    sd = np.sqrt(found.rate * (1 - found.rate) / 20_000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * sd, rel=0.2)


def test_same_seed_same_interval():
    labels, _, probabilities = make(noise.symmetric(3, 0.25), size=300)
    one, two, other = (
        estimate.noise_rate(labels, probabilities, "confident", resamples=20, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other


def test_wrong_labels_are_ranked():
    true = noise.symmetric(4, 0.2)
    labels, clean, probabilities = make(true, size=2000, unsure=0.2)
    found = estimate.wrong_labels(labels, probabilities)
    wrong = clean != labels
    assert wrong[found.indices].mean() > 0.95
    assert wrong[found.indices].sum() > 0.8 * wrong.sum()
    assert (np.diff(found.probability) <= 0).all()
    assert (found.probability > 0.5).all()
    assert (found.labels == labels[found.indices]).all()
    assert (found.suggested != found.labels).all()
    # where x leaves two classes open, a fifth, the other one is right half the time
    assert (found.suggested == clean[found.indices]).mean() > 0.85


def test_confused_pairs():
    true = np.array([[0.7, 0.3, 0], [0.1, 0.9, 0], [0, 0, 1]])
    labels, _, probabilities = make(true, size=3000)
    found = estimate.confused_pairs(labels, probabilities, "confident", top=9)
    assert [(one.clean, one.noisy) for one in found] == [(0, 1), (1, 0)]
    assert found[0].probability == pytest.approx(0.3, abs=0.03)
    assert found[0].share == pytest.approx(0.1, abs=0.015)
    one = estimate.confused_pairs(labels, probabilities, "confident", top=1)
    assert one == found[:1]


def test_report_is_its_parts(tmp_path):
    labels, _, probabilities = make(noise.pair_flip(3, 0.3), size=600)
    given = labels, probabilities, "confident"
    found = estimate.report(*given, resamples=20, top=2)
    matrix = estimate.transition_matrix(*given)
    assert (found.transition_matrix == matrix).all()
    assert found.noise_rate == estimate.noise_rate(*given, resamples=20)
    assert found.confused_pairs == estimate.confused_pairs(*given, top=2)
    wrong = estimate.wrong_labels(*given)
    assert (found.wrong_labels.indices == wrong.indices).all()
    record = json.loads(found.to_json())
    assert record["num_examples"] == 600
    assert record["wrong_labels"] == len(wrong.indices)
    assert record["noise_rate"]["rate"] == found.noise_rate.rate
    lines = wrong.to_csv().splitlines()
    assert lines[0] == "index,label,suggested,probability_wrong"
    assert len(lines) == 1 + len(wrong.indices)
    first = [wrong.indices[0], wrong.labels[0], wrong.suggested[0]]
    assert lines[1] == ",".join(map(str, first)) + f",{wrong.probability[0]:.6f}"


@pytest.mark.parametrize("method", METHODS)
def test_formats_of_labels(method):
    expected = estimate.transition_matrix(LABELS, PROBABILITIES, method)
    for labels in (LABELS[:, np.newaxis], np.eye(2)[LABELS], LABELS.astype("uint8")):
        found = estimate.transition_matrix(labels, PROBABILITIES, method)
        assert (found == expected).all()
    half = PROBABILITIES.astype("float16")
    found = estimate.transition_matrix(LABELS, half, method)
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([0, 1, 2], np.eye(3)),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]]),
        ([0], [[0.5, 0.5]]),
        ([1, 1, 1, 1], [[1.0, 0], [0, 1], [0, 1], [1, 0]]),
        ([0, 1, 0, 1] * 5, np.tile(np.eye(3)[[1, 0, 1, 0]], (5, 1))),
        (np.arange(60) % 3, np.eye(3)[np.arange(60) % 3]),
    ],
    ids=["one-each", "ignorant", "single", "absent", "all-contradicted", "certain"],
)
def test_edges_are_finite(labels, probabilities, method):
    found = estimate.report(labels, probabilities, method, resamples=20)
    matrix = found.transition_matrix
    assert np.isfinite(matrix).all()
    assert matrix.min() >= 0
    assert matrix.sum(axis=1) == pytest.approx(np.ones(len(matrix)))
    rate = found.noise_rate
    assert 0 <= rate.low <= rate.rate <= rate.high <= 1
    assert found.recommendations
    for absent in set(range(len(matrix))) - set(np.unique(labels).tolist()):
        assert (matrix[absent] == np.eye(len(matrix))[absent]).all()
        assert any(f"No label of class {absent}" in one for one in found.warnings)


def test_certain_and_right_is_no_noise():
    labels = np.arange(600) % 3
    found = estimate.report(labels, np.eye(3)[labels], resamples=20)
    assert found.noise_rate.rate < 0.01
    assert len(found.wrong_labels.indices) == 0
    assert found.recommendations[0]["loss"] == "CrossEntropy"


def test_whole_floats_are_whole_numbers():
    options = {"resamples": 20, "seed": 3, "top": 1}
    floats = {name: float(value) for name, value in options.items()}
    found, again = (
        estimate.report(LABELS, PROBABILITIES, "confident", **each).to_json()
        for each in (options, floats)
    )
    assert found == again


CHANCE = "The probabilities say no more about the labels than chance"


@pytest.mark.parametrize(
    ("method", "cases"), [("likelihood", [2, 3]), ("confident", [0, 1, 2, 3])]
)
def test_probabilities_without_information_are_named(method, cases):
    labels = np.arange(600) % 3
    random = np.random.default_rng(0).dirichlet(np.ones(3), 600)
    learnt = random + 0.2 * np.eye(3)[labels]
    learnt /= learnt.sum(axis=1, keepdims=True)
    given_and_warned = (
        (np.full((600, 3), 1 / 3), True),
        (np.tile([0.6, 0.3, 0.1], (600, 1)), True),
        (random, True),
        (learnt, False),
    )
    for given, warned in (given_and_warned[case] for case in cases):
        found = estimate.report(labels, given, method, resamples=20)
        assert any(CHANCE in one for one in found.warnings) == warned
        # no correction by a matrix that means nothing
        chosen = [one["loss"] for one in found.recommendations]
        assert not (warned and "ForwardCorrection" in chosen)


def test_following_is_measured_against_all_orders():
    # by hand: centred probabilities of class 0 are -.3, -.1, .1, .3 and of class 1
    # their negatives; labels 1, 1, 0, 0 gain .8, of orders with 0 and a variance of
    # 4 * (.09 + .01 + .01 + .09) / 3 = .2667: .8 is 1.55 deviations, too few
    rows = np.array([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.8, 0.2]])
    labels = np.array([1, 1, 0, 0])
    assert not follows_labels(labels, rows)
    # twice as many: 1.6, variance 8 * 2 * (.09 + .01 + .01 + .09) / 7: 2.37 deviations
    assert follows_labels(np.tile(labels, 2), np.tile(rows, (2, 1)))
    assert not follows_labels(1 - np.tile(labels, 2), np.tile(rows, (2, 1)))


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"len\(probabilities\).*=1"),
        ([0, 2], [[0.5, 0.5]] * 2, r"labels\[1\].*=2"),
        ([0, -1], [[0.5, 0.5]] * 2, r"labels\[1\].*=-1"),
        ([0.5, 1], [[0.5, 0.5]] * 2, "labels.dtype"),
        ([], np.zeros((0, 2)), "at least one label"),
        ([[0.5, 0.5]], [[0.5, 0.5]], r"labels\[0\]` must be .*one-hot.*argmax"),
        ([[1, 0, 0]], [[0.5, 0.5]], r"labels.shape.*\(1, 3\)"),
        ([[[0]]], [[0.5, 0.5]], r"labels.shape.*\(1, 1, 1\)"),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], r"probabilities\[0\].sum\(\).*1.1"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], r"probabilities\[1, 0\].*nan"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], r"probabilities\[0, 0\].*softmax"),
        ([0, 1], [0.5, 0.5], r"probabilities.shape.*stack"),
        ([0, 1], [["a", "b"]] * 2, "probabilities.dtype"),
        ([0, 1], [[0.5, 0.5], [1]], r"len\(probabilities\[i\]\).*=\[2, 1\]"),
    ],
)
def test_mistakes(labels, probabilities, message):
    for function in (estimate.transition_matrix, estimate.report):
        with pytest.raises(ValueError, match=message):
            function(labels, probabilities)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guess"}, "one of likelihood.*method='guess'"),
        ({"confidence": 1}, "confidence=1"),
        ({"resamples": 3}, "resamples=3"),
        ({"top": 0}, "top=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        estimate.report(LABELS, PROBABILITIES, **options)


@pytest.mark.filterwarnings("ignore")  # of cleanlab's own
def test_confident_is_that_of_cleanlab():
    count = pytest.importorskip("cleanlab.count", reason="cleanlab is not installed")
    labels, _, probabilities = make(noise.symmetric(5, 0.3), size=1000, unsure=0.4)
    jitter = np.random.default_rng(0).dirichlet(np.ones(5), len(labels))
    probabilities = 0.7 * probabilities + 0.3 * jitter
    _, matrix, _, _ = count.estimate_py_and_noise_matrices_from_probabilities(
        labels, probabilities
    )
    found = estimate.transition_matrix(labels, probabilities, "confident")
    # cleanlab rounds the calibrated counts to whole examples
    assert found == pytest.approx(matrix.T, abs=0.01)


def test_rates_by_class():
    """The example by hand: 2 of the 12 labels 1 and of the 10 examples of class 0."""
    found = estimate.report(LABELS, PROBABILITIES, "confident", resamples=50)
    first, second = found.class_rates
    assert (first.label, first.count, second.label, second.count) == (0, 8, 1, 12)
    shares = [first.wrong, first.lost, second.wrong, second.lost]
    assert [one.rate for one in shares] == pytest.approx([0, 0.2, 2 / 12, 0])
    # Wilson's interval of 0 of 8 ends at z² / (8 + z²), which no resampling widens
    assert first.wrong.low == 0
    assert first.wrong.high == pytest.approx(1.96**2 / (8 + 1.96**2), abs=1e-4)
    # of 2 of 12: statsmodels' proportion_confint(2, 12, method="wilson")
    assert second.wrong.low <= 0.0470 + 1e-4
    assert second.wrong.high >= 0.4480 - 1e-4


def test_intervals_by_class_hold_the_truth():
    true = np.array([[0.7, 0.3, 0.0], [0.0, 0.9, 0.1], [0.05, 0.05, 0.9]])
    inside = []
    for seed in range(20):
        labels, _, probabilities = make(true, size=400, seed=seed)
        found = estimate.report(labels, probabilities, "confident", resamples=20)
        for each, right in zip(found.class_rates, np.diag(true), strict=True):
            inside.append(each.lost.low <= 1 - right <= each.lost.high)
    assert np.mean(inside) > 0.85  # 95 % intervals


def test_warnings_name_classes():
    names = ["cat", "dog"]
    found = estimate.report(LABELS, PROBABILITIES, "confident", class_names=names)
    assert "Fewer than 200 labels of class cat, dog" in found.warnings[0]
    with pytest.raises(ValueError, match=r"len\(class_names\).*must be 2.*=1"):
        estimate.report(LABELS, PROBABILITIES, "confident", class_names=names[:1])
