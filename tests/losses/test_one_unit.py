"""One unit for two classes: labels, values, training.

The battery's `check_one_unit` holds of every loss that one unit has the value and
gradient of two classes, for ids and soft labels, logits and probabilities.
"""

import inspect
import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.derivatives import gradient, needs_float64
from tests.losses.rows import ROWS
from tests.losses.test_labels import MAKERS, eager_backend, programs
from tests.losses.values import numpy
from tfrobustloss import layers, losses, metrics, testing, training
from tfrobustloss._core.backend import (
    compiled,
    double_precision,
    set_keras_mask,
    value_and_gradient,
)
from tfrobustloss.losses.labels import Labels, Prediction
from tfrobustloss.testing import LossTraits

IDS = np.array([0, 1, 1, 0, 1, 0])
SHARES = np.array([0.0, 1.0, 0.25, 0.5, 0.9, 0.125])
Z = np.array([[2.0], [-1.0], [0.0], [0.5], [-3.0], [7.0]], "float32")
MATRIX = [[0.8, 0.2], [0.3, 0.7]]


def rows_of(share):
    return np.stack([1 - share, share], axis=-1).astype("float32")


def two_logits(z):
    """The logits of two classes that a unit's stands for."""
    z = np.asarray(z, "float64")
    pair = np.concatenate([-np.logaddexp(0, z), -np.logaddexp(0, -z)], axis=-1)
    return pair.astype("float32")


# --- labels


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2)])
def test_every_format_is_the_same_labels(shape):
    ids = IDS.reshape(shape)
    unit = np.zeros((*shape, 1), "float32")
    formats = {
        "ids": ids,
        "uint8": ids.astype("uint8"),
        "bool": ids.astype(bool),
        "float": ids.astype("float32"),
        "float16": ids.astype("float16"),
        "list": ids.tolist(),
        "list of floats": ids.astype(float).tolist(),
        "tensor": ops.convert_to_tensor(ids),
        "tensor of floats": ops.cast(ids, "float32"),
        "one-hot": rows_of(ids),
        "int one-hot": rows_of(ids).astype(int),
    }
    columns = {
        f"column of {name}": np.asarray(formats[name])[..., None]
        for name in ("ids", "bool", "float", "list")
    }
    values = np.random.default_rng(0).normal(size=(*shape, 2)).astype("float32")
    picked = np.take_along_axis(values, ids[..., None], -1)[..., 0]
    for name, y_true in {**formats, **columns}.items():
        labels = Labels(y_true, unit)
        dense = numpy(labels.dense("float32"))
        np.testing.assert_array_equal(dense, rows_of(ids), name)
        found = numpy(labels.pick(ops.convert_to_tensor(values)))
        np.testing.assert_array_equal(found, picked, name)
        floats = any(kind in name for kind in ("float", "one-hot"))
        assert (labels.ids is None) == floats, name
        assert labels.num_classes == 2


def test_floats_are_the_probability_of_class_1():
    unit = np.zeros((6, 1), "float32")
    for y_true in (SHARES, SHARES[:, None], SHARES.tolist(), rows_of(SHARES)):
        labels = Labels(y_true, unit)
        np.testing.assert_allclose(numpy(labels.rows), rows_of(SHARES), atol=1e-7)
    above = Labels(np.float32([1.0000001]), unit[:1])  # by rounding
    np.testing.assert_allclose(numpy(above.rows), [[0, 1]], atol=2e-7)


@pytest.mark.parametrize("bad", [-1.0, 1.5, 255.0, math.nan, math.inf])
def test_visible_floats_that_are_no_probability(bad):
    loss = losses.GeneralizedCrossEntropy()
    message = r"`y_true` must hold class ids 0 and 1, or prob.*`ignore_class`"
    for y_true in ([bad, 1.0], [[bad], [1.0]]):
        with pytest.raises(ValueError, match=message):
            loss(y_true, [[0.5], [0.5]])


def test_visible_ids_of_signs():
    with pytest.raises(ValueError, match=r"class ids in 0\.\.1.*\[-1\]"):
        losses.CrossEntropy()([-1, 1], [[0.5], [0.5]])


@pytest.mark.parametrize("shape", [(5,), (6, 3), (6, 1, 1), (), (1,), (2, 6)])
def test_labels_of_another_shape(shape):
    with pytest.raises(ValueError, match="`y_true` must hold class ids.*to fit 2"):
        losses.CrossEntropy(from_logits=True)(np.zeros(shape), Z)


