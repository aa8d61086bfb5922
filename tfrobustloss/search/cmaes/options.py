"""Validates the arguments of `CmaSearch` and makes them plain JSON."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfrobustloss._core.tensors import current_value
from tfrobustloss._core.validation import (
    ParameterError,
    ParameterTypeError,
    Range,
    check,
)

_LIMITS = {
    "sigma0": Range(low=0, open_low=True),
    "population_size": Range(low=3, integer=True, optional=True),
    "seed": Range(low=0, high=2**32 - 1, integer=True),
    "max_restarts": Range(low=0, integer=True),
    "reevaluations": Range(low=0, integer=True),
}
_CHOICES = {"direction": ("min", "max"), "restarts": (None, "ipop", "bipop")}

BOUNDARY_HANDLERS = ("BoundTransform", "BoundPenalty")

_ARGUMENT = "Use the argument `{}` of CmaSearch."
_CLOCK = (
    "It would make the search depend on the clock or on files; it could not resume."
)
_OBJECTIVE = "Change the variables in your objective instead."
# pycma's options that would break what CmaSearch promises, and what to do instead
_REFUSED = {
    "seed": _ARGUMENT.format("seed"),
    "randn": _ARGUMENT.format("seed"),
    "popsize": _ARGUMENT.format("population_size"),
    "popsize_factor": _ARGUMENT.format("population_size"),
    "bounds": _ARGUMENT.format("bounds"),
    "timeout": _CLOCK,
    "signals_filename": _CLOCK,
    "termination_callback": _CLOCK,
    "is_feasible": "Use NaN as the value instead: it ranks last.",
    "fixed_variables": _OBJECTIVE,
    "scaling_of_variables": _OBJECTIVE,
    "transformation": _OBJECTIVE,
    "typical_x": _OBJECTIVE,
    "integer_variables": "pycma's integers draw from NumPy's global stream. Round the "
    "variables in your objective, and set `minstd` for them, 0.2 say.",
    "mean_shift_line_samples": "It draws from NumPy's global stream.",
    "CMA_sampler": "It has a random stream of its own.",
    "CMA_sampler_options": "It is for samplers, which are refused.",
    "CMA_recombination_weights": _ARGUMENT.format("population_size"),
    "vv": "It is for pycma's own experiments.",
}


def checked(
    initial: Any,
    sigma0: Any,
    *,
    population_size: Any,
    bounds: Any,
    seed: Any,
    direction: Any,
    restarts: Any,
    max_restarts: Any,
    reevaluations: Any,
    overflow: Any,
    options: Mapping[str, Any] | None,
    known: Iterable[str],
) -> dict[str, Any]:
    """The arguments of `CmaSearch` as plain JSON values.

    Args:
        initial: As in `CmaSearch`, like the others but `known`.
        sigma0: As in `CmaSearch`.
        population_size: As in `CmaSearch`.
        bounds: As in `CmaSearch`.
        seed: As in `CmaSearch`.
        direction: As in `CmaSearch`.
        restarts: As in `CmaSearch`.
        max_restarts: As in `CmaSearch`.
        reevaluations: As in `CmaSearch`.
        overflow: As in `CmaSearch`.
        options: As in `CmaSearch`.
        known: Names of pycma's options.

    Returns:
        Dict that a round trip through JSON does not change.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is outside its range.
    """
    numbers = {
        "sigma0": sigma0,
        "population_size": population_size,
        "seed": seed,
        "max_restarts": max_restarts,
        "reevaluations": reevaluations,
    }
    check("CmaSearch", _LIMITS, **numbers)
    numbers = {name: current_value(value) for name, value in numbers.items()}
    for name, value in (("direction", direction), ("restarts", restarts)):
        if value not in _CHOICES[name]:
            raise ParameterError("CmaSearch", name, value, f"one of {_CHOICES[name]}")
    start = _vector("initial", initial)
    settings: dict[str, Any] = {
        "initial": start,
        **numbers,
        "sigma0": float(numbers["sigma0"]),
        "bounds": _bounds(bounds, start),
        "direction": direction,
        "restarts": restarts,
        "overflow": bool(overflow),
        "options": _options(options, known),
    }
    for name in ("population_size", "seed", "max_restarts", "reevaluations"):
        if settings[name] is not None:
            settings[name] = int(settings[name])
    if reevaluations and population_size and reevaluations > population_size:
        constraint = f"at most `population_size`, {population_size}"
        raise ParameterError("CmaSearch", "reevaluations", reevaluations, constraint)
    return settings


def _vector(name: str, values: Any) -> list[float]:
    try:
        vector = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ParameterTypeError(
            "CmaSearch", name, values, "a list of numbers"
        ) from None
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        constraint = "a list of one or more finite numbers"
        raise ParameterError("CmaSearch", name, values, constraint)
    return vector.tolist()


def _bounds(bounds: Any, start: list[float]) -> list[list[float | None]] | None:
    """Both bounds as lists with None where there is no bound; None without any."""
    if bounds is None:
        return None
    constraint = "a pair (low, high) of numbers, lists of numbers, or None"
    try:
        low, high = (_bound(bound, len(start)) for bound in bounds)
    except (TypeError, ValueError):
        raise ParameterError("CmaSearch", "bounds", bounds, constraint) from None
    for i, (least, value, most) in enumerate(zip(low, start, high, strict=True)):
        least = -math.inf if least is None else least
        most = math.inf if most is None else most
        if not least < most:
            raise ParameterError(
                "CmaSearch", "bounds", bounds, "low below high everywhere"
            )
        if not least <= value <= most:
            within = f"inside `bounds`, and initial[{i}] in [{least:g}, {most:g}]"
            raise ParameterError("CmaSearch", "initial", start, within)
    return [low, high] if any(b is not None for b in low + high) else None


def _bound(bound: Any, size: int) -> list[float | None]:
    values = np.broadcast_to(np.array(bound, dtype=object), (size,)).tolist()
    values = [None if value is None else float(value) for value in values]
    if any(value is not None and math.isnan(value) for value in values):
        raise ValueError
    return [None if v is None or math.isinf(v) else v for v in values]


def _options(options: Mapping[str, Any] | None, known: Iterable[str]) -> dict[str, Any]:
    names = {name.lower(): name for name in known}
    checked: dict[str, Any] = {}
    for key, value in (options or {}).items():
        name = names.get(str(key).lower())
        if name is None:
            raise ParameterError(
                "CmaSearch",
                "options",
                {key: value},
                "options of pycma",
                "print(cma.CMAOptions()) lists them.",
            )
        hint = _REFUSED.get(name, "")
        if name.startswith("verb"):
            hint = "The search is silent and writes no file but its journal."
        if name == "CMA_diagonal" and not isinstance(value, bool):
            hint = (
                "A schedule makes pycma continue on NumPy's global stream, so that the "
                "search could not resume. Use True (always diagonal) or False."
            )
        if name == "CMA_elitist" and not isinstance(value, bool):
            hint = "It needs the value of the initial point; use True."
        if name == "BoundaryHandler" and value not in BOUNDARY_HANDLERS:
            hint = f"Use one of {BOUNDARY_HANDLERS}."
        if hint:
            without = f"without {name!r}"
            raise ParameterError("CmaSearch", "options", {key: value}, without, hint)
        checked[name] = value
    try:
        return json.loads(json.dumps(checked, allow_nan=False, default=_plain))
    except (TypeError, ValueError):
        hint = 'Write infinity as "inf".'
        constraint = "plain finite JSON values"
        raise ParameterError(
            "CmaSearch", "options", options, constraint, hint
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError
