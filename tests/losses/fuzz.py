"""Random cases for a loss: wild logits, labels of every kind, parameters to the end.

A case is a small dict of plain JSON, so that one that fails can be written down and run
again: `python benchmarks/fuzz_losses.py --loss NAME --case 'JSON'`.
"""

import contextlib

import keras
import numpy as np
from hypothesis import strategies as st
from keras import ops

from tfrobustloss import _limits
from tfrobustloss._backend import double_precision, value_and_gradient

ROWS_A_CASE = 6
CLASSES = (2, 3, 4, 5, 10, 37, 100, 1000)
SCALES = ("1e-38", "1e-3", "1", "30", "1e4", "mixed", "ties", "equal", "dominant")
LABELS = ("ids", "column", "one-hot", "smoothed", "soft")
DTYPES = ("float16", "bfloat16", "float32", "float64")
ENDLESS = 100.0  # how far a parameter goes whose range has no end


def parameter_values(limit):
    """Strategy over a declared range, its ends likelier than the rest."""
    width = ENDLESS if np.isinf(limit.high) else limit.high - limit.low
    if np.isinf(limit.low):
        low, high = -ENDLESS, min(limit.high, ENDLESS)
    else:
        low, high = limit.low, limit.low + width
    inset = 1e-6 * (high - low)  # the nearest to an end that is not in the range
    low += inset if limit.open_low else 0
    high -= inset if limit.open_high else 0
    if limit.integer:
        return st.integers(int(np.ceil(low)), int(np.floor(min(high, 1000))))
    inside = st.floats(low, high, allow_nan=False)
    return st.sampled_from([float(low), float(high)]) | inside


def cases(row):
    """Strategy over the cases of a row of the battery."""
    limits = getattr(row.loss_class, "limits", {})
    free = {
        name: st.none() | parameter_values(limit)
        for name, limit in limits.items()
        if not limit.optional
    }
    classes = row.traits.num_classes
    takes_logits = "from_logits" in row.build().get_config()
    formats = [
        kind
        for kind in LABELS
        if (kind if kind in ("ids", "column") else "rows") in row.traits.label_formats
    ]
    return st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**32 - 1),
            "classes": st.just(classes) if classes else st.sampled_from(CLASSES),
            "scale": st.sampled_from(SCALES),
            "labels": st.sampled_from(formats),
            "dtype": st.sampled_from(DTYPES),
            "from_logits": st.booleans() if takes_logits else st.none(),
            "parameters": st.fixed_dictionaries(free),
        }
    )


def logits_of(case, random):
    """Float64 logits of shape `(rows, classes)` that fit into the case's dtype."""
    shape = (ROWS_A_CASE, case["classes"])
    scale = case["scale"]
    normal = random.normal(size=shape)
    if scale == "mixed":
        return normal * 10.0 ** random.uniform(-38, 4, shape)
    if scale == "ties":
        return random.integers(-1, 2, shape) * 10.0 ** random.uniform(-3, 4)
    if scale == "equal":
        return np.full(shape, random.normal() * 10.0 ** random.uniform(-38, 4))
    if scale == "dominant":
        winner = np.eye(shape[1])[random.integers(0, shape[1], shape[0])]
        return normal + winner * 10.0 ** random.uniform(0, 4)
    return np.clip(normal * float(scale), -1e4, 1e4)


def labels_of(case, random):
    """Labels in the format of the case."""
    classes = case["classes"]
    ids = random.integers(0, classes, ROWS_A_CASE)
    if case["labels"] == "ids":
        return ids.astype("int32")
    if case["labels"] == "column":
        return ids.astype("int32")[:, None]
    rows = np.eye(classes)[ids]
    if case["labels"] == "smoothed":
        rows = 0.9 * rows + 0.1 / classes
    if case["labels"] == "soft":
        rows = random.dirichlet([0.3] * classes, ROWS_A_CASE)
    return rows.astype("float32")


