"""Checks of the values: shapes, reductions, weights, label formats, dtypes."""

import dataclasses
import random

import keras
import numpy as np
from keras import ops

from tfrobustloss._core import backend
from tfrobustloss.testing.harness import (
    activate,
    both_kinds,
    examples,
    expect,
    expect_close,
    expect_finite,
    from_logits,
    labels,
    num_classes,
    one_hot,
    per_example,
    predictions,
    promise,
    reduced,
    takes,
    to_numpy,
    with_options,
)
from tfrobustloss.testing.variants import Variants, extremes


@promise
def check_per_sample(loss, traits):
    """`reduction=None` gives one finite value per example, for rank 2, 3 and 4."""
    ids, logits = examples(traits)
    flat = per_example(loss, labels(traits, ids), predictions(loss, logits))
    for shape in ((6,), (3, 2), (1, 3, 2)):
        y_true = labels(traits, ids.reshape(shape))
        y_pred = predictions(loss, logits).reshape(*shape, -1)
        values = per_example(loss, y_true, y_pred)
        expect_finite(f"predictions of shape {y_pred.shape}", values)
        expect_close(
            f"predictions of shape {y_pred.shape}", values, flat.reshape(shape)
        )


@promise
def check_reductions(loss, traits):
    """Every reduction is the sum, mean or list of the values per example."""
    ids, logits = examples(traits, (3, 2))  # two axes to take the mean over
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    values = per_example(loss, y_true, y_pred)
    for reduction, expected in (
        ("none", values),
        ("sum", values.sum()),
        ("mean", values.mean()),
        ("sum_over_batch_size", values.mean()),
        ("mean_with_sample_weight", values.mean()),
    ):
        received = reduced(loss, reduction)(y_true, y_pred)
        expect_close(f"reduction={reduction!r}", received, expected)


@promise
def check_sample_weight(loss, traits):
    """Weight k counts like k copies of an example, and weight 0 removes it."""
    ids, logits = examples(traits)
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    weights = np.array([0, 1, 2, 3, 1, 0])
    values = per_example(loss, y_true, y_pred)
    copies = np.repeat(values, weights)
    total = copies.sum()
    given = weights.astype("float32")
    for reduction, expected in (
        (None, values * weights),
        ("sum", total),
        ("sum_over_batch_size", total / len(values)),
        ("mean_with_sample_weight", copies.mean()),
    ):
        received = reduced(loss, reduction)(y_true, y_pred, given)
        expect_close(f"reduction={reduction!r}, weights {weights}", received, expected)
    received = reduced(loss, "sum")(y_true, y_pred, given[:, None])
    expect_close("weights of shape (6, 1)", received, total)
    y_true = labels(traits, ids.reshape(3, 2))
    y_pred = y_pred.reshape(3, 2, -1)
    received = reduced(loss, "sum")(y_true, y_pred, given.reshape(3, 2))
    expect_close("weights of shape (3, 2)", received, total)


@promise
def check_masks(loss, traits):
    """An example masked by a Keras layer counts neither in the sum nor in the mean."""
    ids, logits = examples(traits, (3, 2))
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    kept = np.array([[True, False], [True, True], [False, True]])
    values = per_example(loss, y_true, y_pred)
    masking = keras.layers.Lambda(lambda x: x, mask=ops.convert_to_tensor(kept))
    weights = np.array([[1, 1], [2, 3], [1, 0]], "float32")
    for reduction, count in (("sum", 1), ("sum_over_batch_size", 4), ("mean", 4)):
        for given in (None, weights):
            y_masked = masking(y_pred)  # the layer hangs its mask on its output
            received = reduced(loss, reduction)(y_true, y_masked, given)
            scale = 1 if given is None else given
            expected = (values * scale)[kept].sum() / count
            expect_close(
                f"reduction={reduction!r}, weights {given}", received, expected
            )


@promise
def check_ignore_class(loss, traits):
    """Examples of `ignore_class` have no value, no gradient and no part in the mean."""
    if not takes(loss, "ignore_class"):
        return "has no ignore_class"
    classes = num_classes(traits)
    ids, logits = examples(traits)
    y_pred = predictions(loss, logits)
    values = per_example(loss, labels(traits, ids), y_pred)
    for class_id in (int(ids[0]), -1, 255):
        if class_id < 0 or class_id >= classes:
            ignored, marked = _EVERY_THIRD, np.where(_EVERY_THIRD, class_id, ids)
        else:
            ignored, marked = ids == class_id, ids
        ignoring = with_options(loss, ignore_class=class_id)
        # ids that are no class are taken out as such in every format, before a loss
        # sees them: one format shows that it asks for it
        formats = traits.label_formats[: None if class_id == ids[0] else 1]
        for label_format in formats:
            if label_format == "rows":  # one-hot encoding makes zeros of other ids
                hot = np.arange(classes) == marked[:, None]
                y_true = hot.astype("float32")
            else:
                y_true = labels(traits, marked.astype("int32"), label_format)
            where = f"ignore_class={class_id}, labels as {label_format}"
            _check_ignored(where, ignoring, y_true, y_pred, values, ignored)
    return None


