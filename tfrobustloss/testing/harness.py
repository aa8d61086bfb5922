"""What the checks share: declared traits, example data, programs and error texts."""

import contextlib
import contextvars
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping

import numpy as np
from keras import ops

LABEL_FORMATS = ("ids", "column", "rows")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossTraits:
    """What a loss claims beyond the contract, and what it does not take part in.

    Attributes:
        num_classes: Number of classes that the loss is tied to; None for any.
        label_formats: Those it takes: `"ids"` of shape `(...)`, `"column"` of ids,
            shape `(..., 1)`, and `"rows"`, one-hot or soft, shape `(..., classes)`.
        bounds: `(low, high)` of its values for one-hot labels and probabilities, or
            None.
        symmetric: Whether the sum over all labels is the same for every prediction;
            None to leave it open.
        zero_at_label: Whether the loss of a sure and right prediction is 0; None to
            leave it open.
        prefers_label: Whether a sure and right prediction costs less than a sure and
            wrong one.
        equals: Texts ("half the absolute error") to functions of `(y_true, y_pred)`,
            given what the loss is given, with the same value per example.
        relabelled: Function `(loss, order)` that gives the same loss for classes
            renamed so that new class `i` is old class `order[i]`; None if the loss
            treats all classes alike.
        variables: Names of hyper-parameters without a scalar range that may be a
            `keras.Variable`, with another value for each.
        refused: Pairs `(name, value)` that the constructor must refuse, beyond what
            the declared ranges say.
        wide: Whether the computation runs in at least float32 whatever the dtype.
        keeps_dtype: Whether the config holds a `dtype` that was given.
        skips: Names of checks that do not apply, with the reason.
    """

    num_classes: int | None = None
    label_formats: tuple[str, ...] = LABEL_FORMATS
    bounds: tuple[float, float] | None = None
    symmetric: bool | None = None
    zero_at_label: bool | None = None
    prefers_label: bool = True
    equals: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    relabelled: Callable | None = None
    variables: Mapping[str, object] = dataclasses.field(default_factory=dict)
    refused: tuple[tuple[str, object], ...] = ()
    wide: bool = True
    keeps_dtype: bool = True
    skips: Mapping[str, str] = dataclasses.field(default_factory=dict)


class LossCheckError(AssertionError):
    """A loss broke a promise; says which loss, which check, what came instead."""


class Mismatch(Exception):
    """What a check found, before it is known which loss and check it was."""


def promise(function):
    """Makes a check of `function(loss, traits)`; its docstring's line is the promise.

    The check returns None, or the reason why it does not apply.
    """
    text = function.__doc__.strip().splitlines()[0].rstrip(".")
    name = function.__name__

    @functools.wraps(function)
    def check(loss, traits=None):
        traits = LossTraits() if traits is None else traits
        if name in traits.skips:
            return traits.skips[name]
        try:
            return function(loss, traits)
        except Mismatch as found:
            raise LossCheckError(_message(loss, name, text, str(found))) from None
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise LossCheckError(_message(loss, name, text, found)) from error

    return check


_MADE = contextvars.ContextVar("made", default=None)


@contextlib.contextmanager
def sharing():
    """Inside, `shared` makes each thing once: the checks of one loss share programs."""
    token = _MADE.set({})
    try:
        yield
    finally:
        _MADE.reset(token)


def shared(make, loss, traits):
    """`make(loss, traits)`, or what it returned before inside the same `sharing()`."""
    made = _MADE.get()
    if made is None:
        return make(loss, traits)
    key = make, id(loss), id(traits)
    if key not in made:  # with its arguments, so that their ids are not used again
        made[key] = make(loss, traits), loss, traits
    return made[key][0]


def _message(loss, name, text, found):
    return f"{describe(loss)}: {name}. Promised: {text}. Received: {found}"


def describe(loss):
    """`Class(parameter=value, ...)`, shortened."""
    try:
        config = loss.get_config()
    except Exception as error:  # describing a broken loss must not hide what broke
        config = {"get_config": type(error).__name__}
    text = ", ".join(f"{key}={value!r}" for key, value in config.items())
    return f"{type(loss).__name__}({text if len(text) <= 160 else text[:157] + '...'})"


def expect(condition, found):
    """Raises `Mismatch` with the text `found` unless `condition`."""
    if not condition:
        raise Mismatch(found)


