"""Random cases for a loss: wild logits, labels of every kind, parameters to the end.

A case is a small dict of plain JSON, so that one that fails can be written down and run
again: `python benchmarks/fuzz_losses.py --case 'JSON'`.
"""

import contextlib
import inspect
import math

import keras
import numpy as np
from hypothesis import strategies as st
from keras import ops

from tests.losses.rows import ROWS, row
from tfrobustloss import losses
from tfrobustloss._core.backend import double_precision, value_and_gradient
from tfrobustloss._core.validation import check

ROWS_A_CASE = 6
IGNORED = [0, 3]  # the rows that get the label of `ignore_class`
CLASSES = (2, 3, 4, 5, 10, 37, 100, 1000)
UNIT = 1  # as a number of classes: one unit for two
SCALES = ("1e-38", "1e-3", "1", "30", "1e4", "mixed", "ties", "equal", "dominant")
LABELS = ("ids", "column", "one-hot", "smoothed", "soft")
DTYPES = ("float16", "bfloat16", "float32", "float64")
ENDLESS = 100.0  # how far a parameter goes whose range has no end
TINY = 1e-6  # of a range from 0: where its powers of ten begin
DEPENDENT = {"min_probability"}  # their range is narrower for many classes

# losses around others than the battery's
AROUND = [
    row(
        losses.LogitClip,
        "around_bi_tempered",
        {"loss": losses.BiTemperedLogistic(0.5, 1.5, from_logits=True)},
    ),
    row(
        losses.LogitBias,
        "around_clip",
        {"loss": losses.LogitClip(losses.NormalizedFocal(from_logits=True))},
    ),
    row(
        losses.ActivePassive,
        "epsilon",
        {
            "active": losses.EpsilonSoftmaxCrossEntropy(from_logits=True),
            "passive": losses.AsymmetricUnhinged(from_logits=True),
        },
    ),
]


class Refused(Exception):
    """The parameters of a case are in their ranges, but do not go together."""


def by_class():
    """Dict of names of classes to all rows that are settings of one."""
    found = {}
    for each in [*ROWS, *AROUND]:
        found.setdefault(each.loss_class.__name__, []).append(each)
    return found


def parameter_values(limit):
    """Strategy over a declared range: its ends, evenly, and evenly in powers of ten."""
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
    values = st.sampled_from([float(low), float(high)])
    values |= st.floats(low, high, allow_nan=False)
    if low < 0:
        return values
    first = math.log10(max(low, TINY * high))
    powers = st.floats(first, math.log10(high), allow_nan=False)
    return values | powers.map(lambda power: min(max(10**power, low), high))


