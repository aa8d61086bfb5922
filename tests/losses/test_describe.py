"""What `describe` computes, against what is known of the losses."""

import math

import keras
import numpy as np
import pytest

from tests.losses.rows import ROWS
from tfrobustloss import losses
from tfrobustloss.losses import describe
from tfrobustloss.losses.nested import on_logits

INF = math.inf
# Keras on torch computes some float64 in float32
EXACT = 1e-5 if keras.backend.backend() != "torch" else 2e-3
# JAX compiles each operation of each loss, so that some of them have to do
STEP = 5 if keras.backend.backend() == "jax" else 1
AROUND_CE = losses.CrossEntropy(from_logits=True)


# loss; symmetric; lowest, highest; proper ("strictly", or not at all)
@pytest.mark.numerics
@pytest.mark.parametrize(
    ("loss", "symmetric", "bounds", "proper"),
    [
        (losses.CrossEntropy(), False, (0, INF), True),
        (losses.CrossEntropy(from_logits=True), False, (0, INF), True),
        (losses.CrossEntropy(1.0), False, (math.log(10), INF), False),
        (losses.MeanAbsoluteError(), True, (0, 2), False),  # Ghosh et al. 2017
        (losses.MeanSquaredError(), False, (0, 2), True),  # Brier 1950
        (losses.GeneralizedCrossEntropy(), False, (0, 1 / 0.7), False),
        (losses.GeneralizedCrossEntropy(q=1.0), True, (0, 1), False),
        (losses.SymmetricCrossEntropy(), False, (0, INF), False),
        (losses.NormalizedCrossEntropy(), True, (0, 1), False),  # Ma et al. 2020
        (losses.Focal(), False, (0, INF), False),  # Charoenphakdee et al. 2021
        # a Bregman divergence, whatever the softmax: Amid et al. 2019
        (losses.BiTemperedLogistic(0.5, 1.0), False, (0, 2), True),
        (losses.BiTemperedLogistic(0.8, 1.2, from_logits=True), False, (0, 5), True),
        (losses.BiTemperedLogistic(1.0, 1.0), False, (0, INF), True),
        # by hand: (1 - q) / (1 - p) is one constant where it is least, so p = q
        (losses.NegativeLearning(), False, (0, INF), True),
        (losses.Unhinged(), True, (-INF, INF), False),  # van Rooyen et al. 2015
        (losses.ConfidenceRegularized(beta=0.0), False, (0, INF), True),
        (losses.ConfidenceRegularized(beta=0.5), False, (-INF, INF), False),
        (losses.ActivePassive(passive=losses.MeanAbsoluteError()), True, (0, 3), False),
        (losses.ForwardCorrection(np.eye(10)), False, None, True),
        (losses.LogitBias(bias=1.0), False, (0, 2), False),
        (losses.LogitBias(AROUND_CE, bias=0.0), False, (0, INF), True),
    ][::STEP],
)
def test_kinds(loss, symmetric, bounds, proper):
    found = describe(loss)
    assert found.symmetric is symmetric
    assert found.proper is proper
    assert found.strictly_proper is proper
    if bounds is not None:
        # a given probability is at least 1e-7, so that a power of it is not quite 0
        assert (found.lowest, found.highest) == pytest.approx(bounds, rel=2e-4)
        assert found.bounded is all(map(math.isfinite, bounds))


# by hand, for ten classes: largest over smallest slope in p, weight at p = 1/10, and
# the values at p = 0, 1/10 and 1
@pytest.mark.parametrize(
    ("loss", "ratio", "weight", "ends"),
    [
        (losses.CrossEntropy(), INF, 0.9, (INF, math.log(10), 0)),
        (losses.MeanAbsoluteError(), 1, 0.18, (2, 1.8, 0)),
        (losses.MeanSquaredError(), INF, 0.18, (10 / 9, 0.9, 0)),
        (
            losses.GeneralizedCrossEntropy(q=0.5),
            INF,
            0.9 * 0.1**0.5,
            (2, 2 - 2 * 0.1**0.5, 0),
        ),
        (
            losses.PartiallyHuberizedCrossEntropy(4.0),
            4,
            0.36,
            (1 + math.log(4), None, 0),
        ),
        (losses.AsymmetricExponential(2.5), math.exp(0.4), None, (1, None, None)),
        (losses.AsymmetricUnhinged(5.5, 3), (5.5 / 4.5) ** 2, None, (None, None, 0)),
        (losses.AsymmetricUnhinged(5.0, 2), 5 / 4, 0.09 * 4.9, (4.5, None, 0)),
        (losses.AsymmetricGeneralizedCrossEntropy(), (1.6 / 0.6) ** 0.4, None, None),
        (losses.TaylorCrossEntropy(order=3), 3, 0.09 * 2.71, (11 / 6, None, 0)),
        (losses.TruncatedGeneralizedCrossEntropy(), INF, 0, None),
        (losses.Unhinged(), INF, 0.9, (INF, 0, -INF)),
        (losses.NegativeLearning(), 9 / 8, 0.1 / 9, (-math.log(8 / 9), None, 0)),
        # p with a bias b is p e**b / (1 - p + p e**b)
        (losses.LogitBias(bias=1.5), math.exp(3), None, (2, None, 0)),
        (losses.BiTemperedLogistic(0.5, 4.0), INF, None, (None, None, 0)),
        # another activation, at whose ends the slope has none
        (
            losses.LogitBias(losses.BiTemperedLogistic(from_logits=True), 0.0),
            INF,
            None,
            None,
        ),
        (losses.Baikal(), INF, None, (INF, 10 * math.log(10) + 10, INF)),
    ][::STEP],
)
def test_numbers(loss, ratio, weight, ends):
    found = describe(loss)
    assert found.variation_ratio == pytest.approx(ratio, rel=EXACT)
    if weight is not None:
        assert found.weight == pytest.approx(weight, rel=EXACT, abs=1e-7)
    at = found.at_zero, found.at_even, found.at_one
    for received, expected in zip(at, ends or (None,) * 3, strict=True):
        if expected is not None:
            assert received == pytest.approx(expected, rel=EXACT, abs=1e-6)


