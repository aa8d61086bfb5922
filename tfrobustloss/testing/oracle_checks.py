"""A battery of checks for every Keras Tuner oracle that searches by generations."""

import contextlib
import json
import math
import os
import random
import tempfile
import warnings

import numpy as np

_TRIALS = 24  # enough for two generations of any small population


class OracleCheckError(AssertionError):
    """An oracle broke a promise; says which check, and what came instead."""


def check_oracle(make, checks=None):
    """Runs the battery over an oracle and stops at the first broken promise.

    No model is trained: trials are created, updated and ended by hand.

    Args:
        make: Callable that takes `objective`, `max_trials`, `seed`, `hyperparameters`
            and `max_retries_per_trial` and returns a new `keras_tuner.Oracle`.
        checks: Those of `ORACLE_CHECKS` to run; None for all.

    Raises:
        OracleCheckError: Names the check, what was promised and what came.

    Example:
        >>> from tfrobustloss import search
        >>> check_oracle(search.CMAESOracle, [check_values, check_workers])
    """
    for check in ORACLE_CHECKS if checks is None else checks:
        check(make)


def check_values(make):
    """Values are in range, whole where they must be, and plain Python numbers."""
    for values in _run(make)[0]:
        for parameter in _space().space:
            value = values[parameter.name]
            kind = int if type(parameter).__name__ == "Int" else float
            _expect(type(value) is kind, "values", f"{parameter.name}={value!r}")
            low, high = parameter.min_value, parameter.max_value
            _expect(low <= value <= high, "values", f"{parameter.name}={value!r}")
            json.dumps(value)


def check_seed(make):
    """The same seed gives the same trials, another one does not."""
    once, again, other = (_run(make, seed=seed)[0] for seed in (3, 3, 4))
    _expect(once == again, "seed", "two searches with one seed that differ")
    _expect(once != other, "seed", "the same search for two seeds")


def check_directions(make):
    """A score to be maximised is searched as its negative is minimised."""
    low = _run(make, "min")[0]
    high = _run(make, "max", score=lambda values: -_score(values))[0]
    _expect(low == high, "directions", "other trials for the negative")


def check_failures(make):
    """Trials that fail, or have no finite score, do not hold up the search."""
    for failure in (math.nan, math.inf, -math.inf, "INVALID", "FAILED"):
        bad = iter([None, failure] * _TRIALS)
        values, oracle = _run(make, score=lambda v, bad=bad: next(bad) or _score(v))
        statuses = [trial.status for trial in oracle.trials.values()]
        expected = ["COMPLETED", "FAILED"] * (_TRIALS // 2)
        _expect(statuses == expected, "failures", f"{statuses} for {failure!r}")


def check_workers(make):
    """Workers that take turns get trials of their own, the same as one worker's."""
    alone = _run(make)[0]
    with _project(make) as oracle:
        together, held = [], {}
        while len(together) < _TRIALS:
            for worker in ("a", "b", "c"):
                trial = oracle.create_trial(worker)
                if trial.status == "RUNNING":
                    held[worker] = trial
                    together.append(trial.hyperparameters.values)
            for worker in list(held):
                _finish(oracle, held.pop(worker), _score)
    key = str
    _expect(
        sorted(alone, key=key) == sorted(together, key=key),
        "workers",
        "other trials for three workers",
    )


def check_reload(make):
    """A search that is stopped anywhere goes on as if it had not been."""
    whole = _run(make)[0]
    for stop in range(1, _TRIALS, 5):
        with tempfile.TemporaryDirectory() as folder:
            with _project(make, folder=folder) as oracle:
                for _ in range(stop):
                    _finish(oracle, oracle.create_trial("a"), _score)
                left = oracle.create_trial("a").hyperparameters.values
            with _project(make, folder=folder) as oracle:
                oracle.reload()
                again = oracle.create_trial("a")
                resumed = again.hyperparameters.values
                _expect(left == resumed, "reload", f"{resumed} for {left}")
                _finish(oracle, again, _score)
                while (trial := oracle.create_trial("a")).status == "RUNNING":
                    _finish(oracle, trial, _score)
                values = [
                    oracle.trials[i].hyperparameters.values for i in oracle.trials
                ]
        _expect(values == whole, "reload", f"other trials after {stop}")


def check_retry(make):
    """A retry repeats its trial's values, and counts by itself."""
    with _project(make, max_retries_per_trial=1) as oracle:
        first = oracle.create_trial("a")
        values = dict(first.hyperparameters.values)
        _finish(oracle, first, lambda _: math.nan)
        second = oracle.create_trial("a")
        _expect(second.trial_id == first.trial_id, "retry", second.trial_id)
        _expect(second.hyperparameters.values == values, "retry", "other values")
        _finish(oracle, second, lambda _: 0.25)
        score = oracle.trials[first.trial_id].score
        _expect(score == 0.25, "retry", f"a score of {score} for 0.25")


def check_choice(make):
    """A `Choice` and a `Boolean` are refused by name, a `Fixed` is kept."""
    for kind, arguments in (("Choice", [["x", "y"]]), ("Boolean", []), ("Fixed", [5])):
        space = _space()
        getattr(space, kind)("extra", *arguments)
        with _project(make, hyperparameters=space) as oracle:
            try:
                values = oracle.create_trial("a").hyperparameters.values
            except ValueError as error:
                _expect("extra" in str(error), "choice", str(error))
                _expect(kind != "Fixed", "choice", str(error))
            else:
                _expect(kind == "Fixed", "choice", f"{kind} sampled: {values}")
                _expect(values["extra"] == 5, "choice", values["extra"])


def check_state(make):
    """Its state is JSON, in files that hold no pickle."""
    with tempfile.TemporaryDirectory() as folder:
        with _project(make, folder=folder) as oracle:
            _finish(oracle, oracle.create_trial("a"), _score)
            state = oracle.get_state()
            _expect(json.loads(json.dumps(state)) == state, "state", state)
        for place, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(place, name), encoding="utf-8") as file:
                    for line in file:
                        json.loads(line)