_EVERY_THIRD = np.array([True, False, False, True, False, False])


def _check_ignored(where, loss, y_true, y_pred, values, ignored):
    expected = np.where(ignored, 0, values)
    received, (gradient,) = backend.value_and_gradient(
        lambda y_pred: reduced(loss, None)(y_true, y_pred), y_pred
    )
    expect_close(f"{where}, values", received, expected)
    expect_close(f"{where}, gradient", gradient[ignored], 0 * gradient[ignored])
    mean = reduced(loss, "sum_over_batch_size")(y_true, y_pred)
    expect_close(f"{where}, mean", mean, values[~ignored].mean())


@promise
def check_sparse(loss, traits):
    """Class ids, a column of class ids and one-hot rows have the same value."""
    first, *others = traits.label_formats
    if not others:
        return f"takes labels as {first} only"
    ids, logits = examples(traits, (2, 3))
    for kind in both_kinds(loss):
        y_pred = predictions(kind, logits)
        expected = per_example(kind, labels(traits, ids, first), y_pred)
        for other in others:
            received = per_example(kind, labels(traits, ids, other), y_pred)
            expect_close(f"labels as {other} against {first}", received, expected)
    for dtype in ("int64", "uint8", "float32"):
        if "ids" in traits.label_formats:
            received = per_example(kind, ids.astype(dtype), y_pred)
            expect_close(f"ids of type {dtype}", received, expected)
    return None


@promise
def check_logits(loss, traits):
    """Logits and the probabilities of those logits have one value and one gradient."""
    if not takes(loss, "from_logits"):
        return "has no from_logits"
    ids, logits = examples(traits, spread=0.7)
    on_p, on_z = (reduced(kind, None) for kind in both_kinds(loss))
    y_true = labels(traits, ids)
    expected, (slope,) = backend.value_and_gradient(
        lambda z: on_p(y_true, activate(on_p, z)), logits
    )
    received, (gradient,) = backend.value_and_gradient(
        lambda z: on_z(y_true, z), logits
    )
    expect_close("value on logits", received, expected, 1e-4, 1e-5)
    expect_close("gradient on logits", gradient, slope, 1e-3, 1e-5)
    return None


@promise
def check_one_unit(loss, traits):
    """Predictions of one unit have the value and the gradient of two classes."""
    if not getattr(loss, "one_unit", False):
        return "takes 2 classes or more"
    if num_classes(traits) != 2 and traits.num_classes is not None:
        return f"is tied to {traits.num_classes} classes"
    ids, logits = examples(dataclasses.replace(traits, num_classes=2))
    ids, unit = np.tile(ids, 2), logits[:, 1:]
    ordinary = slice(len(logits))
    share = np.linspace(0, 1, len(ids)).astype("float32")
    for kind in both_kinds(loss):
        if from_logits(kind):
            given = np.concatenate([unit, [[1e2], [1e4], [-1e2], [-1e4], [0], [0]]])
        else:
            given = 1 / (1 + np.exp(-unit))
            given = np.concatenate([given, [[0], [0], [1], [1], [1e-12], [0.5]]])
        given = given.astype("float32")
        for name, y_true, rows in (
            ("ids", ids, one_hot(ids, 2)),
            ("soft labels", share, np.stack([1 - share, share], axis=-1)),
        ):
            where = f"{'logits' if from_logits(kind) else 'probabilities'}, {name}"
            _check_one_unit(where, reduced(kind, None), y_true, rows, given, ordinary)
    return None


def _check_one_unit(where, loss, y_true, rows, given, ordinary):
    def of_two(unit):
        if from_logits(loss):
            pair = [ops.log_sigmoid(-unit), ops.log_sigmoid(unit)]
        else:
            pair = [1 - unit, unit]
        return loss(rows, ops.concatenate(pair, axis=-1))

    value, (slope,) = backend.value_and_gradient(lambda u: loss(y_true, u), given)
    expected, (two,) = backend.value_and_gradient(of_two, given)
    value, expected = to_numpy(value), to_numpy(expected)
    expect_finite(f"value of one unit, {where}", value)
    expect_finite(f"gradient of one unit, {where}", slope)
    if value.ndim:  # of examples, not of the batch
        value, expected = value[ordinary], expected[ordinary]
    expect_close(f"value of one unit, {where}", value, expected, 1e-5, 2e-6)
    slopes = to_numpy(slope)[ordinary], to_numpy(two)[ordinary]
    expect_close(f"gradient of one unit, {where}", *slopes, 1e-5, 2e-6)