def expect_close(what, received, expected, rtol=1e-5, atol=1e-6):
    """Raises `Mismatch` unless two arrays have one shape and are close everywhere."""
    received, expected = to_numpy(received), to_numpy(expected)
    if received.shape != expected.shape:
        raise Mismatch(f"{what}: shape {received.shape} instead of {expected.shape}")
    off = ~np.isclose(received, expected, rtol, atol)
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        raise Mismatch(
            f"{what}: {received[at]:.9g} instead of {expected[at]:.9g} at {at}, "
            f"{off.sum()} of {off.size} values off"
        )


def expect_finite(what, values):
    """Raises `Mismatch` unless every value is finite."""
    values = to_numpy(values)
    bad = ~np.isfinite(values)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise Mismatch(f"{what}: {values[at]} at {at}")


def to_numpy(values):
    """A tensor or array of any float type as a float64 array."""
    if ops.is_tensor(values) and len(values.shape) == 0:
        values = ops.expand_dims(values, 0)  # no numpy takes a bfloat16 scalar of TF
        return np.asarray(ops.convert_to_numpy(values), "float64")[0]
    return np.asarray(ops.convert_to_numpy(values), "float64")


def with_options(loss, **options):
    """The same loss with some constructor arguments changed."""
    return type(loss).from_config({**loss.get_config(), **options})


def reduced(loss, reduction):
    """The same loss, sharing everything, with another reduction."""
    other = object.__new__(type(loss))  # `copy.copy` of a Keras object asks its config
    vars(other).update(vars(loss), reduction=reduction)
    return other


def takes(loss, option):
    """Whether the constructor names `option`, or hands it on to one that does."""
    for kind in type(loss).__mro__:
        if "__init__" in vars(kind):
            parameters = inspect.signature(kind.__init__).parameters
            if option in parameters:
                return True
            if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
                return False
    return False


def from_logits(loss):
    """Whether the loss reads logits."""
    return bool(getattr(loss, "from_logits", False))


def both_kinds(loss):
    """The loss on probabilities and on logits, or just as it is if it has no choice."""
    if not takes(loss, "from_logits"):
        return [loss]
    return [with_options(loss, from_logits=flag) for flag in (False, True)]


def activate(loss, logits):
    """The probabilities that the loss sees in logits."""
    return getattr(loss, "activation", ops.softmax)(logits)


def num_classes(traits):
    """The number of classes of the example data."""
    return traits.num_classes or 5


def examples(traits, shape=(6,), spread=1.5, seed=0):
    """Class ids of `shape`, every class among them if they fit, and random logits."""
    classes = num_classes(traits)
    random = np.random.default_rng(seed)
    ids = np.arange(np.prod(shape)) % classes
    logits = random.normal(0, spread, (*shape, classes)).astype("float32")
    return random.permutation(ids).reshape(shape).astype("int32"), logits


def predictions(loss, logits):
    """What the loss is given in place of these logits, as a numpy array."""
    if from_logits(loss):
        return logits
    return ops.convert_to_numpy(activate(loss, ops.convert_to_tensor(logits)))


def from_simplex(loss, p):
    """What a loss is given in place of probabilities, as a float32 array."""
    return np.log(np.maximum(p, 1e-30)) if from_logits(loss) else p


def on_probabilities(loss):
    """The loss on probabilities where it has the choice."""
    return with_options(loss, from_logits=False) if takes(loss, "from_logits") else loss


def one_hot(ids, classes):
    """Float32 one-hot rows."""
    return np.eye(classes, dtype="float32")[ids]


def labels(traits, ids, label_format=None):
    """Class ids in a format: the first that the loss takes, if none is named."""
    label_format = label_format or traits.label_formats[0]
    if label_format == "ids":
        return ids
    if label_format == "column":
        return ids[..., None]
    return one_hot(ids, num_classes(traits))


def per_example(loss, y_true, y_pred):
    """Values per example as a numpy array."""
    return to_numpy(reduced(loss, None)(y_true, y_pred))


def another_value(limit, value):
    """A number in a range other than `value`; None if there is no simple one."""
    near = (0.8 * value, 1.25 * value, value + 0.1, value - 0.1)
    return next((n for n in near if n != value and limit.contains(n)), None)


def scalar_alternatives(loss):
    """Names of the scalar parameters with a range, with another value for each."""
    config, found = loss.get_config(), {}
    for name, limit in getattr(loss, "limits", {}).items():
        value = config.get(name, getattr(loss, name, None))
        if limit.integer or not isinstance(value, int | float):
            continue
        other = another_value(limit, value)
        if other is not None:
            found[name] = other
    return found