def test_clipped_logits():
    # two logits of length 1 differ by the root of 2 at most
    found = describe(losses.LogitClip(max_norm=1.0), 2)
    most = 2**0.5
    assert found.lowest == pytest.approx(math.log1p(math.exp(-most)), rel=1e-6)
    assert found.highest == pytest.approx(math.log1p(math.exp(most)), rel=1e-6)
    assert found.variation_ratio == pytest.approx(math.exp(most), rel=EXACT)
    ends = found.at_one, found.at_zero
    assert ends == pytest.approx((found.lowest, found.highest))
    assert found.proper is False  # a sure prediction is out of reach


def test_wrapped_activation():
    # the probabilities of a tempered softmax are those of other logits
    found = describe(losses.LogitBias(losses.BiTemperedLogistic(from_logits=True)))
    assert (found.proper, found.strictly_proper) == (None, None)
    assert "proper score             -\n" in str(found)
    assert found.weight == pytest.approx(describe(losses.BiTemperedLogistic).weight)


@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="JAX compiles each operation of each loss",
)
def test_claims_of_the_battery():
    # its traits, and the bounds that the classes declare, computed in another way
    for row in ROWS:
        if row.traits.symmetric is None and row.traits.bounds is None:
            continue
        loss, classes = row.build(), row.traits.num_classes or 5
        found = describe(loss, classes)
        if row.traits.symmetric is not None:
            assert found.symmetric is row.traits.symmetric, row.name
        declared = on_logits(loss, True).bounds(classes)  # where no p is clipped
        if declared is not None:
            slack = 1e-6 * max(abs(x) for x in (*declared, 1) if math.isfinite(x))
            assert found.lowest >= declared[0] - slack, row.name
            assert found.highest <= declared[1] + slack, row.name


@pytest.mark.parametrize("classes", [2, 3, 100][::STEP])
def test_numbers_of_classes(classes):
    found = describe(losses.NormalizedCrossEntropy, classes)
    assert found.symmetric
    assert (found.lowest, found.highest) == pytest.approx((0, 1), abs=1e-4)
    assert found.at_even == pytest.approx(1 / classes)
    assert describe(losses.MeanSquaredError, classes).strictly_proper


def test_parameters_may_be_variables():
    q = keras.Variable(0.5, trainable=False)
    found = describe(losses.GeneralizedCrossEntropy(q, from_logits=True))
    assert found.highest == pytest.approx(2, rel=1e-5)
    assert found.loss == "GeneralizedCrossEntropy(q=0.5)"
    q.assign(1.0)
    assert describe(losses.GeneralizedCrossEntropy(q)).symmetric


def squared_miss(y_true, y_pred, from_logits=False):
    labels, prediction = losses.decode(y_true, y_pred, from_logits)
    return keras.ops.square(1 - prediction.pick_probability(labels))


class SquaredMiss(losses.FunctionLoss):
    function = staticmethod(squared_miss)

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)


def test_own_loss():
    found = describe(SquaredMiss, 4)
    assert (found.symmetric, found.bounded, found.proper) == (False, True, False)
    assert found.weight == pytest.approx(2 * 0.75 * 0.25 * 0.75)


def test_text():
    # by hand: logits (a, -a/9, ...) of length 1 differ by 1.0541, so that p of the
    # label is .24177 or .03728
    assert str(describe(losses.LogitClip)) == (
        "LogitClip(max_norm=1, loss=CrossEntropy(label_smoothing=0)), 10 classes\n"
        "  symmetric                no\n"
        "  bounded                  yes, 1.42 to 3.289\n"
        "  proper score             no\n"
        "  variation ratio          6.485\n"
        "  weight at p = 1/10       0.9\n"
        "  value at p = 0, 1/10, 1  3.289, 2.303, 1.42"
    )


@pytest.mark.parametrize(
    ("loss", "note"),
    [
        (losses.DeterminantMutualInformation(), "one value a batch"),
        (losses.SigmoidFocal, "its targets are no class labels"),
    ],
)
def test_what_does_not_apply(loss, note):
    found = describe(loss)
    assert note in found.note
    assert note in str(found)
    values = vars(found).items()
    assert {name for name, value in values if value is not None} == {
        "loss",
        "num_classes",
        "note",
    }
    assert found.bounded is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (keras.losses.MeanSquaredError(),),
            TypeError,
            "`loss` must be a loss of this",
        ),
        ((losses.ForwardCorrection,), TypeError, "`loss` must be an object.*Build it"),
        ((losses.Focal, 1), ValueError, r"`num_classes` must be .*num_classes=1"),
        ((losses.Focal, 2.5), ValueError, r"`num_classes` must be .*num_classes=2.5"),
        (("focal",), TypeError, "`loss` must be a loss of this package"),
    ],
)
def test_refused(arguments, error, message):
    with pytest.raises(error, match=f"describe: {message}"):
        describe(*arguments)