def build(row, case):
    """The loss of a case, or None where its parameters do not go together."""
    given = {k: v for k, v in case["parameters"].items() if v is not None}
    options = {**row.arguments, **given, "reduction": None}
    if case["from_logits"] is not None:
        options["from_logits"] = case["from_logits"]
    try:
        return row.loss_class(**options)
    except ValueError as error:
        if _names_one(error, given):  # in its range, but not with the others
            return None
        raise


def run(row, case):
    """Raises an AssertionError if the loss of a row breaks a promise in a case."""
    wide = case["dtype"] == "float64"
    with double_precision() if wide else contextlib.nullcontext():
        _run(row, case)


def _run(row, case):
    loss = build(row, case)
    if loss is None:
        return
    random = np.random.default_rng(case["seed"])
    logits, labels = logits_of(case, random), labels_of(case, random)
    scores = logits if case["from_logits"] else _softmax(logits)
    order = random.permutation(case["classes"])
    batch = _tensor(scores, case)
    try:
        value, (gradient,) = value_and_gradient(lambda y: loss(labels, y), batch)
    except ValueError as error:
        drawn = [name for name, v in case["parameters"].items() if v is not None]
        if _names_one(error, drawn):  # in its range, but not for so many classes
            return
        raise
    value, gradient = _to_numpy(value), _to_numpy(gradient)
    assert np.isfinite(value).all(), f"value {value}"
    assert np.isfinite(gradient).all(), f"gradient {gradient[~np.isfinite(gradient)]}"
    if not any(v is not None for v in case["parameters"].values()):
        _check_bounds(row, case, value)
    unpromised = {*row.gaps, *row.traits.skips}
    if "check_per_sample" in unpromised:  # one value a batch
        return
    # a row's value has nothing to do with its neighbours, nor with the classes' order
    some = np.arange(ROWS_A_CASE)[::-2]
    part, given, what = scores[some], labels[some], "of a part"
    if _knows_no_class(row, unpromised):
        part, what = part[:, order], "of a part with the classes renamed"
        if case["labels"] in ("ids", "column"):
            given = np.argsort(order).astype("int32")[given]
        else:
            given = given[:, order]
    again = _to_numpy(loss(given, _tensor(part, case)))
    close = dict(rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(value).max())))
    np.testing.assert_allclose(again, value[some], **close, err_msg=what)


def _knows_no_class(row, unpromised):
    """Whether the loss treats all classes alike."""
    special = row.traits.num_classes is not None or row.traits.relabelled is not None
    return not special and "check_permutation" not in unpromised


def _tensor(scores, case):
    return ops.cast(ops.convert_to_tensor(scores), case["dtype"])


def _names_one(error, parameters):
    """Whether an error refuses one of the parameters by name."""
    return any(f"`{name}` must" in str(error) for name in parameters)


def _check_bounds(row, case, value):
    hard = case["labels"] in ("ids", "column", "one-hot")
    wide = case["dtype"] in ("float32", "float64")
    if row.traits.bounds is None or case["from_logits"] or not (hard and wide):
        return
    if case["classes"] != (row.traits.num_classes or 5):  # the battery's number
        return
    low, high = row.traits.bounds
    slack = 1e-4 * max(1, abs(low), abs(high))
    assert value.min() >= low - slack, f"{value.min()} below {low}"
    assert value.max() <= high + slack, f"{value.max()} above {high}"


def _softmax(logits):
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def _to_numpy(values):
    values = ops.convert_to_tensor(values)
    if keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16"):
        values = ops.cast(values, "float32")
    return np.asarray(ops.convert_to_numpy(values), "float64")


def in_range(row, case):
    """Whether the parameters of a case that was written by hand are allowed."""
    limits = getattr(row.loss_class, "limits", {})
    given = {k: v for k, v in case["parameters"].items() if v is not None}
    _limits.check(row.loss_class.__name__, limits, **given)
