"""Checks of a loss as an object: config, files, copies, arguments."""

import copy
import json
import math
import pathlib
import pickle
import tempfile

import keras

from tfrobustloss.testing.harness import (
    examples,
    expect,
    expect_close,
    from_logits,
    labels,
    num_classes,
    per_example,
    predictions,
    promise,
    scalar_alternatives,
    takes,
    with_options,
)


@promise
def check_config(loss, traits):
    """The config survives JSON and builds the same loss with no custom_objects."""
    for changed in ({}, *_alterations(loss, traits)):
        original = with_options(loss, **changed) if changed else loss
        stored = json.dumps(keras.losses.serialize(original))
        rebuilt = keras.losses.deserialize(json.loads(stored))
        _expect_same(
            f"after JSON, with {changed or 'nothing'} changed", rebuilt, original
        )
        ids, logits = examples(traits)
        given = labels(traits, ids), predictions(original, logits)
        values = per_example(rebuilt, *given), per_example(original, *given)
        expect_close(f"value, with {changed or 'nothing'} changed", *values, 0, 0)


def _alterations(loss, traits):
    """Constructor arguments that a config may forget, each with another value."""
    yield from ({name: value} for name, value in scalar_alternatives(loss).items())
    options = {
        "from_logits": not from_logits(loss),
        "ignore_class": 255,
        "reduction": "sum",
        "name": "another_name",
    }
    if traits.keeps_dtype:
        options["dtype"] = "float16"
    yield from ({name: value} for name, value in options.items() if takes(loss, name))


def _expect_same(what, rebuilt, original):
    expect(
        type(rebuilt) is type(original),
        f"{what}: {type(rebuilt).__name__} instead of {type(original).__name__}",
    )
    for name in ("name", "reduction", "dtype"):
        received, expected = getattr(rebuilt, name), getattr(original, name)
        expect(
            received == expected, f"{what}: {name}={received!r} instead of {expected!r}"
        )
    received, expected = rebuilt.get_config(), original.get_config()
    expect(received == expected, f"{what}: config {received} instead of {expected}")


@promise
def check_save_load(loss, traits):
    """A `.keras` file of a compiled model brings the loss back, no custom_objects."""
    classes = num_classes(traits)
    layers = [keras.Input((classes,)), keras.layers.Activation("linear")]
    model = keras.Sequential(layers)
    model.compile(optimizer="sgd", loss=loss)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
    _expect_same("in the loaded model", loaded.loss, loss)
    ids, logits = examples(traits)
    given = labels(traits, ids), predictions(loss, logits)
    received, expected = per_example(loaded.loss, *given), per_example(loss, *given)
    expect_close("value in the loaded model", received, expected, 0, 0)


@promise
def check_pickle(loss, traits):
    """Pickling and deep copying give the same loss."""
    ids, logits = examples(traits)
    given = labels(traits, ids), predictions(loss, logits)
    expected = per_example(loss, *given)
    for what, rebuilt in (
        ("pickled", pickle.loads(pickle.dumps(loss))),
        ("copied", copy.deepcopy(loss)),
    ):
        _expect_same(what, rebuilt, loss)
        expect_close(f"{what}, value", per_example(rebuilt, *given), expected, 0, 0)


@promise
def check_limits(loss, traits):
    """A value past a declared bound raises, naming the parameter and the value."""
    limits = getattr(loss, "limits", {})
    if not limits and not traits.refused:
        return "declares no limits"
    for name, limit in limits.items():
        for value in _outside(limit):
            _expect_refused(loss, name, value, ValueError)
        for value in ("much", True, *([] if limit.optional else [None])):
            _expect_refused(loss, name, value, TypeError)
        for value in _ends(limit):
            with_options(loss, **{name: value})
    for name, value in traits.refused:
        _expect_refused(loss, name, value, (ValueError, TypeError), shown=False)
    return None


def _outside(limit):
    """Values just past each end of a range, and those in no range."""
    values = [math.nan, math.inf, -math.inf]
    values = [value for value in values if not limit.contains(value)]
    if math.isfinite(limit.low):
        values.append(limit.low if limit.open_low else limit.low - 1)
    if math.isfinite(limit.high):
        values.append(limit.high if limit.open_high else limit.high + 1)
    return values + [2.5] * limit.integer


def _ends(limit):
    """The ends that belong to a range."""
    ends = (limit.low, limit.open_low), (limit.high, limit.open_high)
    return [end for end, is_open in ends if math.isfinite(end) and not is_open]


def _expect_refused(loss, name, value, kinds, shown=True):
    call = f"{type(loss).__name__}({name}={value!r})"
    try:
        with_options(loss, **{name: value})
    except (TypeError, ValueError) as error:
        text = str(error)
        expect(isinstance(error, kinds), f"{call}: {type(error).__name__}: {text}")
        # or a place in it: `matrix[0, 1]`, `matrix.shape`
        named = any(f"`{name}{mark}" in text for mark in "`[.")
        expect(named, f"{call}: {text!r} without `{name}`")
        expected = f"{name}={value!r}" if shown else "Received"
        expect(expected in text, f"{call}: {text!r} without {expected!r}")
        return
    expect(False, f"{call}: no error")
