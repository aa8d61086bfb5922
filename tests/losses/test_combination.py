"""Values of the active passive combination, and what it hands to its two losses."""

import json

import keras
import numpy as np
import pytest

from tests.losses.values import P, numpy, random_probabilities
from tfrobustloss import losses
from tfrobustloss.losses import ActivePassive, active_passive


def nce_and(passive, **options):
    return ActivePassive(
        losses.NormalizedCrossEntropy(), passive, reduction=None, **options
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # losses.md C: NCE + RCE, and NCE + MAE with 1 - p for MAE
        (ActivePassive(reduction=None), (2.846658, 7.745305)),
        (nce_and(losses.ReverseCrossEntropy()), (2.846658, 7.745305)),
        (nce_and(losses.MeanAbsoluteError(), beta=0.5), (0.383556, 1.177033)),
        (nce_and(losses.GeneralizedCrossEntropy(1.0)), (0.383556, 1.177033)),
        # by hand: a combination in a combination, 2 * 0.377033 + 3 * (0.3 + 0.3)
        (
            nce_and(
                nce_and(losses.GeneralizedCrossEntropy(1.0), alpha=0.0),
                alpha=2.0,
                beta=3.0,
            ),
            (2 * 0.083556 + 3 * 0.3, 2 * 0.377033 + 3 * 0.8),
        ),
    ],
)
def test_values(loss, expected):
    p = np.array([P, P], "float32")
    for y_true in (np.array([0, 1]), np.eye(3, dtype="float32")[[0, 1]]):
        np.testing.assert_allclose(numpy(loss(y_true, p)), expected, atol=2e-6)


def test_is_the_weighted_sum_of_its_losses():
    p = random_probabilities((20, 5)).astype("float32")
    ids = np.arange(20) % 5
    active, passive = losses.Focal(1.5), losses.AsymmetricUnhinged(3.0, 0.5)
    both = numpy(active_passive(ids, p, active, passive, 0.5, 2.0))
    expected = 0.5 * numpy(losses.focal(ids, p, 1.5))
    expected = expected + 2 * numpy(losses.asymmetric_unhinged(ids, p, 3.0, 0.5))
    np.testing.assert_allclose(both, expected, rtol=1e-6)


def test_from_logits_reaches_the_losses():
    loss = ActivePassive(losses.Focal(), losses.MeanAbsoluteError(), from_logits=True)
    assert (loss.active.from_logits, loss.passive.from_logits) == (True, True)
    p = np.array([P], "float32")
    plain = ActivePassive(losses.Focal(), losses.MeanAbsoluteError())
    assert plain.from_logits is False
    np.testing.assert_allclose(loss([1], np.log(p)), plain([1], p), rtol=1e-5)
    of_logits = ActivePassive(losses.Focal(from_logits=True))
    assert (of_logits.from_logits, of_logits.passive.from_logits) == (True, True)


def test_config_holds_the_losses():
    loss = ActivePassive(
        losses.NormalizedFocal(gamma=0.1),
        losses.LogitClip(losses.GeneralizedCrossEntropy(0.3, from_logits=True), 2.0),
        alpha=10.0,
        from_logits=True,
        ignore_class=9,
    )
    stored = json.loads(json.dumps(keras.losses.serialize(loss)))
    again = keras.losses.deserialize(stored)
    assert again.active.gamma == 0.1
    assert (again.passive.max_norm, again.passive.loss.q) == (2.0, 0.3)
    assert again.get_config() == loss.get_config()
    logits = np.random.default_rng(0).normal(0, 2, (6, 4)).astype("float32")
    ids = np.array([0, 1, 9, 3, 0, 1])
    assert float(again(ids, logits)) == float(loss(ids, logits))


def test_a_variable_of_an_inner_loss_is_followed():
    q = keras.Variable(0.7, trainable=False, dtype="float32")
    loss = ActivePassive(
        losses.GeneralizedCrossEntropy(q), losses.MeanAbsoluteError(), from_logits=True
    )
    logits, ids = np.array([[1.0, -1.0, 0.0]], "float32"), np.array([1])
    for value in (0.7, 0.1):
        q.assign(value)
        inner = losses.GeneralizedCrossEntropy(value)
        plain = ActivePassive(inner, losses.MeanAbsoluteError(), from_logits=True)
        np.testing.assert_allclose(loss(ids, logits), plain(ids, logits), rtol=1e-6)
    assert loss.get_config()["active"]["config"]["q"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((keras.losses.MeanSquaredError(),), TypeError, "`active` must be a class"),
        ((losses.Boundary(),), TypeError, "`active` must be a class"),
        ((losses.SigmoidFocal(),), TypeError, "`active` must be a class"),
        ((None, "mae"), TypeError, "`passive` must be a class.*passive='mae'"),
        (
            (losses.Focal(), losses.Focal(from_logits=True)),
            ValueError,
            "must have the same `from_logits`.*False and True",
        ),
        (
            (losses.Focal(ignore_class=3),),
            ValueError,
            "`active` must have no `ignore_class`.*ignore_class=3",
        ),
        ((None, None, -1.0), ValueError, "`alpha` must be .*alpha=-1.0"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=f"ActivePassive: .*{message}"):
        ActivePassive(*arguments)


def test_a_wrapper_stays_on_logits():
    with pytest.raises(ValueError, match="LogitClip: `from_logits` must be True"):
        ActivePassive(losses.LogitClip(), losses.LogitBias(), from_logits=False)
