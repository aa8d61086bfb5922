"""Tables of several annotators, the vote, and Dawid-Skene."""

import numpy as np
import pytest

from tfrobustloss import data
from tfrobustloss.data import Annotations

# Reference: crowd-kit 1.4.2, DawidSkene(n_iter=3000, tol=-1) on this table. On 20
# random tables of up to 379 examples, 24 annotators and 7 classes, both run until all
# was still, all 5,411 labels were equal and probabilities within 4e-6.
TABLE = [
    [0, 0, 1, -1],
    [1, 1, 1, 0],
    [2, -1, 2, 2],
    [0, 0, 0, 1],
    [1, 2, 1, 1],
    [2, 2, 0, 2],
    [0, -1, 0, 0],
    [1, 1, -1, 2],
    [2, 2, 2, 1],
    [0, 1, 0, 0],
    [-1, 1, 0, 1],
    [2, 0, -1, 2],
]


def test_dawid_skene_against_crowd_kit():
    found = data.dawid_skene(Annotations.from_dense(TABLE), tolerance=0)
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 2]
    assert found.labels.tolist() == labels
    np.testing.assert_allclose(found.probabilities, np.eye(3)[labels], atol=1e-5)
    np.testing.assert_allclose(found.class_prior, [5 / 12, 1 / 4, 1 / 3], atol=1e-5)
    expected = [[1 / 2, 1 / 2, 0], [0, 2 / 3, 1 / 3], [1 / 3, 0, 2 / 3]]
    np.testing.assert_allclose(found.confusion[1], expected, atol=1e-5)


