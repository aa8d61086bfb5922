"""`MultiLabel`: the binary form of a classification loss, for each class alone."""

import keras
import numpy as np
import pytest
from hypothesis import given, reject, seed, settings
from hypothesis import strategies as st
from keras import ops

from tests.derivatives import gradient
from tests.losses import fuzz
from tests.losses.test_fuzz import EXAMPLES, SEED
from tests.losses.values import numpy
from tfrobustloss import losses
from tfrobustloss._core import backend


# the sheet, field.md 1a: GCE of q = .7 at p = .7, target 1 and 0; the others by hand
@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (losses.GeneralizedCrossEntropy(q=0.7), [0.315634, 0.813555]),
        (losses.CrossEntropy(), [0.356675, 1.203973]),  # -log .7, -log .3
        (losses.MeanAbsoluteError(), [0.6, 1.4]),  # 2 (1 - .7), 2 (1 - .3)
        # .1 CE + 9.210340 (1 - p): the reverse has A = log(1e-4)
        (losses.SymmetricCrossEntropy(0.1, 1.0), [2.798770, 6.567635]),
    ],
)
def test_values(inner, expected):
    targets, p = [[1.0], [0.0]], np.float32([[0.7], [0.7]])
    for loss in (
        losses.MultiLabel(inner, reduction=None),
        lambda y_true, y_pred: losses.multi_label(y_true, y_pred, inner),
    ):
        np.testing.assert_allclose(numpy(loss(targets, p)), expected, rtol=2e-6)


def batch():
    random = np.random.default_rng(0)
    y_true = random.integers(-1, 2, (6, 4)).astype("float32")
    y_true[0] = [0.3, 1, 0, 0.9]
    y_true[3] = -1  # nothing is known of it
    return y_true, random.normal(0, 2, (6, 4)).astype("float32")


def test_cross_entropy_is_keras_binary_cross_entropy():
    y_true, z = np.maximum(batch()[0], 0), batch()[1]
    for from_logits in (True, False):
        y_pred = z if from_logits else 1 / (1 + np.exp(-z))
        built_in = keras.losses.BinaryCrossentropy(from_logits=from_logits)
        loss = losses.MultiLabel(losses.CrossEntropy(from_logits=from_logits))
        assert loss.from_logits == from_logits
        np.testing.assert_allclose(
            float(loss(y_true, y_pred)), float(built_in(y_true, y_pred)), rtol=1e-5
        )


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_two_classes_each_missing_labels_and_weights(aggregate):
    y_true, z = batch()
    known, weights = y_true >= 0, np.float32([0.5, 0.0, 2.0, 1.0])
    share = np.maximum(y_true, 0)
    rows = np.stack([1 - share, share], -1)
    inner = losses.GeneralizedCrossEntropy(0.4, from_logits=True, reduction=None)
    pairs = np.stack([np.zeros_like(z), z], -1)
    each = numpy(inner(rows, pairs)) * weights * known
    wanted = each.sum(-1)
    if aggregate == "mean":
        wanted /= np.maximum(known.sum(-1), 1)
    loss = losses.MultiLabel(inner, aggregate, weights, reduction=None)
    np.testing.assert_allclose(numpy(loss(y_true, z)), wanted, rtol=1e-5, atol=1e-7)
    mean = losses.MultiLabel(inner, aggregate, weights)(y_true, z)
    counted = wanted[known.any(-1)]
    assert len(counted) < 6
    np.testing.assert_allclose(float(mean), counted.mean(), rtol=1e-5)
    slope = gradient(lambda z: loss(y_true, z), z)
    assert not slope[~known].any()
    assert slope[known & (weights > 0)].all()
    maps = loss(y_true.reshape(2, 3, 4), z.reshape(2, 3, 4))
    np.testing.assert_allclose(numpy(maps), wanted.reshape(2, 3), rtol=1e-5, atol=1e-7)


