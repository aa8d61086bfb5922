"""Computed properties of a loss: symmetry, bounds, proper score, example weights."""

import dataclasses
import functools
import inspect
import math

import numpy as np
from keras import ops

from tfrobustloss._core.backend import double_precision, value_and_gradient
from tfrobustloss._core.validation import ParameterTypeError, Range, check
from tfrobustloss.losses.base import FunctionLoss, TaskLoss
from tfrobustloss.losses.labels import SMALLEST_PROBABILITY, Labels
from tfrobustloss.losses.nested import on_logits, values

_LIMITS = {"num_classes": Range(low=2, integer=True)}
_NOT_SHOWN = {"name", "reduction", "dtype", "from_logits", "ignore_class"}
_SAMPLES, _NUMBERS = 400, 4_000_000  # predictions to try, and numbers in memory
_FAR = (1e3, 1e6, 1e9)  # logits on the way to infinity
_NEAR = (1e-5, 1e-6, 1e-7)  # probabilities on the way to 0
_SPREADS = (0.1, 0.3, 1.0)  # of the Dirichlet distributions of predictions
_FLAT = 1e-3  # the largest exponent of what neither vanishes nor grows without end


@dataclasses.dataclass(frozen=True, repr=False)
class Description:
    """Properties of a loss for one-hot labels, each of them computed.

    None stands for what does not apply; `note` says why.

    Attributes:
        loss: The loss as text, with its parameters.
        num_classes: Int, the number of classes K that they are for.
        symmetric: Whether the sum of the loss over all labels is one constant for all
            predictions, which makes it tolerant to uniform wrong labels.
        lowest: Smallest value.
        highest: Largest value; both may be infinite.
        proper: Whether the right probabilities have the least expected loss, whatever
            they are. None for a wrapper of a loss with an activation of its own.
        strictly_proper: Whether no others have it as well. The loss then trains a
            model whose probabilities mean what they say.
        variation_ratio: Largest over smallest slope of the loss in the probability `p`
            of the label, the other classes having equal shares: 1 for a line.
        weight: How strongly an example pulls at its label's logit at `p` = 1/K, where
            training starts: the negative gradient.
        at_zero: Value at `p` = 0, the other classes having equal shares.
        at_even: Value at `p` = 1/K.
        at_one: Value at `p` = 1.
        note: Text, empty where everything applies.
    """

    loss: str
    num_classes: int
    symmetric: bool | None = None
    lowest: float | None = None
    highest: float | None = None
    proper: bool | None = None
    strictly_proper: bool | None = None
    variation_ratio: float | None = None
    weight: float | None = None
    at_zero: float | None = None
    at_even: float | None = None
    at_one: float | None = None
    note: str = ""

    @property
    def bounded(self):
        """True if the loss has a smallest and a largest value."""
        if self.lowest is None:
            return None
        return math.isfinite(self.lowest) and math.isfinite(self.highest)

    def __str__(self):
        """Returns a small table."""
        title = f"{self.loss}, {self.num_classes} classes"
        if self.note:
            return f"{title}\n  {self.note}"
        bounds = f"{shown(self.lowest)} to {shown(self.highest)}"
        proper = "yes, strictly" if self.strictly_proper else shown(self.proper)
        ends = ", ".join(map(shown, (self.at_zero, self.at_even, self.at_one)))
        rows = {
            "symmetric": shown(self.symmetric),
            "bounded": f"{shown(self.bounded)}, {bounds}",
            "proper score": proper,
            "variation ratio": shown(self.variation_ratio),
            f"weight at p = 1/{self.num_classes}": shown(self.weight),
            f"value at p = 0, 1/{self.num_classes}, 1": ends,
        }
        width = max(map(len, rows))
        return "\n".join([title, *(f"  {k:<{width}}  {v}" for k, v in rows.items())])

    __repr__ = __str__


