"""Metrics of a trial from what `run_trial` returned, or why there are none."""

import difflib
import numbers
import statistics
from typing import Any

import keras
import keras_tuner
import numpy as np

from tfrobustloss._core.validation import ParameterError

_OWNER = "CMAES"
_LEFT_OUT = "default_objective"  # name that Keras Tuner gives to none


class UnreportedObjective(ParameterError, keras_tuner.errors.FatalValueError):
    """The objective is not among the metrics of a trial.

    As a `FatalError` it ends a search; Keras Tuner counts others as failed trials.
    """


def metrics_of(
    results: Any, objective: keras_tuner.Objective
) -> tuple[dict[str, float], int]:
    """The metrics that a trial reports, of its best epoch, and the index of that epoch.

    Values are those of Keras Tuner. In addition, a metric may be missing in some
    epochs (`validation_freq`), and a dict may hold each of several objectives.

    Args:
        results: Number, dict of metrics, `History`, or a list of these to be averaged.
        objective: Objective of the search.

    Raises:
        UnreportedObjective: The objective is not among the metrics.
        FatalTypeError: `results` is of another kind.
    """
    if isinstance(results, list):
        several = [metrics_of(one, objective) for one in results]
        step = int(statistics.mean(step for _, step in several))
        return _average([metrics for metrics, _ in several]), step
    if isinstance(results, keras.callbacks.History):
        return _best_epoch(results.history, objective)
    if isinstance(results, numbers.Real):
        metrics = {objective.name: float(results)}
        check_reported(metrics, objective)
        return metrics, 0
    if isinstance(results, dict):
        metrics = dict(results)
        check_reported(metrics, objective)
        metrics.setdefault(objective.name, objective.get_value(metrics))
        return metrics, 0
    raise keras_tuner.errors.FatalTypeError(
        f"{_OWNER}: `run_trial` must return a number, a dict of metrics, a `History` "
        f"of Keras or a list of these. Received: {results!r}."
    )


def check_reported(metrics: dict[str, Any], objective: keras_tuner.Objective) -> None:
    """Raises if the objective is not among the metrics.

    Args:
        metrics: Dict of the metrics' names to anything.
        objective: Objective of the search, or several.

    Raises:
        UnreportedObjective: Names the metrics there are.
    """
    if objective.has_value(metrics):
        return
    wanted = _names(objective)
    missing = [name for name in wanted or [] if name not in metrics]
    reported = sorted(name for name in metrics if name != objective.name)
    constraint = "a metric that the trial reports"
    if reported:
        constraint += f": {_listed(reported, 'or')}"
    else:
        constraint += ", and this one reported none"
    hints = []
    if wanted and len(wanted) > 1:
        hints.append(f"Not reported: {_listed(missing, 'and')}.")
    if _lacks_validation(missing, reported):
        hints.append(
            "No validation metric was reported: give `search` validation data."
        )
    for name in missing:
        similar = difflib.get_close_matches(name, reported, n=1)
        hints += [f"Did you mean {one!r}?" for one in similar]
    value = wanted if wanted is None or len(wanted) > 1 else wanted[0]
    raise UnreportedObjective(_OWNER, "objective", value, constraint, " ".join(hints))


def _names(objective: keras_tuner.Objective) -> list[str] | None:
    """Names of the metrics that an objective needs; None if it was left out."""
    if objective.name == _LEFT_OUT:
        return None
    several = getattr(objective, "objectives", None)
    return [one.name for one in several] if several else [objective.name]


def _lacks_validation(missing: list[str], reported: list[str]) -> bool:
    validated = any(name.startswith("val_") for name in reported)
    known = [f"val_{name}" for name in reported]
    return not validated and any(name in known for name in missing)


def _listed(names: list[str], conjunction: str) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def _best_epoch(
    history: dict[str, list[float]], objective: keras_tuner.Objective
) -> tuple[dict[str, float], int]:
    """The metrics of the epoch with the best value of the objective, and its index.

    Keras does not say which epochs a metric is of. One with fewer values than others
    is taken as that of the last epochs.
    """
    length = max(map(len, history.values()), default=0)
    epochs: list[dict[str, float]] = [{} for _ in range(length)]
    for name, values in history.items():
        for epoch, value in enumerate(values, length - len(values)):
            epochs[epoch][name] = value
    check_reported(epochs[-1] if epochs else {}, objective)
    candidates = [i for i, metrics in enumerate(epochs) if objective.has_value(metrics)]
    best = candidates[0]
    for epoch in candidates:
        metrics = epochs[epoch]
        value = metrics.setdefault(objective.name, objective.get_value(metrics))
        if objective.better_than(value, epochs[best][objective.name]):
            best = epoch
    return epochs[best], best


def _average(metrics: list[dict[str, float]]) -> dict[str, float]:
    """Means of the metrics of several trainings, over those that report each."""
    names = dict.fromkeys(name for one in metrics for name in one)
    return {
        name: float(np.mean([one[name] for one in metrics if name in one]))
        for name in names
    }