@pytest.mark.parametrize("ignored", [-1, 255, 0, 1])
def test_ignoring_is_removing(ignored):
    ids = IDS.copy()
    ids[[1, 4]] = ignored
    kept = ids != ignored
    formats = [ids, ids[:, None], ids.astype("float32"), ids[:, None].astype("float16")]
    if ignored in (0, 1):  # soft labels are of the likelier class
        formats.append(np.where(ids == 1, 0.75, 0.25))
    else:
        formats.append((ids[:, None] == [0, 1]) * 1.0)
    loss = losses.BiTemperedLogistic(from_logits=True, ignore_class=ignored)
    plain = losses.BiTemperedLogistic(from_logits=True)
    for y_true in formats:
        value, (slope,) = value_and_gradient(lambda z, y=y_true: loss(y, z), Z)
        left = np.asarray(y_true)[kept]
        expected, (other,) = value_and_gradient(lambda z: plain(left, z), Z[kept])  # noqa: B023
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert not slope[~kept].any()
        np.testing.assert_allclose(slope[kept], other, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(eager_backend, reason="PyTorch sees every label")
def test_hidden_labels_cost_what_visible_ones_do():
    """One program of every way to read labels; what is no label costs nothing."""
    made = [make(2, from_logits=True, reduction=None) for make in MAKERS.values()]
    made.append(losses.LogitClip(reduction=None))
    shares = SHARES.astype("float32")
    expected = [[numpy(loss(y, Z)) for loss in made] for y in (IDS, shares)]
    longer = ops.convert_to_tensor(np.concatenate([Z, Z[:3]]))
    ids = np.concatenate([IDS, [2, -1, 255]])
    bad = np.concatenate([shares, np.float32([np.nan, -0.5, 255])])

    def every(ids, bools, shares):
        each = [[loss(y, longer) for loss in made] for y in (ids, shares)]
        return ops.stack(each[0]), ops.stack(each[1]), made[0](bools, longer[:6])

    given = map(ops.convert_to_tensor, (ids, IDS.astype(bool), bad))
    *found, of_bools = map(numpy, compiled(every)(*given))
    for value, known in zip(found, expected, strict=True):
        np.testing.assert_allclose(value[:, :6], known, rtol=1e-5, atol=1e-6)
        assert not value[:, 6:].any()
    np.testing.assert_allclose(of_bools, expected[0][0], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(eager_backend, reason="PyTorch sees every label")
def test_a_hidden_probability_outside_is_not_ignored_but_counts_in_the_mean():
    loss = losses.CrossEntropy(from_logits=True, ignore_class=-1)
    y_true = np.float32([0, 1, -1, 2.5, 1, 0])
    own = numpy(losses.CrossEntropy(from_logits=True, reduction=None)(IDS, Z))
    for program in programs(loss):
        value = float(program(ops.convert_to_tensor(y_true), ops.convert_to_tensor(Z)))
        assert value == pytest.approx(own[[0, 1, 4, 5]].sum() / 5, rel=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends know every shape"
)
def test_a_last_axis_of_labels_that_is_not_known():
    import tensorflow as tf

    loss = losses.GeneralizedCrossEntropy(from_logits=True)
    specs = tf.TensorSpec((None, None)), tf.TensorSpec((None, 1))
    program = tf.function(loss, input_signature=specs)
    value = program(SHARES[:, None].astype("float32"), Z)
    np.testing.assert_allclose(value, loss(SHARES, Z), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="[Rr]eshape"):
        program(rows_of(SHARES), Z)


# --- predictions


@needs_float64
def test_a_logit_by_hand():
    """Every method against NumPy in float64, also where two classes have no digits."""
    z = np.array([[0.0], [-0.0], [1.5], [-1.5], [40.0], [-40.0], [1e4], [-1e4]])
    with double_precision():
        prediction = Prediction(ops.convert_to_tensor(z, "float64"), True)
        log_p = np.concatenate([-np.logaddexp(0, z), -np.logaddexp(0, -z)], -1)
        p = np.exp(log_p)
        expected = {
            "log": log_p,
            "logits": log_p,
            "probabilities": p,
            "entropy": -(p * log_p).sum(-1),
            "max_log": log_p.max(-1),
            "mean_log": log_p.mean(-1),
            "sum_of_squares": (p * p).sum(-1),
        }
        for name, value in expected.items():
            actual = numpy(getattr(prediction, name)())
            np.testing.assert_allclose(actual, value, rtol=1e-12, atol=1e-300)
        assert prediction.total() == 1
        assert (numpy(prediction.ranks()).argmax(-1) == (z[:, 0] > 0)).all()
        # d log(p) / dz, with a tie at 0: of class 0 minus p, of class 1 plus (1 - p)
        for i, sign in ((0, -1), (1, 1)):
            slope = gradient(lambda z, i=i: Prediction(z, True).log()[..., i], z)
            np.testing.assert_allclose(slope, sign * p[:, 1 - i : 2 - i], rtol=1e-12)


def test_logits_keep_the_digits_of_the_sigmoid():
    # expected: binary cross-entropy in float64
    z = np.array([[30.0], [-30.0], [80.0], [-80.0], [0.0]], "float32")
    wide = z.astype("float64")[:, 0]
    own = losses.CrossEntropy(from_logits=True, reduction=None)
    for y_true in ([1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0.25, 0.5, 1.0, 0.75, 0.0]):
        value, (slope,) = value_and_gradient(lambda z, y=y_true: own(y, z), z)
        y = np.float64(y_true)
        expected = y * np.logaddexp(0, -wide) + (1 - y) * np.logaddexp(0, wide)
        right, left = 1 / (1 + np.exp(-wide)), 1 / (1 + np.exp(wide))
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
        other = (1 - y) * right - y * left
        np.testing.assert_allclose(slope[:, 0], other, rtol=1e-6, atol=1e-30)


def test_predictions_may_be_a_list():
    loss = losses.CrossEntropy(reduction=None)
    value = numpy(loss([0, 1, 0.5], [[0.5], [0.25], [0.5]]))
    np.testing.assert_allclose(value, -np.log([0.5, 0.25, 0.5]), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_half_predictions(dtype, from_logits):
    edge = [[1e4], [-1e4], [0.0]] if from_logits else [[0.0], [1.0], [0.5]]
    unit = Z if from_logits else 1 / (1 + np.exp(-Z))
    for make in MAKERS.values():
        loss = make(2, from_logits=from_logits, reduction=None, dtype=dtype)
        half = ops.cast(np.concatenate([unit, edge]), dtype)
        y_true = np.concatenate([IDS, [0, 1, 1]])
        value, (slope,) = value_and_gradient(lambda u: loss(y_true, u), half)  # noqa: B023
        single = make(2, from_logits=from_logits, reduction=None)
        rounded = numpy(ops.cast(half, "float32"))
        expected = numpy(single(y_true, rounded))
        actual = numpy(ops.cast(value, "float32"))
        assert np.isfinite(actual).all()
        assert np.isfinite(numpy(ops.cast(slope, "float32"))).all()
        slack = 2**-8 if dtype == "bfloat16" else 2**-11
        np.testing.assert_allclose(actual, expected, rtol=1.01 * slack, atol=2e-6)


# --- every loss


TWO_CLASSES = [
    losses.ForwardCorrection(MATRIX),
    losses.BackwardCorrection(MATRIX),
    losses.Focal(gamma=1.5, alpha=[0.25, 2.0]),
    losses.TaylorLoss([0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0], 2.0, num_classes=2),
    losses.LogitBias(losses.GeneralizedCrossEntropy(from_logits=True), bias=1.0),
    losses.LogitClip(losses.Focal(alpha=[0.25, 2.0], from_logits=True), max_norm=0.5),
]


@pytest.mark.parametrize("loss", TWO_CLASSES, ids=lambda loss: loss.name)
def test_a_parameter_with_a_value_a_class_has_two(loss):
    assert testing.check_one_unit(loss, LossTraits(num_classes=2)) is None


def test_parameters_of_another_number_of_classes_are_refused():
    three = np.eye(3).tolist()
    taylor = losses.TaylorLoss([0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0], 1.0, 3)
    for loss in (
        losses.ForwardCorrection(three),
        losses.Focal(alpha=[1, 1, 1]),
        taylor,
    ):
        with pytest.raises(ValueError, match="2"):
            loss(IDS, 1 / (1 + np.exp(-Z)))


def test_every_loss_says_the_probability_of_class_1():
    z = ops.convert_to_tensor(Z)
    done = set()
    for row in ROWS:
        if row.traits.num_classes not in (None, 2):
            continue
        loss = row.build()
        p = numpy(loss.activation(z))
        pair = numpy(loss.activation(ops.convert_to_tensor(two_logits(Z))))
        np.testing.assert_allclose(p, pair[:, 1:], rtol=1e-5, atol=1e-6)
        assert p.shape == Z.shape
        done.add(row.loss_class)
    assert len(done) >= 40  # all but those of a matrix
    clip = losses.LogitClip(max_norm=0.5)  # by hand: (1, 0) / norm * .5
    a, b = np.logaddexp(0, 2.0), np.logaddexp(0, -2.0)
    shown = 1 / (1 + math.exp(-0.5 * (a - b) / math.hypot(a, b)))
    assert numpy(clip.activation(z))[0, 0] == pytest.approx(shown, rel=1e-6)


def _tempered_pair(z, t):
    """Tempered softmax of the logits 0 and z, by bisection in float64."""
    a = np.array([0.0, z])

    def total(level):
        base = np.maximum(1 + (1 - t) * (a - level), 0)
        with np.errstate(divide="ignore", over="ignore"):
            return base ** (1 / (1 - t))

    low, high = a.max(), a.max() + 1e4
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle).sum() > 1 else (low, middle)
    return total(high)


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.5, 4.0), (0.2, 0.7)])
def test_bi_tempered_is_the_authors_binary_form(t1, t2):
    """`bi_tempered_binary_logistic_loss` has logits (0, z) and labels (1 - y, y)."""
    loss = losses.BiTemperedLogistic(t1, t2, from_logits=True, reduction=None)
    for z in (-4.0, -0.3, 0.0, 2.0):
        p = _tempered_pair(z, t2)
        for y in (0.0, 1.0, 0.3):
            label = np.array([1 - y, y])
            some = label > 0
            log_label = np.where(
                some, (np.where(some, label, 1) ** (1 - t1) - 1) / (1 - t1), 0
            )
            gain = label * (log_label - (p ** (1 - t1) - 1) / (1 - t1))
            spread = (label ** (2 - t1) - p ** (2 - t1)) / (2 - t1)
            expected = (gain - spread).sum()
            actual = float(numpy(loss([y], np.float32([[z]])))[0])
            assert actual == pytest.approx(expected, rel=2e-5, abs=2e-6), (z, y)
        sigmoid = numpy(losses.tempered_softmax(np.float32([[z]]), t2))
        np.testing.assert_allclose(sigmoid, [[p[1]]], rtol=1e-5, atol=1e-6)