def test_a_variable_of_the_inner_loss_changes_a_compiled_model():
    q = keras.Variable(0.0, trainable=False)
    loss = losses.MultiLabel(losses.GeneralizedCrossEntropy(q, from_logits=True))
    y_true, z = batch()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    model.compile("sgd", loss)
    if keras.backend.backend() == "jax":
        model.q = q
    for value in (0.0, 0.9):
        q.assign(value)
        inner = losses.GeneralizedCrossEntropy(value, from_logits=True)
        wanted = float(losses.MultiLabel(inner)(y_true, z))
        received = model.evaluate(z, y_true, verbose=0)
        np.testing.assert_allclose(received, wanted, rtol=1e-5)
    assert loss.get_config()["loss"]["config"]["q"] == pytest.approx(0.9)


def test_training_learns_labels_from_those_that_are_known():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 5)).astype("float32")
    clean = (x @ random.normal(size=(5, 3)) > 0).astype("float32")
    y = np.where(random.random(clean.shape) < 0.5, -1, clean)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    loss = losses.MultiLabel(losses.SymmetricCrossEntropy(from_logits=True))
    model.compile(keras.optimizers.Adam(0.1), loss, run_eagerly=True)
    model.fit(x, y, epochs=30, batch_size=200, verbose=0)
    metric = keras.metrics.AUC(curve="PR", multi_label=True, from_logits=True)
    metric.update_state(clean, model(x))
    assert float(metric.result()) > 0.95


@pytest.mark.parametrize(
    ("inner", "error", "message"),
    [
        (
            keras.losses.BinaryCrossentropy(),
            TypeError,
            "`loss` must be a class",
        ),
        (losses.Hill(), TypeError, "`loss` must be a classification loss"),
        (losses.DeterminantMutualInformation(), TypeError, "`loss` must be a class"),
        (losses.CrossEntropy(ignore_class=-1), ValueError, "`loss` must have no"),
        ("cross_entropy", TypeError, "`loss` must be a classification loss"),
    ],
)
def test_refused(inner, error, message):
    with pytest.raises(error, match=f"^MultiLabel: {message}"):
        losses.MultiLabel(inner)
    with pytest.raises(error, match=f"^multi_label: {message}"):
        losses.multi_label([[1.0]], [[0.5]], inner)


def test_a_loss_that_takes_no_unit_is_refused():
    class ManyUnits(losses.CrossEntropy):
        one_unit = False

    with pytest.raises(ValueError, match="MultiLabel: `loss` must be .* one unit"):
        losses.MultiLabel(ManyUnits())


def around(row):
    """Whether a row's loss can be inside: one that takes one unit and no batch."""
    fits = getattr(row.loss_class, "one_unit", False) and row.loss_class.per_example
    return fits and row.traits.num_classes in (None, 2)


@pytest.mark.numerics
def test_fuzz():
    """Finite around every loss with any parameters; no gradient of missing labels."""
    if keras.backend.backend() == "jax" and EXAMPLES <= 10:
        pytest.skip("JAX compiles each operation for each shape: set FUZZ_EXAMPLES")
    inside = [row for rows in fuzz.by_class().values() for row in rows if around(row)]
    rows = {row.name: row for row in inside}

    @seed(SEED)
    @settings(max_examples=3 * EXAMPLES, deadline=None, database=None)
    @given(case=st.one_of([fuzz.cases(row) for row in inside]))
    def every_case(case):
        case = {**case, "ignore_class": None, "dtype": "float32"}
        random = np.random.default_rng(case["seed"])
        z = fuzz.logits_of({**case, "classes": 3}, random).astype("float32")
        with np.errstate(over="ignore"):
            y_pred = z if case["from_logits"] is not False else 1 / (1 + np.exp(-z))
        y_true = random.choice([-1, 0, 1, 0.3], z.shape).astype("float32")
        with fuzz._refusals():
            loss = losses.MultiLabel(fuzz._build(rows[case["row"]], case))
        if case["from_logits"] is None:
            y_pred = z if loss.from_logits else y_pred
        function = backend.with_gradient(lambda y: loss.call(y_true, y))
        try:
            with fuzz._refusals():
                value, (slope,) = function(ops.convert_to_tensor(y_pred))
        except fuzz.Refused:
            reject()
        assert np.isfinite(numpy(value)).all(), case
        assert np.isfinite(numpy(slope)).all(), case
        assert not numpy(slope)[y_true < 0].any(), case

    every_case()
