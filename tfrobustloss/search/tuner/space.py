"""Hyper-parameters of Keras Tuner as points of the unit cube, and back."""

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras_tuner

from tfrobustloss._core.tensors import current_value
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check_choice,
    check_flag,
)
from tfrobustloss.search.tuner.keras_tuner_private import Choice, Fixed, Float, Int

_OWNER = "CMAES"
_LEAST_DEVIATION = 0.2  # of one step: an integer stays in play when the rest converges


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One number that is searched: `Float` or `Int`, linear or logarithmic.

    Attributes:
        parameter: The `keras_tuner` hyper-parameter.
        grid: The only values it takes, in the order of the unit interval, or None.
    """

    parameter: Any
    grid: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """The hyper-parameter's name."""
        return self.parameter.name

    @property
    def whole(self) -> bool:
        """Whether it takes integers only."""
        return isinstance(self.parameter, Int)

    @property
    def least_deviation(self) -> float:
        """Standard deviation below which a step would never be taken again."""
        low, high = self.parameter.min_value, self.parameter.max_value
        if self.grid is not None:
            return _LEAST_DEVIATION / len(self.grid)
        return _LEAST_DEVIATION / (high - low + 1) if self.whole else 0.0

    def value(self, unit: float) -> float:
        """The value at a point of the unit interval: in range, an int or a float."""
        unit = min(max(float(unit), 0.0), 1.0)
        if self.grid is not None:
            return self.grid[min(int(unit * len(self.grid)), len(self.grid) - 1)]
        value = self.parameter.prob_to_value(unit)
        value = min(max(value, self.parameter.min_value), self.parameter.max_value)
        return int(value) if self.whole else float(value)

    def unit(self, value: float) -> float:
        """The point of the unit interval where a value lies."""
        if self.grid is not None:
            distances = [abs(one - value) for one in self.grid]
            return (distances.index(min(distances)) + 0.5) / len(self.grid)
        return min(max(float(self.parameter.value_to_prob(value)), 0.0), 1.0)

    def start(self) -> float:
        """Where the search begins: at the default, or in the middle without one.

        Keras Tuner reports `min_value` as the default of a number without one, and a
        corner of the box is a bad place to begin.
        """
        default = self.parameter.default
        return 0.5 if default == self.parameter.min_value else self.unit(default)


class Space:
    """Maps hyper-parameters to vectors and back; knows which are searched or held.

    Args:
        hyperparameters: `keras_tuner.HyperParameters`.
        hold: Dict of names to the value that each keeps for the whole search.

    Raises:
        ValueError: A name in `hold` is unknown or its value impossible, a `Choice`, a
            `Boolean` or a conditional number is not held, or nothing is left to search.
    """

    def __init__(
        self,
        hyperparameters: keras_tuner.HyperParameters,
        hold: Mapping[str, Any] | None = None,
    ) -> None:
        self._hold = {
            name: current_value(value) for name, value in (hold or {}).items()
        }
        self._held: list[tuple[Any, Any]] = []  # with their values, parents first
        self.dimensions: list[Dimension] = []
        unknown = set(self._hold) - {p.name for p in hyperparameters.space}
        if unknown:
            names = sorted({p.name for p in hyperparameters.space})
            raise ParameterError(_OWNER, "hold", sorted(unknown), f"of {names}")
        for parameter in hyperparameters.space:
            self._add(parameter)
        if not self.dimensions:
            raise ValueError(
                f"{_OWNER}: there is no `Float` or `Int` to search. Received: "
                f"hyperparameters={[p.name for p in hyperparameters.space]}, "
                f"hold={self._hold}. Those that only `run_trial` or `fit` asks for "
                "must be declared before, in `hyperparameters=`."
            )

    @property
    def names(self) -> list[str]:
        """Names of the searched hyper-parameters, in the order of the vector."""
        return [dimension.name for dimension in self.dimensions]

    def values(self, vector: Iterable[float]) -> dict[str, Any]:
        """Dict of all active values at a point of the unit cube, plain Python."""
        values = {
            dimension.name: dimension.value(unit)
            for dimension, unit in zip(self.dimensions, vector, strict=True)
        }
        for parameter, value in self._held:
            if all(condition.is_active(values) for condition in parameter.conditions):
                values[parameter.name] = value
        return values

    def start(self, initial: Mapping[str, Any] | None = None) -> list[float]:
        """Where the search begins.

        Args:
            initial: Dict of names to values; the others start at their defaults.

        Raises:
            ValueError: A name is not searched or a value is out of range.
        """
        initial = {
            name: current_value(value) for name, value in (initial or {}).items()
        }
        unknown = sorted(set(initial) - set(self.names))
        if unknown:
            raise ParameterError(_OWNER, "initial", unknown, f"of {self.names}")
        return [
            d.unit(_checked("initial", d.parameter, initial[d.name]))
            if d.name in initial
            else d.start()
            for d in self.dimensions
        ]

    def _add(self, parameter: Any) -> None:
        """Adds one hyper-parameter: searched, held, never active, or refused."""
        fixed = {held.name: value for held, value in self._held}
        conditions = parameter.conditions
        if any(c.name in fixed and not c.is_active(fixed) for c in conditions):
            return  # its parent is held at a value that leaves it out
        name = parameter.name
        if name in self.names:
            return  # the same number asked for in a second place
        if name in self._hold:
            value = _checked("hold", parameter, self._hold[name])
            self._held.append((parameter, value))
        elif isinstance(parameter, Fixed):
            self._held.append((parameter, parameter.value))
        elif not isinstance(parameter, Float | Int):
            raise ValueError(_refusal(parameter, "searches numbers only"))
        elif any(c.name not in fixed for c in conditions):
            parents = sorted({c.name for c in conditions if c.name not in fixed})
            reason = f"cannot search what exists only for some values of {parents}"
            raise ValueError(_refusal(parameter, reason, parents))
        elif parameter.min_value == parameter.max_value:
            self._held.append((parameter, parameter.min_value))
        else:
            self.dimensions.append(Dimension(parameter, _grid(parameter)))