def check_random_state(make):
    """Global random states are neither read nor written."""
    undisturbed = _run(make)[0]
    before, states = random.getstate(), _random_states()
    _run(make)
    _expect(states == _random_states(), "random_state", "another state than before")

    def disturbing(values):
        np.random.seed(0)
        random.seed(0)
        return _score(values)

    try:
        disturbed = _run(make, score=disturbing)[0]
    finally:
        random.setstate(before)
    _expect(disturbed == undisturbed, "random_state", "other trials for another state")


ORACLE_CHECKS = (
    check_values,
    check_seed,
    check_directions,
    check_failures,
    check_workers,
    check_reload,
    check_retry,
    check_choice,
    check_state,
    check_random_state,
)


def _expect(condition, check, came):
    if not condition:
        promise = globals()[f"check_{check}"].__doc__.strip()
        raise OracleCheckError(f"check_{check}: {promise} Came: {came}.")


def _space():
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Float("linear", -2.0, 3.0, default=1.0)
    space.Float("log", 1e-4, 1.0, sampling="log", default=1e-2)
    space.Float("step", 0.0, 1.0, step=0.1, default=0.5)
    space.Int("whole", 2, 9, default=4)
    space.Int("whole_log", 1, 512, sampling="log", default=16)
    return space


def _score(values):
    return (
        (values["linear"] + 1.0) ** 2
        + (math.log10(values["log"]) + 3.0) ** 2
        + (values["step"] - 0.3) ** 2
        + (values["whole"] - 7) ** 2 / 10
        + (math.log2(values["whole_log"]) - 7.0) ** 2 / 10
    )


def _random_states():
    name, key, *rest = np.random.get_state()
    return random.getstate(), name, key.tolist(), rest


@contextlib.contextmanager
def _project(make, direction="min", folder=None, **options):
    """A new oracle in a folder of its own, or in one that is there."""
    import keras_tuner

    arguments = {
        "objective": keras_tuner.Objective("score", direction),
        "max_trials": _TRIALS,
        "seed": 0,
        "hyperparameters": _space(),
        "max_retries_per_trial": 0,
    }
    with contextlib.ExitStack() as stack:
        # threading.currentThread, which Keras Tuner calls
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", DeprecationWarning)
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        oracle = make(**{**arguments, **options})
        oracle.verbose = 0
        # keras-tuner 1.4.8, not documented: otherwise only a tuner sets the folder
        oracle._set_project_dir(folder, "check")
        if hasattr(oracle, "close"):
            stack.callback(oracle.close)
        yield oracle


def _run(make, direction="min", score=_score, **options):
    """Values of all trials of a search by one worker, and the oracle."""
    with _project(make, direction, **options) as oracle:
        while (trial := oracle.create_trial("a")).status == "RUNNING":
            _finish(oracle, trial, score)
            if len(oracle.end_order) > _TRIALS:
                raise OracleCheckError(f"More trials than max_trials={_TRIALS}.")
        trials = sorted(oracle.trials.values(), key=lambda trial: trial.trial_id)
        return [dict(trial.hyperparameters.values) for trial in trials], oracle


def _finish(oracle, trial, score):
    """Ends a trial with a score, or with the status that is given instead."""
    result = score(trial.hyperparameters.values)
    if isinstance(result, str):
        trial.status = result
    else:
        oracle.update_trial(trial.trial_id, {"score": result})
        trial.status = "COMPLETED"
    oracle.end_trial(trial)
