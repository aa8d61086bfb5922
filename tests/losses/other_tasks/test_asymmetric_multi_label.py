"""Values of the losses of many labels, against the sheet and the plain formulas."""

import functools
import math

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st
from keras import ops

from tests.derivatives import gradient
from tests.losses.fuzz import parameter_values
from tests.losses.test_fuzz import EXAMPLES, SEED
from tests.losses.values import numpy, with_unknown_batch
from tfrobustloss import losses
from tfrobustloss._core import backend
from tfrobustloss._core.tensors import hidden_values

CLASSES = [losses.AsymmetricMultiLabel, losses.Hill, losses.SelfPacedCorrection]
every_class = pytest.mark.parametrize("loss_class", CLASSES)

# field.md 1a: logit 1 with target 1 and 0, logit -1 with target 1 and 0
SHEET = [
    (losses.AsymmetricMultiLabel, {}, [0.31326169, 0.24586022, 1.31326169, 0.00056780]),
    (
        losses.AsymmetricMultiLabel,
        {"gamma_positive": 1.0},
        [0.08424904, 0.24586022, 0.96007122, 0.00056780],
    ),
    (losses.Hill, {}, [0.17328680, 0.41095816, 1.65007818, 0.08904184]),
    (
        losses.SelfPacedCorrection,
        {},
        [0.17328680, 0.02265806, 1.65007818, 0.02265806],
    ),
    # before the correction: p^2 softplus(1) = .73105858^2 * 1.31326169
    (
        losses.SelfPacedCorrection,
        {"correction": 0.0},
        [0.17328680, 0.70186394, 1.65007818, 0.02265806],
    ),
    # half of each, and nothing is above a threshold of .75
    (losses.SelfPacedCorrection, {"correction": 0.5}, [None, 0.36226100, None, None]),
    (losses.SelfPacedCorrection, {"threshold": 0.75}, [None, 0.70186394, None, None]),
]


@pytest.mark.parametrize(("loss_class", "parameters", "expected"), SHEET)
def test_sheet(loss_class, parameters, expected):
    logits = np.float32([[1], [1], [-1], [-1]])
    targets = np.float32([[1], [0], [1], [0]])
    wanted = np.array([math.nan if each is None else each for each in expected])
    checked = np.isfinite(wanted)
    for y_pred, from_logits in ((logits, True), (1 / (1 + np.exp(-logits)), False)):
        loss = loss_class(**parameters, from_logits=from_logits, reduction=None)
        function = functools.partial(
            loss_class.function, **parameters, from_logits=from_logits
        )
        for each in (loss, function):
            received = numpy(each(targets, y_pred))[checked]
            np.testing.assert_allclose(received, wanted[checked], rtol=2e-5, atol=1e-7)


def plain(loss_class, target, z, arguments):
    """The terms of the papers in float64, for targets between 0 and 1."""

    def p_of(z):
        return 1 / (1 + np.exp(-z))

    p, shifted = p_of(z), p_of(z - arguments.get("margin", 0))
    if loss_class is losses.AsymmetricMultiLabel:
        low = np.clip(p - arguments["margin"], 0, None)
        hit = -((1 - p) ** arguments["gamma_positive"]) * np.log(p)
        miss = -(low ** arguments["gamma_negative"]) * np.log(1 - low)
        return target * hit + (1 - target) * miss
    gamma = arguments["gamma"]
    hit = -((1 - shifted) ** gamma) * np.log(shifted)
    if loss_class is losses.Hill:
        return target * hit + (1 - target) * (arguments["lam"] - p) * p**2
    miss, corrected = -(p**gamma) * np.log(1 - p), -((1 - p) ** gamma) * np.log(p)
    share = arguments["correction"] * (p > arguments["threshold"])
    return target * hit + (1 - target) * (share * corrected + (1 - share) * miss)