def check_kinds(restarts: Any, overflow: Any, hyperparameters: Any) -> None:
    """Validates the arguments of the oracle that are not numbers."""
    if restarts is not None:
        check_choice(_OWNER, "restarts", restarts, ("ipop", "bipop"))
    check_flag(_OWNER, "overflow", overflow)
    if not isinstance(hyperparameters, keras_tuner.HyperParameters | None):
        constraint = "a `keras_tuner.HyperParameters` or None"
        raise ParameterTypeError(_OWNER, "hyperparameters", hyperparameters, constraint)


def plain(name: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """A dict of plain Python values, None as an empty one."""
    if not isinstance(values, dict | None):
        constraint = "a dict of names to values, or None"
        raise ParameterTypeError(_OWNER, name, values, constraint)
    return {name: current_value(x) for name, x in (values or {}).items()}


def _grid(parameter: Any) -> tuple[float, ...] | None:
    """All values of a number with a step, both ends where they fit; None without."""
    low, high, step = parameter.min_value, parameter.max_value, parameter.step
    if step is None:
        return None
    if parameter.sampling == "linear":
        count = math.floor((high - low) / step + 1e-8) + 1
        values = [low + i * step for i in range(count)]
    else:
        count = math.floor(math.log(high / low) / math.log(step) + 1e-8) + 1
        values = [low * step**i for i in range(count)]
        if parameter.sampling == "reverse_log":
            values = [high + low - value for value in values]
    kind = int if isinstance(parameter, Int) else float
    return tuple(kind(min(max(value, low), high)) for value in values)


def _checked(argument: str, parameter: Any, value: Any) -> Any:
    """A value as the hyper-parameter's own kind; raises if it cannot take it."""
    name = f"{argument}[{parameter.name!r}]"
    if not isinstance(parameter, Float | Int):
        possible = tuple(parameter.values)
        if value not in possible:
            raise ParameterError(_OWNER, name, value, f"one of {possible}")
        return possible[possible.index(value)]
    whole = isinstance(parameter, Int)
    limit = Range(parameter.min_value, parameter.max_value, integer=whole)
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not limit.contains(value):
        raise ParameterError(_OWNER, name, value, limit)
    return int(value) if whole else float(value)


def _refusal(parameter: Any, reason: str, parents: Sequence[str] = ()) -> str:
    """Why a hyper-parameter cannot be searched, and what to do."""
    name, kind = parameter.name, type(parameter).__name__
    example = parents[0] if parents else name
    held = f"Hold it with `hold={{{name!r}: {parameter.default!r}}}`"
    if parents:
        held += f", or its parent with `hold={{{example!r}: ...}}`"
    ways = [held, "declare it with `hp.Fixed`"]
    values = tuple(parameter.values) if isinstance(parameter, Choice) else ()
    if values and all(isinstance(v, int | float) for v in values):
        ways.append("declare it as `hp.Int` or `hp.Float` with a step")
    ways.append("use `keras_tuner.BayesianOptimization`")
    return (
        f"{_OWNER} {reason}. Received: {kind} {name!r}. {', '.join(ways[:-1])}, or "
        f"{ways[-1]}."
    )
