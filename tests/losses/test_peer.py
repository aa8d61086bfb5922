"""Values of peer loss in one batch, and what counts in it."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient
from tests.losses.values import numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import Peer, peer

TWO = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], "float32")
IDS = np.array([0, 1, 2, 0, 1, 2, 2])
P = random_probabilities((7, 3), seed=4).astype("float32")


def pairs(ids, p, alpha, weight=None):
    """The definition: every prediction with the label of every example, float64."""
    p, weight = p.astype("float64"), np.ones(len(ids)) if weight is None else weight
    weight = np.asarray(weight) / np.sum(weight)
    table = -np.log(p)[:, ids]  # prediction i, label of example j
    return weight @ np.diag(table) - alpha * weight @ table @ weight


def value(*arguments, **options):
    return float(numpy(peer(*arguments, **options)))


@pytest.mark.parametrize(
    ("ids", "p", "alpha", "expected"),
    [
        ([0, 1], TWO, 1.0, -0.761131),  # field.md 1a
        ([0, 1], TWO, 0.0, -(math.log(0.7) + math.log(0.6)) / 2),  # cross-entropy
        ([1, 1], TWO, 1.0, 0.0),  # by hand: one label, so both means are the same
        (IDS, P, 1.0, pairs(IDS, P, 1.0)),
        (IDS, P, 5.0, pairs(IDS, P, 5.0)),
    ],
)
def test_values(ids, p, alpha, expected):
    rows = np.eye(3, dtype="float32")[ids]
    loss = Peer(alpha)
    for y_true in (np.array(ids), np.array(ids)[:, None], rows):
        assert value(y_true, p, alpha=alpha) == pytest.approx(expected, abs=3e-6)
        assert float(numpy(loss(y_true, p))) == pytest.approx(expected, abs=3e-6)
        received = value(y_true, np.log(p) + 1.5, alpha=alpha, from_logits=True)
        assert received == pytest.approx(expected, abs=3e-6)


def test_even_labels_make_it_confidence_regularization():
    ids = np.repeat([0, 1, 2], 2)
    each = losses.confidence_regularized(ids, P[:6], beta=0.7)
    expected = float(numpy(each).mean())
    assert value(ids, P[:6], alpha=0.7) == pytest.approx(expected, abs=2e-6)


def test_soft_labels_are_dealt_in_parts():
    soft = random_probabilities((7, 3), seed=5).astype("float32")
    log_p = np.log(P.astype("float64"))
    expected = (
        -(soft * log_p).sum(-1).mean() + 2 * (soft.mean(0) * log_p).sum(-1).mean()
    )
    assert value(soft, P, alpha=2.0) == pytest.approx(expected, abs=3e-6)


def test_gradient():
    # by hand: on logits p - row, less alpha times (p - shares), over the batch
    logits = np.log(P)
    rows, shares = np.eye(3)[IDS], np.bincount(IDS) / 7
    expected = (P - rows - 1.5 * (P - shares)) / 7
    slope = gradient(lambda z: peer(IDS, z, alpha=1.5, from_logits=True), logits)
    np.testing.assert_allclose(slope, expected, atol=1e-6)


def test_weights_are_copies_and_zeros_remove():
    weight = np.array([0, 1, 2, 1, 3, 1, 0])
    copies = np.repeat(np.arange(7), weight)
    loss = Peer(2.0)
    expected = float(numpy(loss(IDS[copies], P[copies])))
    assert expected == pytest.approx(pairs(IDS, P, 2.0, weight), abs=3e-6)
    for given in (weight, weight[:, None].astype("float32")):
        assert float(numpy(loss(IDS, P, given))) == pytest.approx(expected, abs=3e-6)
    assert float(numpy(loss(IDS, P, 0 * weight))) == 0


def test_ignored_and_masked_examples_do_not_count():
    kept = np.array([True, True, False, True, True, True, False])
    expected = value(IDS[kept], P[kept])
    marked = np.where(kept, IDS, 255)
    loss = Peer(ignore_class=255)
    assert float(numpy(loss(marked, P))) == pytest.approx(expected, abs=3e-6)
    masking = keras.layers.Lambda(lambda x: x, mask=ops.convert_to_tensor(kept))
    assert float(numpy(Peer()(IDS, masking(P)))) == pytest.approx(expected, abs=3e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 20.0])
def test_finite_at_the_edges_of_the_numbers(alpha):
    logits = np.array([[3e38, -3e38, 0], [-3e38, 3e38, 0], [0, 0, 0]], "float32")
    for ids in ([0, 1, 2], [1, 0, 2], [0, 0, 0]):

        def loss(z, ids=ids):
            return peer(ids, z, alpha=alpha, from_logits=True)

        assert np.isfinite(float(numpy(loss(logits))))
        assert np.isfinite(gradient(loss, logits)).all()
    one = np.eye(3, dtype="float32")
    assert np.isfinite(value([1, 2, 0], one, alpha=alpha))


def test_no_lower_bound():
    sure = np.array([[1, 0, 0], [0, 1, 0]], "float32")
    values = [value([0, 1], size * sure, from_logits=True) for size in (10, 100, 1000)]
    assert values[0] > values[1] > values[2]
    assert values[2] < -200


@pytest.mark.parametrize("reduction", [None, "sum", "mean"])
def test_one_number_whatever_the_reduction(reduction):
    loss = Peer(reduction=reduction)(IDS, P)
    assert tuple(loss.shape) == ()
    assert float(numpy(loss)) == pytest.approx(value(IDS, P), abs=1e-6)


def test_alpha_may_be_a_variable():
    alpha = keras.Variable(0.0, trainable=False)
    loss = Peer(alpha)
    for setting in (0.0, 1.0, 3.0):
        alpha.assign(setting)
        assert float(numpy(loss(IDS, P))) == pytest.approx(
            pairs(IDS, P, setting), abs=3e-6
        )


def test_is_no_part_of_a_combination_of_losses_per_example():
    with pytest.raises(TypeError, match="ActivePassive: `passive` must be"):
        losses.ActivePassive(passive=Peer())