def test_published_check_values():
    # fact sheet, section 1a: binary GCE, q = .7, at p = .7: (1 - .7**.7) / .7 and
    # (1 - .3**.7) / .7
    value = losses.generalized_cross_entropy([1, 0], np.float32([[0.7], [0.7]]), q=0.7)
    np.testing.assert_allclose(numpy(value), [0.315634, 0.813555], atol=1e-6)
    # by hand: .1 * -log(.3) + 9.21034 * (1 - .3)
    value = losses.symmetric_cross_entropy([0], np.float32([[0.7]]))
    np.testing.assert_allclose(numpy(value), [0.120397 + 6.447238], atol=1e-5)


# --- masks, weights, maps


def _same(loss, y_true, rows, unit, weight=None, mask=None):
    def value(y, u):
        u = u + 0.0
        if mask is not None:
            set_keras_mask(u, ops.convert_to_tensor(mask))
        return loss(y, u, weight)

    def of_pair(u):
        pair = ops.concatenate([ops.log_sigmoid(-u), ops.log_sigmoid(u)], axis=-1)
        return value(rows, pair)

    actual, (slope,) = value_and_gradient(lambda u: value(y_true, u), unit)
    expected, (other,) = value_and_gradient(of_pair, unit)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", None])
def test_masks_and_weights_are_those_of_two_classes(reduction):
    made = [
        losses.CrossEntropy(from_logits=True, reduction=reduction),
        losses.LogitClip(reduction=reduction),
        losses.DeterminantMutualInformation(from_logits=True),
    ]
    flat = np.float32([0.5, 2, 0, 1, 3, 1])
    kept = np.array([True, False, True, True, False, True])
    ids, unit = IDS.reshape(1, 3, 2), Z.reshape(1, 3, 2, 1)
    maps = flat.reshape(1, 3, 2)
    for loss in made:
        for weight in (flat, flat[:, None]):
            for y_true in (IDS, IDS[:, None], IDS.astype("float32")):
                _same(loss, y_true, rows_of(IDS), Z, weight)
        _same(loss, IDS, rows_of(IDS), Z, mask=kept)
        for weight in (None, maps, maps[..., None]):
            for y_true in (ids, ids[..., None], ids[..., None].astype("float32")):
                _same(loss, y_true, rows_of(ids), unit, weight)
        _same(loss, ids, rows_of(ids), unit, maps, kept.reshape(1, 3, 2))