GRID = {
    losses.AsymmetricMultiLabel: [
        {"gamma_positive": a, "gamma_negative": b, "margin": m}
        for a in (0.0, 0.5, 1.0, 3.0)
        for b in (0.0, 0.5, 4.0)
        for m in (0.0, 1e-7, 0.05, 0.6, 0.99)
    ],
    losses.Hill: [
        {"lam": lam, "margin": m, "gamma": gamma}
        for lam in (1.0, 1.5, 4.0)
        for m in (0.0, 1.0, 5.0)
        for gamma in (0.0, 0.5, 2.0)
    ],
    losses.SelfPacedCorrection: [
        {"threshold": tau, "margin": m, "gamma": gamma, "correction": c}
        for tau in (0.0, 0.3, 0.6, 1.0)
        for m in (0.0, 1.0)
        for gamma in (0.0, 0.5, 2.0)
        for c in (0.0, 0.25, 1.0)
    ],
}


@every_class
def test_plain_formulas(loss_class):
    z = np.linspace(-12, 12, 49).repeat(5).reshape(-1, 1) + 1e-3
    target = np.tile([0, 0.2, 0.5, 0.9, 1], 49).reshape(-1, 1)
    for arguments in GRID[loss_class]:
        wanted = plain(loss_class, target, z, arguments)[:, 0]
        for y_pred, from_logits, atol in (
            (z, True, 3e-6),
            (1 / (1 + np.exp(-z)), False, 1e-4),  # float32's 1 - p
        ):
            function = loss_class.function
            received = function(
                np.float32(target), np.float32(y_pred), **arguments,
                from_logits=from_logits,
            )  # fmt: skip
            np.testing.assert_allclose(
                numpy(received), wanted, rtol=1e-3 if atol > 1e-5 else 5e-5, atol=atol,
                err_msg=str(arguments),
            )  # fmt: skip


def test_identities():
    random = np.random.default_rng(0)
    y_true = random.integers(0, 2, (9, 4)).astype("float32")
    z = random.normal(0, 3, (9, 4)).astype("float32")
    options = {"from_logits": True, "reduction": None}
    no_focus = {"gamma_positive": 0.0, "gamma_negative": 0.0, "margin": 0.0}
    pairs = [
        (
            losses.AsymmetricMultiLabel(**no_focus, **options),
            keras.losses.BinaryCrossentropy(**options),
        ),
        (
            losses.AsymmetricMultiLabel(2.0, 2.0, 0.0, "sum", **options),
            losses.SigmoidFocal(2.0, None, **options),
        ),
        (
            losses.SelfPacedCorrection(
                margin=0.0, correction=0.0, aggregate="sum", **options
            ),
            losses.SigmoidFocal(2.0, None, **options),
        ),
    ]
    for one, other in pairs:
        np.testing.assert_allclose(
            numpy(one(y_true, z)), numpy(other(y_true, z)), rtol=2e-5
        )
        # soft targets too: both are linear
        np.testing.assert_allclose(
            numpy(one(y_true / 2, z)), numpy(other(y_true / 2, z)), rtol=2e-5
        )


@every_class
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_missing_labels_and_class_weights(loss_class, aggregate):
    random = np.random.default_rng(1)
    y_true = random.integers(-1, 2, (7, 5)).astype("float32")
    y_true[2] = -1  # nothing is known of it
    z = random.normal(0, 2, (7, 5)).astype("float32")
    weights, known = [0.5, 0.0, 2.0, 1.0, 3.0], y_true >= 0
    single = loss_class(from_logits=True, reduction=None)
    alone = numpy(single(np.maximum(y_true, 0).reshape(-1, 1), z.reshape(-1, 1)))
    each = alone.reshape(7, 5) * np.float32(weights) * known
    wanted = each.sum(-1)
    if aggregate == "mean":
        wanted /= np.maximum(known.sum(-1), 1)
    arguments = {"aggregate": aggregate, "class_weights": weights, "from_logits": True}
    loss = loss_class(**arguments, reduction=None)
    np.testing.assert_allclose(numpy(loss(y_true, z)), wanted, rtol=1e-5, atol=1e-7)
    # the mean is over the examples of which a label is known
    counted = np.delete(wanted, 2)
    mean = float(loss_class(**arguments)(y_true, z))
    np.testing.assert_allclose(mean, counted.mean(), rtol=1e-5)
    slope = gradient(lambda z: loss(y_true, z), z)
    assert not slope[~known].any()
    assert slope[known & (np.float32(weights) > 0)].all()
    # a missing label's prediction may be anything
    wild = np.where(known, z, np.float32(1e30))
    np.testing.assert_array_equal(numpy(loss(y_true, wild)), numpy(loss(y_true, z)))
    # ids of bool and small integers
    whole = (y_true[:2] > 0.5).astype("uint8")
    for kind in ("bool", "int8", "int64"):
        np.testing.assert_array_equal(
            numpy(loss(whole.astype(kind), z[:2])), numpy(loss(whole, z[:2]))
        )