def shown(value):
    """A property as text: yes, no, a number of four digits, or a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{0.0 if abs(value) < 1e-9 else value:.4g}"


def describe(loss, num_classes=10):
    """Computes what a loss is: symmetric, bounded, proper, and how it weighs.

    Nothing is looked up: the loss is evaluated, in float64, at some hundred
    predictions, at the corners of the simplex and towards them. Properties are
    therefore those of the given parameters, of losses of your own as well, and
    numerical: "proper" says that no counterexample was found among these.

    Logits are the logarithms of the probabilities. A loss that reads logits through an
    activation of its own, as `LogitClip` does, has the values that it reaches.

    Args:
        loss: A loss of this package, or one of your own derived from `FunctionLoss`:
            an object, or a class for its default parameters.
        num_classes: Int >= 2.

    Returns:
        A `Description`, which prints as a table. For a loss of another task than
        classification, and for one with a single value a batch, it says so and holds
        None.

    Raises:
        TypeError: `loss` is none, or a class with required arguments.
        ValueError: `num_classes` is below 2, or not that of the loss.

    Example:
        >>> from tfrobustloss import losses
        >>> describe(losses.GeneralizedCrossEntropy(q=0.5))
        GeneralizedCrossEntropy(q=0.5), 10 classes
          symmetric                no
          bounded                  yes, 0 to 2
          proper score             no
          variation ratio          inf
          weight at p = 1/10       0.2846
          value at p = 0, 1/10, 1  2, 1.368, 0
    """
    check("describe", _LIMITS, num_classes=num_classes)
    loss = _built(loss)
    text, num_classes = _written(loss), int(num_classes)
    if isinstance(loss, TaskLoss):
        note = "its targets are no class labels"
        return Description(text, num_classes, note=note)
    if not loss.per_example or not hasattr(loss, "from_logits"):
        note = "one value a batch, not one an example"
        if loss.per_example:
            note = "it has no `from_logits`, so what it reads is not known"
        return Description(text, num_classes, note=note)
    with double_precision():
        return Description(
            text, num_classes, **_Measured(loss, num_classes).properties()
        )


def _built(loss):
    constraint = "a loss of this package, an object or a class"
    if inspect.isclass(loss) and issubclass(loss, FunctionLoss):
        try:
            loss = loss()
        except (TypeError, ValueError) as error:
            hint = f"Build it first: {error}"
            name, constraint = loss.__name__, "an object, not a class"
            raise ParameterTypeError(
                "describe", "loss", name, constraint, hint
            ) from None
    if not isinstance(loss, FunctionLoss):
        hint = "Derive your own from `FunctionLoss`."
        raise ParameterTypeError("describe", "loss", loss, constraint, hint)
    return loss


def _written(loss):
    """A loss as one would write it, in short."""
    parts = []
    for name, value in loss.get_config().items():
        if name in _NOT_SHOWN or value is None:
            continue
        if isinstance(getattr(loss, name, None), FunctionLoss):
            text = _written(getattr(loss, name))
        elif isinstance(value, float):
            text = f"{value:.4g}"
        elif isinstance(value, list | tuple | dict):
            text = "..."
        else:
            text = repr(value)
        parts.append(f"{name}={text}")
    return f"{type(loss).__name__}({', '.join(parts)})"


class _Measured:
    """A loss as a function of probabilities, and what that shows.

    It is evaluated in one of its forms: on the logarithms of the probabilities where
    its activation is the softmax; with another one on the probabilities themselves, or,
    where it reads logits only, on centred logits.
    """

    def __init__(self, loss, num_classes):
        self.num_classes = num_classes
        self._on_logits = on_logits(loss, True)
        try:
            on_p = on_logits(loss, False)
        except ValueError:  # a wrapper that reads logits only
            on_p = None
        self._softmax = self._is_softmax()
        self._centred = not self._softmax and on_p is None
        self._on_p = not self._softmax and on_p is not None
        self._form = on_p if self._on_p else self._on_logits
        self._least = SMALLEST_PROBABILITY if self._on_p else 1e-12
        # what counts as equal and as flat, and how near to 0 and 1 slopes are known
        wide = _keeps_float64()
        self._same, self._flat = (1e-5, _FLAT) if wide else (1e-3, 20 * _FLAT)
        self._nearest = 1.5 * self._least if wide else 1e-4

    def properties(self):
        """Dict of the names and values of all properties."""
        random = np.random.default_rng(0)
        truths = self._truths(random)
        tried = self._given(self._tried(truths, random))
        p, rest = self._path()
        path, change = self._along(p, rest)
        even = self._given(np.full((1, self.num_classes), 1 / self.num_classes))
        every, first = True, False  # which labels
        table, *rays, along, at_even = self._evaluate(
            (tried, every),
            *((ray, every) for ray in self._rays()),
            (path, first),
            (even, first),
        )
        pulls, ways, start = self._evaluate(
            (self._given(truths), every), (path, first), (even, first), gradient=True
        )
        if self._on_p:  # the gradient in the logits, not in the probabilities
            zeros = np.zeros((1, self.num_classes))
            (start,) = self._evaluate(
                (zeros, first), gradient=True, form=self._on_logits
            )
        limits = _limit(*rays)
        spread = float(np.median(np.ptp(table, axis=1)))
        numbers = {
            "lowest": min(each.min() for each in (table, limits, along)),
            "highest": max(each.max() for each in (table, limits, along)),
            "at_zero": limits[0, 0],
            "at_even": at_even[0, 0],
            "at_one": limits[1, 0],
        }
        for name, value in numbers.items():  # 0 is what rounding and limits leave of it
            known = abs(value) > 1e-6 * min(spread, 1)
            numbers[name] = float(value) if known else 0.0
        slack = self._same * spread
        proper, strictly = self._proper(truths, table, self._seen(tried), pulls, slack)
        return {
            "symmetric": bool(np.ptp(table.sum(axis=1)) <= slack),
            "proper": proper,
            "strictly_proper": strictly,
            "variation_ratio": self._variation_ratio(
                p, rest, (ways[:, 0] * change).sum(axis=-1)
            ),
            "weight": 0.0 - float(start[0, 0, 0]),
            **numbers,
        }

    # --- probabilities and predictions

    def _is_softmax(self):
        z = np.linspace(-2, 3, 4 * self.num_classes).reshape(4, -1) ** 3
        return np.allclose(self._activated(z), _softmax(z), atol=1e-6)

    def _activated(self, logits):
        logits = ops.convert_to_tensor(logits, "float64")
        return ops.convert_to_numpy(self._on_logits.activation(logits))

    def _given(self, p):
        """The predictions that stand for probabilities, float64 of their shape."""
        return p if self._on_p else self._logits(np.log(p))

    def _logits(self, log_p):
        if not self._centred:
            return log_p
        return log_p - log_p.mean(axis=-1, keepdims=True)

    def _seen(self, predictions):
        """The probabilities that the loss sees in predictions."""
        if self._on_p:
            return predictions
        return _softmax(predictions) if self._softmax else self._activated(predictions)

    def _evaluate(self, *blocks, gradient=False, form=None):
        """The loss of blocks of predictions, or its gradients, in one computation.

        A block is a pair of predictions, shape `(rows, classes)`, and whether all
        labels are meant or the first class alone. Values have the shape
        `(rows, labels)`, gradients `(rows, labels, classes)`.
        """
        form, rows, ids, shapes = form or self._form, [], [], []
        for given, every in blocks:
            labels = self.num_classes if every else 1
            rows.append(np.repeat(given, labels, axis=0))
            ids.append(np.tile(np.arange(labels, dtype="int32"), len(given)))
            shapes.append((len(given), labels))
        rows, ids = np.concatenate(rows), np.concatenate(ids)

        def loss(y_pred):
            return values(form, Labels(ids, y_pred), y_pred)

        if gradient:
            found = value_and_gradient(loss, rows)[1][0]
        else:
            found = ops.convert_to_numpy(loss(ops.convert_to_tensor(rows, "float64")))
        ends = np.cumsum([count * labels for count, labels in shapes])
        parts = np.split(found.astype("float64"), ends[:-1])
        return [
            part.reshape(*shape, *found.shape[1:])
            for part, shape in zip(parts, shapes, strict=True)
        ]

    # --- which predictions

    def _truths(self, random):
        """Distributions of the label, shape `(6, classes)`, with clear favourites."""
        classes = self.num_classes
        p = random.dirichlet(np.full(classes, 1.0), 6)
        p[4:] = 1 / classes  # uniform noise, much of it and little
        share = np.array([[0.2], [0.3], [0.4], [0.5], [0.3], [0.9]])
        favourite = np.eye(classes)[np.arange(6) % classes]
        return (1 - share) * 0.9 * p + share * favourite + 0.1 * (1 - share) / classes

    def _tried(self, truths, random):
        """Probabilities to try, the truths first, shape `(rows, classes)`."""
        classes = self.num_classes
        near = np.concatenate([truths, *(truths**power for power in (0.5, 2, 8))])
        near /= near.sum(axis=-1, keepdims=True)
        count = min(_SAMPLES, _NUMBERS // classes**2) // 4
        anywhere = [random.dirichlet(np.full(classes, a), count) for a in _SPREADS]
        p = np.concatenate([near, np.eye(classes)[: max(2, count)], *anywhere])
        p = np.maximum(p, self._least)
        return p / p.sum(axis=-1, keepdims=True)

    def _rays(self):
        """Predictions towards corners and edges, each time nearer, three times.

        The first two rows lead away from the first class and towards it.
        """
        classes = self.num_classes
        some = np.eye(classes)[: max(2, min(classes, _NUMBERS // (12 * classes**2)))]
        others = np.roll(some, 1, axis=1)
        pairs = [-some, some, some + others, some - others]
        directions = np.concatenate([each[:1] for each in pairs] + pairs)
        distances = -np.log(_NEAR) if self._on_p else _FAR
        for distance in distances:
            log_p = _log_softmax(distance * directions)
            yield np.exp(log_p) if self._on_p else self._logits(log_p)

    # --- properties

    def _proper(self, truths, table, seen, pulls, slack):
        """Two flags: proper score, and strictly proper score."""
        count = len(truths)
        expected = table @ truths.T  # of each prediction, under each truth
        gain = expected - np.diagonal(expected[:count])
        apart = np.abs(seen[:, None] - truths).sum(axis=-1) > 0.3
        if not np.allclose(seen[:count], truths, atol=1e-6):
            # an activation that cannot give them, or whose inverse is not known here
            sure = self._seen(_FAR[-1] * np.eye(self.num_classes)[:1])
            return (None, None) if sure[0, 0] > truths.max() else (False, False)
        proper = self._stationary(truths, pulls) and (gain >= -slack).all()
        return bool(proper), bool(proper and (gain[apart] > slack).all())

    def _stationary(self, truths, pulls):
        """True if the slope of the expected loss is 0 at the true probabilities."""
        if self._on_p:  # along the simplex
            pulls = pulls - pulls.mean(axis=-1, keepdims=True)
        mean = np.einsum("ty,tyk->tk", truths, pulls)
        return bool(np.abs(mean).max() <= self._same * np.sqrt(np.square(pulls).mean()))

    def _path(self):
        """Probabilities of the first class, its label, and of all others together."""
        tiny = np.logspace(-12, -3, 46)
        steps = np.concatenate([tiny, np.linspace(0.005, 0.5, 100)])
        low = steps[steps > self._nearest]
        shared = 1.5 * self._least * (self.num_classes - 1)
        rest = steps[steps > max(shared, self._nearest)][::-1]
        return np.concatenate([low, 1 - rest]), np.concatenate([1 - low, rest])

    def _shared(self, p, rest):
        """Rows in which the other classes have equal shares of the rest."""
        others = self.num_classes - 1
        return np.stack([p, *[rest / others] * others], axis=1)

    def _variation_ratio(self, p, rest, slope):
        """Largest over smallest slope in the probability of the label, on a path."""
        if self._centred:
            slope, ends = self._slopes_within_reach(p)
        else:
            ends = [(slope[:2], p[:2]), (slope[:-3:-1], rest[:-3:-1])]
        if any(abs(_exponent(*end)) > self._flat for end in ends):
            return math.inf
        size = np.abs(slope)
        if size.min() == 0 or (slope > 0).any() and (slope < 0).any():
            return math.inf
        return float(size.max() / size.min())

    def _along(self, p, rest):
        """Predictions on a path, and how they change with `p`."""
        others = self.num_classes - 1
        rows, change = self._shared(p, rest), np.array([1.0] + others * [-1 / others])
        if not self._on_p:
            change = self._logits(change / rows)
        return self._given(rows), change

    def _slopes_within_reach(self, p):
        """Slopes where the activation lets the probability of the label follow `p`.

        With the ends that are not borders of that, as pairs of slopes and distances.
        """
        ends = []
        for step in range(3):  # to the borders, each time 50 times as near
            given, change = self._along(p, 1 - p)
            pace = value_and_gradient(
                lambda z: self._on_logits.activation(z)[:, 0], given
            )[1][0]
            pace = (pace * change).sum(axis=-1)
            inside = np.flatnonzero(pace > self._flat)
            (slope,) = self._evaluate((given, False), gradient=True)
            slope = (slope[:, 0] * change).sum(axis=-1)[inside] / pace[inside]
            first, last = inside[0], inside[-1]
            if step == 0 and first == 0:
                ends.append((slope[:2], p[:2]))
            if step == 0 and last == len(p) - 1:
                ends.append((slope[:-3:-1], 1 - p[:-3:-1]))
            below = np.linspace(p[max(first - 1, 0)], p[first], 50)
            above = np.linspace(p[last], p[min(last + 1, len(p) - 1)], 50)
            p = np.concatenate([below, p[inside[1:-1]], above])
        return slope, ends


@functools.cache
def _keeps_float64():
    """True where float64 is exact; Keras on torch computes some of it in float32."""
    value = ops.convert_to_tensor(np.array([1 + 1e-12]), "float64")
    return bool(ops.convert_to_numpy(ops.maximum(value, 0.0))[0] != 1)


def _exponent(slope, distance):
    """The power of the distance from an end with which a slope grows there."""
    first, second = np.abs(slope)
    if first == 0 or second == 0:
        return math.inf
    return math.log(first / second) / math.log(distance[0] / distance[1])


def _limit(first, second, third):
    """Where three values lead whose differences shrink or grow by one factor."""
    before, last = second - first, third - second
    still = np.abs(last) <= 1e-6 * np.maximum(1, np.abs(third))
    endless = ~still & (np.abs(last) >= (1 - _FLAT) * np.abs(before))
    ratio = np.where(still | endless, 0, last) / np.where(before == 0, 1, before)
    return np.where(
        endless, np.copysign(np.inf, last), third + last * ratio / (1 - ratio)
    )


def _softmax(logits):
    return np.exp(_log_softmax(logits))


def _log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