def test_excluded_labels_are_not_refused():
    kept = np.float32([1, 0, 1, 1, 0, 1])
    for wrong in (np.where(kept, IDS, -100), np.where(kept, SHARES, np.nan)):
        right = np.where(kept, wrong, 0).astype(wrong.dtype)
        for loss in (losses.CrossEntropy(from_logits=True), losses.LogitClip()):
            assert float(loss(wrong, Z, kept)) == float(loss(right, Z, kept))
            with pytest.raises(ValueError, match="`y_true` must hold class ids"):
                loss(wrong, Z, kept + 1)


# --- losses of one's own


def _own(y_true, y_pred, from_logits=False):
    p = ops.softmax(y_pred) if from_logits else y_pred
    return 1 - y_true.pick(p)


class Own(losses.FunctionLoss):
    """A user's loss that does without `decode`."""

    function = staticmethod(_own)

    def __init__(self, from_logits=False, **options):
        super().__init__(from_logits=from_logits, **options)


class OwnOfTwo(Own):
    """The same, which says so."""

    one_unit = False


def test_a_loss_without_decode_is_told():
    with pytest.raises(ValueError, match=r"values of shape \(6, 1\).*`decode` makes"):
        Own()(IDS, Z)
    message = r"OwnOfTwo: `y_pred\.shape` must be 2 or more classes.*\(6, 1\)"
    with pytest.raises(ValueError, match=message):
        OwnOfTwo()(IDS, Z)
    loss = OwnOfTwo()
    assert "2 classes or more" in testing.check_one_unit(loss)
    np.testing.assert_allclose(numpy(loss([1], [[0.25, 0.75]])), 0.25)