@every_class
def test_gradients_at_the_ends(loss_class):
    """Wrong labels of any certainty pull, except where the paper's loss is flat."""
    sure = np.float32([[60.0], [1e4], [1e30], [3e38]])
    loss = loss_class(from_logits=True, reduction="sum")
    slope = gradient(lambda z: loss(np.ones((4, 1)), z), -sure)
    np.testing.assert_allclose(slope, -1, rtol=1e-5)
    plain = losses.AsymmetricMultiLabel(0.0, 0.0, 0.0, from_logits=True)
    slope = gradient(lambda z: plain(np.zeros((4, 1)), z), sure)
    np.testing.assert_allclose(slope, 1 / 4, rtol=1e-5)
    p = np.float32([[0.0], [1e-12]])
    loss = loss_class(reduction="sum")
    assert (gradient(lambda p: loss(np.ones((2, 1)), p), p) < -1e6).all()


def test_a_compiled_program_takes_bad_targets_for_missing():
    bad = np.float32([[np.nan, 1], [-1, 1], [-7, 1], [-np.inf, 1], [2, 0.5], [0, 1]])
    same = np.float32([[-1, 1], [-1, 1], [-1, 1], [-1, 1], [1, 0.5], [0, 1]])
    z = np.random.default_rng(0).normal(0, 1, same.shape).astype("float32")
    each = [one(from_logits=True, reduction=None) for one in CLASSES]
    with hidden_values():  # PyTorch, which compiles nothing, sees them
        received = with_unknown_batch(
            lambda y, z: ops.stack([loss(y, z) for loss in each]),
            *(bad, z),
            autograph=False,
        )
    wanted = [numpy(loss(same, z)) for loss in each]
    np.testing.assert_allclose(received, wanted, rtol=1e-5, atol=1e-7)


def test_variables_change_a_compiled_program():
    correction = keras.Variable(0.0, trainable=False)
    loss = losses.SelfPacedCorrection(correction=correction, from_logits=True)
    margin = keras.Variable(0.0, trainable=False)
    shifted = losses.AsymmetricMultiLabel(margin=margin, from_logits=True)
    function = backend.compiled(
        lambda z, c, m: (
            losses.self_paced_correction([[0.0]], z, correction=c, from_logits=True),
            losses.asymmetric_multi_label([[0.0]], z, margin=m, from_logits=True),
        )
    )
    z = ops.convert_to_tensor(np.float32([[1.0]]))
    for c, m in ((0.0, 0.0), (1.0, 0.05)):
        correction.assign(c)
        margin.assign(m)
        spared, low = function(z, *map(ops.convert_to_tensor, np.float32([c, m])))
        np.testing.assert_allclose(float(loss([[0.0]], z)), numpy(spared)[0], rtol=1e-6)
        np.testing.assert_allclose(float(shifted([[0.0]], z)), numpy(low)[0], rtol=1e-6)
    assert loss.get_config()["correction"] == 1.0
    slope = gradient(lambda z: shifted([[0.0]], z), np.float32([[2.0]]))
    margin.assign(0.0)  # log(0) is in neither branch
    assert np.isfinite(
        gradient(lambda z: shifted([[0.0]], z), np.float32([[2.0]]))
    ).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"aggregate": "max"}, ValueError, "`aggregate` must be one of 'mean', 'sum'"),
        ({"aggregate": None}, ValueError, "`aggregate` must be one of"),
        ({"class_weights": 2.0}, TypeError, "`class_weights` must be a list of number"),
        ({"class_weights": ["a"]}, TypeError, "`class_weights` must be a list"),
        ({"class_weights": [[1.0]]}, TypeError, "`class_weights` must be a list"),
        ({"class_weights": []}, ValueError, r"`class_weights` must be finite.*=\[\]"),
        ({"class_weights": [1, -1]}, ValueError, r"finite numbers >= 0.*=\[1.0, -1.0"),
        ({"class_weights": [math.nan]}, ValueError, "finite numbers >= 0"),
    ],
)
def test_refused(given, error, message):
    for loss_class in CLASSES:
        with pytest.raises(error, match=f"^{loss_class.__name__}: .*{message}"):
            loss_class(**given)
        name = loss_class.function.__name__
        with pytest.raises(error, match=f"^{name}: .*{message}"):
            loss_class.function([[1.0]], [[0.5]], **given)