def simulated(seed=0, examples=60, share=0.7):
    """Dense labels of four annotators, the last of whom guesses; and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, examples)
    labels = np.full((examples, 4), -1)
    for annotator, skill in enumerate((0.9, 0.8, 0.7, 0.0)):
        guess = random.integers(0, 3, examples)
        right = random.random(examples) < skill
        asked = random.random(examples) < share
        labels[:, annotator] = np.where(asked, np.where(right, truth, guess), -1)
    return labels, truth


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_dawid_skene_against_loops(smoothing):
    labels, _ = simulated()
    labels = labels[(labels >= 0).any(axis=1)]
    rows = np.stack([(labels == k).sum(axis=1) for k in range(3)], 1).astype(float)
    rows /= rows.sum(axis=1, keepdims=True)
    for _ in range(7):
        prior = rows.mean(axis=0)
        confusion = np.full((4, 3, 3), smoothing)
        for i, a in np.argwhere(labels >= 0):
            confusion[a, :, labels[i, a]] += rows[i]
        confusion /= confusion.sum(axis=2, keepdims=True)
        rows = np.tile(prior, (len(labels), 1))
        for i, a in np.argwhere(labels >= 0):
            rows[i] *= confusion[a, :, labels[i, a]]
        likelihood = np.log(rows.sum(axis=1)).sum()
        rows /= rows.sum(axis=1, keepdims=True)
    table = Annotations.from_dense(labels)
    found = data.dawid_skene(table, smoothing, max_iterations=7, tolerance=0)
    np.testing.assert_allclose(found.probabilities, rows, atol=1e-7)
    np.testing.assert_allclose(found.confusion, confusion, atol=1e-7)
    np.testing.assert_allclose(found.log_likelihood, likelihood, rtol=1e-7)
    assert (found.iterations, found.converged) == (7, False)


def test_consensus_is_better_than_the_vote():
    labels, truth = simulated(examples=1000)
    table = Annotations.from_dense(labels)
    vote, consensus = data.majority_vote(table), data.dawid_skene(table)
    assert np.mean(consensus.labels == truth) > np.mean(vote.labels == truth) + 0.02
    assert consensus.converged
    again = data.dawid_skene(table)
    np.testing.assert_array_equal(consensus.probabilities, again.probabilities)


def test_ten_thousand_labels_of_an_example_do_not_underflow():
    labels = np.zeros((4, 2500), int)
    labels[2:] = 1
    found = data.dawid_skene(Annotations.from_dense(labels))
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert np.isfinite(found.probabilities).all()


def test_ties_and_gaps_of_the_vote():
    # the tie goes to 1, more frequent in the table; then to the first class
    table = [[0, 1, -1], [1, 1, 2], [-1, -1, -1], [2, 0, -1]]
    found = data.majority_vote(Annotations.from_dense(table))
    assert found.labels.tolist() == [1, 1, -1, 0]
    assert found.num_labels.tolist() == [2, 3, 0, 2]
    np.testing.assert_allclose(found.probabilities[1], [0, 2 / 3, 1 / 3])
    prior = np.mean([[1 / 2, 1 / 2, 0], [0, 2 / 3, 1 / 3], [1 / 2, 0, 1 / 2]], axis=0)
    np.testing.assert_allclose(found.probabilities[2], prior)
    consensus = data.dawid_skene(Annotations.from_dense(table))
    assert consensus.labels[2] == -1
    np.testing.assert_allclose(consensus.probabilities[2], consensus.class_prior)


def test_report_of_annotators_by_hand():
    # annotator 2 agrees with both others in 0 of 2, then 1 of 2, then with the only one
    table = [[0, 0, 1], [1, 0, 1], [1, -1, 1], [-1, -1, 0]]
    report = data.annotator_report(Annotations.from_dense(table))
    (found,) = [each for each in report if each.annotator == "2"]
    assert (found.num_labels, found.num_shared) == (4, 3)
    np.testing.assert_allclose(found.agreement, (0 + 0.5 + 1) / 3)
    np.testing.assert_allclose(found.expected, (1 + 0) / 2)
    labels, _ = simulated(examples=400)
    report = data.annotator_report(Annotations.from_dense(labels))
    assert [each.annotator for each in report] == ["3", "2", "1", "0"]
    assert [each.at_odds for each in report] == [True, False, False, False]


def test_an_annotator_alone():
    report = data.annotator_report(Annotations.from_dense([[0, -1], [-1, 1]]))
    assert {(each.agreement, each.expected, each.at_odds) for each in report} == {
        (None, None, False)
    }


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_read(tmp_path):
    lines = ["annotator,label,example", "10,dog,b", "9,cat,a", "9,,b", "10,dog,a"]
    path = write(tmp_path / "a.csv", *lines)
    table = data.read_annotations(path)
    assert table.example_ids.tolist() == ["b", "a"]
    assert table.annotator_ids.tolist() == ["9", "10"]
    assert table.dense().tolist() == [[-1, 1], [0, 1]]
    like = data.LabelledData(
        np.zeros((3, 1), "float32"), [0, 1, 2], ("dog", "owl", "cat"), ["c", "a", "b"]
    )
    table = data.read_annotations(path, like=like)
    assert table.class_names == like.class_names
    assert table.dense().tolist() == [[-1, -1], [2, 0], [-1, 0]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,annotator,label", "1,2,3"], r"`example` must be a column of .*'a'"),
        (
            ["example,annotator,label", "a,,x"],
            r"line 2, column 'annotator'` must be an",
        ),
        (["example,annotator,label", "a,1,"], "a label in a row or more"),
        (["example,annotator,label", "a,1,x"], r"two classes or more"),
        (
            ["example,annotator,label", "a,1,x", "a,2,y", "a,1,y"],
            r"line 4, column 'annotator'` must be .*'a' once.*='1'\. Keep one",
        ),
    ],
)
def test_refused_tables(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        data.read_annotations(write(tmp_path / "a.csv", *lines))


def test_refused_like(tmp_path):
    like = data.LabelledData(
        np.zeros((2, 1), "float32"), [0, 1], ("x", "y"), ["a", "b"]
    )
    head = "example,annotator,label"
    for row, message in (("c,1,x", "line 3, column 'example'"), ("b,1,z", "line 3, c")):
        path = write(tmp_path / "a.csv", head, "a,1,x", row)
        with pytest.raises(ValueError, match=message):
            data.read_annotations(path, like=like)


def test_refused_arguments(tmp_path):
    dense = Annotations.from_dense
    for act, error, message in (
        (lambda: dense([0, 1]), ValueError, r"labels\.shape`"),
        (lambda: dense([[0, -2]]), ValueError, r"labels\[0, 1\]`.*=-2"),
        (lambda: dense([[0.5, 1]]), ValueError, r"labels\.dtype`"),
        (lambda: dense([[-1, -1]]), ValueError, "of one length, above 0"),
        (lambda: dense([[0, 2]], ["a", "b"]), ValueError, r"labels\[0, 1\]`"),
        (lambda: dense([[0]], ["a"]), ValueError, r"`class_names`"),
        (lambda: dense([[0, 1]], None, ["a", "b"]), ValueError, r"len\(example_ids"),
        (lambda: data.dawid_skene([[0, 1]]), TypeError, "`annotations`.*from_dense"),
        (lambda: data.majority_vote(3), TypeError, "`annotations`"),
        (lambda: data.dawid_skene(dense(TABLE), -1), ValueError, "`smoothing`"),
        (lambda: data.annotator_report(dense(TABLE), 3), TypeError, "`consensus`"),
        (lambda: data.read_annotations(None), TypeError, "`path`"),
        (lambda: data.read_annotations("a.txt"), ValueError, "`path`"),
        (
            lambda: Annotations([0, 0], [0, 0], [0, 1], ["a"], ["b"], ["x", "y"]),
            ValueError,
            "there once.*'b' on example 'a'",
        ),
    ):
        with pytest.raises(error, match=message):
            act()


def own_of(labels, **fields):
    ids = [f"i{i}" for i in range(len(labels))]
    inputs = np.zeros((len(labels), 1), "float32")
    return data.LabelledData(inputs, labels, ("x", "y", "z"), ids, **fields)


def test_consensus_becomes_soft_labels_by_id():
    own = own_of([0, 1, 2, 2], trusted=[3])
    # i2 first, of other classes in another order; nobody labelled i1
    votes = [[1, 1, 0], [0, 0, 0], [-1, -1, -1]]
    table = Annotations.from_dense(votes, ["z", "x"], ["i2", "i0", "i1"])
    agreed = data.majority_vote(table).apply_to(own)
    assert agreed.ids.tolist() == ["i0", "i2", "i3"]
    assert agreed.labels.tolist() == [2, 0, 2]
    expected = [[0, 0, 1], [2 / 3, 0, 1 / 3], [0, 0, 1]]
    np.testing.assert_allclose(agreed.soft_labels, expected, atol=1e-6)
    assert agreed.soft_labels.dtype == np.float32
    assert agreed.trusted.tolist() == [2]
    assert "1 examples without an annotation are left out." in agreed.notes
    np.testing.assert_array_equal(
        agreed.select([1]).soft_labels, agreed.soft_labels[[1]]
    )
    assert agreed.digest != own.select([0, 2, 3]).digest
    vote = data.majority_vote
    for ids, names, message in (
        (["i0", "i1", "i9"], ["x", "z"], r"example 1` must be an id.*'i9'.*skip=\["),
        (["i0", "i1", "i2"], ["x", "w"], "`class_names` must be a class of .*'w'"),
    ):
        other = vote(Annotations.from_dense([[0], [-1], [1]], names, ids))
        message = message.replace("example 1", "annotated example 1")
        with pytest.raises(ValueError, match=message):
            other.apply_to(own)
    with pytest.raises(TypeError, match="`LabelledData`"):
        vote(table).apply_to([0, 1])


@pytest.mark.parametrize("rows", [[[1.0, 0, 0]], [[0.5, 0, 0]] * 2, [[2.0, -1, 0]] * 2])
def test_soft_labels_are_rows_of_probabilities(rows):
    with pytest.raises(ValueError, match="LabelledData: `soft_labels"):
        own_of([0, 1], soft_labels=rows)


def test_fit_on_the_consensus():
    import keras

    from tfrobustloss import losses

    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    x = (np.eye(3)[truth] * 3 + random.normal(size=(600, 3))).astype("float32")
    votes = np.stack([truth] * 4, axis=1)
    guess = random.integers(0, 3, votes.shape)
    votes = np.where(random.random(votes.shape) < [0.8, 0.6, 0.5, 0.1], votes, guess)
    votes[random.random(votes.shape) < 0.3] = -1
    ids = [str(i) for i in range(600)]
    own = data.LabelledData(x, np.maximum(votes[:, 3], 0), ("x", "y", "z"), ids)
    table = Annotations.from_dense(votes, own.class_names, ids)
    agreed = data.dawid_skene(table).apply_to(own)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]
    )
    loss = losses.GeneralizedCrossEntropy()
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    model.fit(agreed.inputs, agreed.soft_labels, epochs=8, batch_size=60, verbose=0)
    assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == truth) > 0.9


def test_rows_of_left_out_examples(tmp_path):
    own = own_of([0, 1, 2])
    head = "example,annotator,label"
    path = write(tmp_path / "a.csv", head, "i0,1,x", "i9,1,y", "i2,2,z")
    table = data.read_annotations(path, like=own, skip=["i9"])
    assert table.dense().tolist() == [[0, -1], [-1, -1], [-1, 2]]


def test_a_report_as_json():
    (one, _) = data.annotator_report(Annotations.from_dense([[0, 0], [1, 0]]))
    found = one.to_json()
    assert np.shape(found["confusion"]) == (2, 2)
    assert found["annotator"] == one.annotator
    other = data.dawid_skene(Annotations.from_dense([[0, 0, 1]]))
    table = Annotations.from_dense([[0, 0], [1, 0]])
    with pytest.raises(ValueError, match=r"consensus.confusion.shape` must be \(2, 2"):
        data.annotator_report(table, other)