# --- Keras


def toy(count=64):
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (count, 3)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def unit_model(activation=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, activation=activation)]
    )


def test_fit_of_losses_functions_and_metrics():
    x, y = toy()
    p = unit_model("sigmoid")
    p.compile(
        "sgd",
        losses.generalized_cross_entropy,
        metrics=[losses.symmetric_cross_entropy, losses.Adma(), "accuracy"],
    )
    before = p.evaluate(x, y, verbose=0)
    outputs = numpy(p(x))
    loss = losses.GeneralizedCrossEntropy()
    others = losses.SymmetricCrossEntropy(), losses.Adma()
    expected = [float(each(y, outputs)) for each in (loss, *others)]
    expected.append(((outputs[:, 0] > 0.5) == y).mean())
    np.testing.assert_allclose(before, expected, rtol=1e-5)
    stop = training.StopOnNoisyValidation(smoothing=1)
    wave = training.LabelWave(x, window=1, patience=2)
    z = unit_model()
    noisy = metrics.NoisyAccuracy(threshold=0.0)
    z.compile(
        keras.optimizers.SGD(2.0),
        losses.BiTemperedLogistic(from_logits=True),
        metrics=[noisy],
    )
    history = z.fit(
        x,
        y[:, None].astype("float32"),
        epochs=4,
        validation_data=(x, y),
        callbacks=[stop, wave],
        verbose=0,
    ).history
    assert history["loss"][-1] < history["loss"][0]
    right = ((numpy(z(x))[:, 0] > 0) == y).mean()
    assert right > 0.9
    # a threshold of 0, since the loss is on logits, without a word
    np.testing.assert_allclose(
        history["val_noisy_accuracy"], history["val_estimated_accuracy"], atol=1e-6
    )


def test_a_tempered_head_of_one_unit():
    x, y = toy(8)
    keras.utils.set_random_seed(0)
    head = [keras.layers.Dense(1), layers.TemperedSoftmax(1.4)]
    model = keras.Sequential([keras.Input((3,)), *head])
    logits = model.layers[0](x)
    on_p = losses.BiTemperedLogistic(0.7, 1.4)
    on_z = losses.BiTemperedLogistic(0.7, 1.4, from_logits=True)
    assert model.output_shape == (None, 1)
    expected = float(on_z(y, numpy(logits)))
    assert float(on_p(y, numpy(model(x)))) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        numpy(model(x)), numpy(on_z.activation(logits)), atol=1e-7
    )


def test_functions_say_it():
    """The docstring of every function names the shape of one unit."""
    for name in losses.__all__:
        each = getattr(losses, name)
        if not inspect.isfunction(each) or name in ("decode",):
            continue
        if each.__module__.startswith("tfrobustloss.losses.other_tasks"):
            continue
        if "y_pred" in inspect.signature(each).parameters:
            assert "`(..., 1)` of one unit" in " ".join(each.__doc__.split()), name