@pytest.mark.parametrize(
    ("y_true", "message"),
    [
        ([[1.0, 0.5, 2.0]], r"`y_true` must be in \[0, 1\], or -1 .*y_true=\[2.0\]"),
        ([[1.0, -0.4, 0.0]], r"or -1 for a missing label.*-0.4"),
        ([[math.nan, 0.0, 0.0]], r"or -1 for a missing label.*nan"),
        ([1], r"`y_true` must be of the shape of `y_pred`, \(1, 3\).*one_hot"),
        ([[1.0, 0.0]], r"`y_true` must be of the shape of `y_pred`, \(1, 3\)"),
    ],
)
def test_targets_that_are_none(y_true, message):
    for loss_class in CLASSES:
        with pytest.raises(ValueError, match=message):
            loss_class()(y_true, np.full((1, 3), 0.5, "float32"))
    with pytest.raises(ValueError, match="`class_weights` must be 3 numbers"):
        losses.Hill(class_weights=[1.0, 2.0])([[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.5]])


def test_a_bad_target_may_be_left_out_by_its_weight():
    loss = losses.Hill(reduction=None)
    received = loss([[7.0], [1.0]], [[0.5], [0.5]], sample_weight=[0.0, 1.0])
    assert numpy(received)[0] == 0
    with pytest.raises(ValueError, match="or -1 for a missing label"):
        loss([[7.0], [1.0]], [[0.5], [0.5]], sample_weight=[1.0, 1.0])


@every_class
def test_fuzz(loss_class):
    """Finite value and gradient for wild predictions and any parameters."""
    limits = {name: parameter_values(x) for name, x in loss_class.limits.items()}

    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None)
    @hypothesis.given(
        arguments=st.fixed_dictionaries(limits),
        seed=st.integers(0, 2**32 - 1),
        from_logits=st.booleans(),
    )
    def every_case(arguments, seed, from_logits):
        random = np.random.default_rng(seed)
        shape = (4, 3)
        y_pred = random.normal(0, 1, shape) * 10.0 ** random.uniform(-38, 38, shape)
        y_pred = np.clip(y_pred, -3e38, 3e38).astype("float32")
        if not from_logits:
            powers = 10.0 ** random.uniform(-45, 0, shape)
            y_pred = np.where(random.random(shape) < 0.5, powers, 1 - powers)
            y_pred = y_pred.astype("float32")
        y_true = random.choice([-1, 0, 1, 0.3], shape).astype("float32")
        loss = loss_class(**arguments, from_logits=from_logits, reduction=None)
        function = backend.with_gradient(lambda y_pred: loss(y_true, y_pred))
        value, (slope,) = function(ops.convert_to_tensor(y_pred))
        assert np.isfinite(numpy(value)).all()
        assert np.isfinite(numpy(slope)).all()
        assert (numpy(value) >= -1e-6).all()
        assert not numpy(slope)[y_true < 0].any()

    every_case()