@promise
def check_permutation(loss, traits):
    """Renaming the classes changes nothing."""
    ids, logits = examples(traits)
    order = np.roll(np.arange(num_classes(traits)), 2)
    renamed = loss
    if traits.relabelled is not None:
        renamed = traits.relabelled(loss, order)
    expected = per_example(loss, labels(traits, ids), predictions(loss, logits))
    new_ids = np.argsort(order)[ids].astype("int32")
    y_pred = predictions(loss, logits)[:, order]
    received = per_example(renamed, labels(traits, new_ids), y_pred)
    expect_close(f"classes in order {order}", received, expected, 1e-5, 2e-6)


@promise
def check_batch_order(loss, traits):
    """The value of an example does not depend on the others of its batch."""
    ids, logits = examples(traits)
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    values = per_example(loss, y_true, y_pred)
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = per_example(loss, y_true[order], y_pred[order])
    expect_close(f"examples in order {order}", shuffled, values[order])
    part = per_example(loss, y_true[:2], y_pred[:2])
    expect_close("the first 2 of 6 examples alone", part, values[:2])


@promise
def check_dtypes(loss, traits):
    """The result has the loss' dtype, is near that of float32, finite at the edges."""
    if not takes(loss, "dtype"):
        return "has no dtype"
    ids, logits = examples(traits)
    y_true = labels(traits, ids)
    single = with_options(loss, dtype="float32")
    y_pred = predictions(single, logits)
    with backend.double_precision():
        for dtype, eps in (("float16", 1e-3), ("bfloat16", 8e-3), ("float64", 1e-6)):
            typed = reduced(with_options(loss, dtype=dtype), None)
            given = ops.cast(ops.convert_to_tensor(y_pred), dtype)
            received = typed(y_true, given)
            result = keras.backend.standardize_dtype(received.dtype)
            expect(result == dtype, f"{result} from a loss of dtype {dtype}")
            expect_finite(f"dtype {dtype}", received)
            rounded = to_numpy(given).astype("float32")
            expected = per_example(single, y_true, rounded)
            slack = eps if traits.wide else 20 * eps
            expect_close(f"dtype {dtype}", received, expected, slack, slack)
    if "ids" in traits.label_formats and traits.num_classes is None:
        _check_many_ids(loss, traits)
    _check_half_edges(loss, traits)
    return None


def _check_half_edges(loss, traits):
    """Value and gradient in both half types are finite at the edges."""
    # one label format: labels are never in the dtype of the predictions
    one_format = dataclasses.replace(traits, label_formats=traits.label_formats[:1])
    for dtype in ("float16", "bfloat16"):
        variants = Variants(with_options(loss, dtype=dtype), one_format)
        arguments = variants.arguments(*extremes(traits), dtype)
        run = variants.values_and_gradients
        results = {"eager": run(*arguments)}
        if dtype == "float16":  # the smaller range; gradients are clipped to it
            results["compiled"] = backend.compiled(run)(*arguments)
        for how, (values, gradients) in results.items():
            for i, name in enumerate(variants.names()):
                where = f"at the edges, {how}, dtype {dtype}, {name}"
                expect_finite(f"value {where}", values[i])
                expect_finite(f"gradient {where}", gradients[i])


def _check_many_ids(loss, traits):
    """Half types cannot tell 257 from 256, so ids must not be put into them."""
    ids = np.arange(250, 300).astype("int32")
    logits = np.random.default_rng(0).normal(0, 1, (50, 300)).astype("float32")
    rounding = {"float16": 1e-3, "bfloat16": 8e-3}
    single = with_options(loss, dtype="float32")
    y_pred = predictions(single, logits)
    expected = per_example(single, ids, y_pred)
    for dtype, eps in rounding.items():
        slack = eps if traits.wide else 20 * eps
        typed = with_options(loss, dtype=dtype)
        received = per_example(typed, ids, y_pred)
        expect_close(f"ids up to 299, dtype {dtype}", received, expected, slack, slack)


@promise
def check_pure(loss, traits):
    """Two calls agree exactly; arguments, config and random state stay untouched."""
    ids, logits = examples(traits)
    y_true, y_pred = labels(traits, ids), predictions(loss, logits)
    weights = np.linspace(0, 1, 6, dtype="float32")
    given = [y_true, y_pred.copy(), weights]
    before = [np.array(x) for x in given]
    state = np.random.get_state()[1].copy(), random.getstate()
    config = loss.get_config()
    lone = reduced(loss, None)
    first = to_numpy(lone(*given))
    second = to_numpy(lone(*given))
    same_numpy = np.array_equal(np.random.get_state()[1], state[0])
    expect(same_numpy, "numpy's random state changed")
    expect(random.getstate() == state[1], "Python's random state changed")
    for name, x, old in zip(
        ("y_true", "y_pred", "weights"), given, before, strict=True
    ):
        expect(np.array_equal(x, old), f"{name} changed in place")
    expect(loss.get_config() == config, "the config changed")
    expect_close("second call", second, first, 0, 0)