def cases(row):
    """Strategy over the cases of a row of the battery."""
    limits = getattr(row.loss_class, "limits", {})
    free = {name: st.none() | parameter_values(x) for name, x in limits.items()}
    for name, argument in inspect.signature(row.loss_class).parameters.items():
        if isinstance(argument.default, bool) and name != "from_logits":
            free[name] = st.none() | st.booleans()
    classes = row.traits.num_classes
    some = (UNIT, *CLASSES) if getattr(row.loss_class, "one_unit", False) else CLASSES
    takes_logits = "from_logits" in inspect.signature(row.loss_class).parameters
    formats = [
        kind
        for kind in LABELS
        if (kind if kind in ("ids", "column") else "rows") in row.traits.label_formats
    ]
    return st.fixed_dictionaries(
        {
            "row": st.just(row.name),
            "seed": st.integers(0, 2**32 - 1),
            "classes": st.just(classes) if classes else st.sampled_from(some),
            "scale": st.sampled_from(SCALES),
            "labels": st.sampled_from(formats),
            "dtype": st.sampled_from(DTYPES),
            "from_logits": st.booleans() if takes_logits else st.none(),
            "ignore_class": st.none() | st.sampled_from([0, -1, 255]),
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
    """Labels in the format of the case; those of one unit may be rows of two classes.

    Smoothed and soft labels of one unit are probabilities of class 1.
    """
    classes = _num_classes(case)
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
    if case["classes"] == UNIT and case["labels"] != "one-hot":
        rows = rows[:, 1]
    return rows.astype("float32")


def ignore(labels, case):
    """Labels of which some rows are of the ignored class, and which rows these are."""
    ignored, classes = case["ignore_class"], _num_classes(case)
    if ignored is None:
        return labels, np.zeros(ROWS_A_CASE, bool)
    labels = labels.copy()
    if labels.shape != (ROWS_A_CASE, classes) or case["labels"] == "column":
        labels[IGNORED] = ignored
        if labels.dtype == "float32" and ignored in range(classes):
            return labels, (labels > 0.5) == ignored  # of the likelier class
        return labels, labels.reshape(-1) == ignored
    labels[IGNORED] = np.arange(classes) == ignored  # zeros for a class outside
    if ignored in range(classes):
        return labels, labels.argmax(axis=-1) == ignored
    return labels, ~labels.any(axis=-1)


def _num_classes(case):
    return 2 if case["classes"] == UNIT else case["classes"]


def run(row, case):
    """Raises an AssertionError if the loss of a row breaks a promise in a case.

    Raises:
        AssertionError: A promise is broken.
        Refused: The parameters do not go together, or not with so many classes.
    """
    wide = case["dtype"] == "float64"
    with double_precision() if wide else contextlib.nullcontext():
        _run(row, case)


def _build(row, case):
    given = {k: v for k, v in case["parameters"].items() if v is not None}
    options = {**row.arguments, **given, "reduction": None}
    for name in ("from_logits", "ignore_class"):
        if case[name] is not None:
            options[name] = case[name]
    return row.loss_class(**options)


@contextlib.contextmanager
def _refusals():
    """Lets a parameter be refused whose range depends on the classes; no other."""
    try:
        yield
    except ValueError as error:
        if any(f"`{name}` must" in str(error) for name in DEPENDENT):
            raise Refused(str(error)) from None
        raise AssertionError(f"refused: {error}") from error


def _run(row, case):
    random = np.random.default_rng(case["seed"])
    logits = logits_of(case, random)
    labels, ignored = ignore(labels_of(case, random), case)
    with _refusals():
        loss = _build(row, case)
    scores = logits if loss.from_logits else _softmax(logits)
    order = random.permutation(_num_classes(case))
    batch = _tensor(scores, case)
    with _refusals():
        value, (gradient,) = value_and_gradient(lambda y: loss(labels, y), batch)
    value, gradient = _to_numpy(value), _to_numpy(gradient)
    assert np.isfinite(value).all(), f"value {value}"
    assert np.isfinite(gradient).all(), f"gradient {gradient[~np.isfinite(gradient)]}"
    assert not gradient[ignored].any(), "gradient of an ignored row"
    unpromised = {*row.gaps, *row.traits.skips}
    single = "check_per_sample" not in unpromised  # else one value a batch
    _check_bounds(loss, case, value[~ignored] if single else value)
    if not single:
        return
    assert not value[ignored].any(), f"value {value[ignored]} of ignored rows"
    # a row's value has nothing to do with its neighbours, nor with the classes' order
    some = np.arange(ROWS_A_CASE)[::-2]
    part, given, what = scores[some], labels[some], "of a part"
    renamed = _knows_no_class(row, unpromised) and case["ignore_class"] is None
    if renamed and case["classes"] == UNIT:
        if loss.from_logits:  # 1 - p has other digits than p
            part, given, what = -part, _renamed(given), "of a part with classes swapped"
    elif renamed:
        part, what = part[:, order], "of a part with the classes renamed"
        if case["labels"] in ("ids", "column"):
            given = np.argsort(order).astype("int32")[given]
        else:
            given = given[:, order]
    again = _to_numpy(loss(given, _tensor(part, case)))
    ends = map(abs, _bounds(loss, case) or ())
    # a logarithm is known to some 1e-7 of itself, and of 1; what cancels is no better
    largest = _steepness(loss) * np.maximum(1, np.abs(part).max(axis=-1))
    scale = np.maximum(max([1e2, *filter(math.isfinite, ends)]), largest)
    off = np.abs(again - value[some]) - 1e-3 * np.abs(value[some])
    assert (off <= 1e-6 * scale).all(), f"{again} {what}, not {value[some]}"


def _renamed(labels):
    """Labels of one unit with the two classes swapped."""
    rows = labels.ndim == 2 and labels.shape[1] == 2
    return labels[:, ::-1] if rows else 1 - labels


def _knows_no_class(row, unpromised):
    """Whether the loss treats all classes alike."""
    special = row.traits.num_classes is not None or row.traits.relabelled is not None
    return not special and "check_permutation" not in unpromised


def _tensor(scores, case):
    return ops.cast(ops.convert_to_tensor(scores), case["dtype"])


def _bounds(loss, case):
    """The loss's own bounds, or None: plain Keras losses have none."""
    return loss.bounds(_num_classes(case)) if hasattr(loss, "bounds") else None


def _steepness(loss):
    """How much an error of the logarithms, relative to them or to 1, moves a loss."""
    if isinstance(loss, losses.Adma):
        return loss.scaling_factor * loss.base * math.log(loss.base)
    if isinstance(loss, losses.ConfidenceRegularized):
        return 1 + loss.beta
    return 1.0


def _check_bounds(loss, case, value):
    hard = case["labels"] in ("ids", "column", "one-hot")
    exact = loss.from_logits or case["dtype"] in ("float32", "float64")
    known = _bounds(loss, case)
    if known is None or not value.size or not (hard and exact):
        return
    low, high = known
    slack = 1e-4 * max([1, *filter(math.isfinite, map(abs, known))])
    assert value.min() >= low - slack, f"{value.min()} below {low}"
    assert value.max() <= high + slack, f"{value.max()} above {high}"


def _softmax(logits):
    if logits.shape[-1] == UNIT:
        return np.exp(-np.logaddexp(0, -logits))
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
    check(row.loss_class.__name__, limits, **given)
