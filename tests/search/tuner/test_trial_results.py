"""Metrics of a trial from what `run_trial` returned; an objective not among them."""

import math
import re

import keras
import keras_tuner
import numpy as np
import pytest

from tfrobustloss.search import CMAES
from tfrobustloss.search.tuner import trial_results

VAL_LOSS = keras_tuner.Objective("val_loss", "min")


def both(*directions):
    """The objective that Keras Tuner makes of a list."""
    names = ("val_loss", "val_accuracy")
    return keras_tuner.Oracle(
        [keras_tuner.Objective(*pair) for pair in zip(names, directions, strict=True)]
    ).objective


def history(**metrics):
    made = keras.callbacks.History()
    made.history = metrics
    return made


# --- values


@pytest.mark.parametrize(
    ("results", "value", "step"),
    [
        (0.5, 0.5, 0),
        (np.float32(0.5), 0.5, 0),
        (np.int64(2), 2.0, 0),
        ({"val_loss": 0.5, "loss": 9.0}, 0.5, 0),
        ([0.25, 0.75], 0.5, 0),
        (history(loss=[3.0, 2.0, 1.0], val_loss=[0.5, 0.25, 0.75]), 0.25, 1),
        # validation in every second epoch, or from the second on: aligned at the end
        (history(loss=[4.0, 3.0, 2.0, 1.0], val_loss=[0.25, 0.5]), 0.25, 2),
        (history(val_loss=[0.5], loss=[4.0, 3.0, 2.0]), 0.5, 2),
        ([history(val_loss=[0.5, 0.25]), history(val_loss=[0.75, 1.0])], 0.5, 0),
    ],
)
def test_the_value_of_the_objective(results, value, step):
    metrics, best_step = trial_results.metrics_of(results, VAL_LOSS)
    assert metrics["val_loss"] == value
    assert best_step == step


def test_the_other_metrics_are_of_the_best_epoch():
    results = history(loss=[3.0, 2.0, 1.0], val_loss=[0.5, 0.25], late=[7.0])
    metrics, _ = trial_results.metrics_of(results, VAL_LOSS)
    assert metrics == {"loss": 1.0, "val_loss": 0.25, "late": 7.0}


def test_the_values_of_several_objectives():
    objective = both("min", "max")
    expected = {"val_loss": 0.5, "val_accuracy": 0.75, "multi_objective": -0.25}
    results = history(val_loss=[0.5, 0.25], val_accuracy=[0.75, 0.25])
    assert trial_results.metrics_of(results, objective) == (expected, 0)
    results = {"val_loss": 0.5, "val_accuracy": 0.75}
    assert trial_results.metrics_of(results, objective) == (expected, 0)


def test_a_nan_is_a_value():
    for results in (math.nan, {"val_loss": math.nan}, history(val_loss=[math.nan])):
        assert math.isnan(trial_results.metrics_of(results, VAL_LOSS)[0]["val_loss"])


# --- no value


@pytest.mark.parametrize(
    ("results", "objective", "message"),
    [
        (
            history(loss=[1.0], val_accuracy=[0.5], val_loss=[1.0]),
            keras_tuner.Objective("val_acc", "max"),
            "a metric that the trial reports: 'loss', 'val_accuracy' or 'val_loss'. "
            "Received: objective='val_acc'. Did you mean 'val_accuracy'?",
        ),
        (
            history(loss=[1.0]),
            VAL_LOSS,
            "'loss'. Received: objective='val_loss'. No validation metric was "
            "reported: give `search` validation data",
        ),
        ({"accuracy": 0.5}, VAL_LOSS, "'accuracy'. Received: objective='val_loss'."),
        ([0.5, {"loss": 0.5}], VAL_LOSS, "'loss'. Received: objective='val_loss'."),
        (history(), VAL_LOSS, "and this one reported none. Received: objective='val_l"),
        (
            history(val_loss=[1.0], val_acc=[0.5]),
            both("min", "max"),
            "Received: objective=['val_loss', 'val_accuracy']. Not reported: "
            "'val_accuracy'. Did you mean 'val_acc'?",
        ),
        (0.5, both("min", "max"), "Not reported: 'val_loss' and 'val_accuracy'."),
        (history(loss=[1.0]), keras_tuner.Oracle().objective, "objective=None."),
    ],
)
def test_an_objective_that_is_not_reported(results, objective, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        trial_results.metrics_of(results, objective)
    assert isinstance(raised.value, keras_tuner.errors.FatalError)
    assert str(raised.value).startswith("CMAES: `objective` must be ")


@pytest.mark.parametrize("results", [None, "0.5", [0.5, None]])
def test_results_of_another_kind(results):
    with pytest.raises(TypeError, match="`run_trial` must return a number, ") as raised:
        trial_results.metrics_of(results, VAL_LOSS)
    assert isinstance(raised.value, keras_tuner.errors.FatalError)


# --- the search


class Reports(CMAES):
    """Each trial returns the next of `results`."""

    def run_trial(self, trial, **fit_kwargs):
        self.trained = getattr(self, "trained", 0) + 1
        return self.results[self.trained - 1]


def reports(folder, *results, objective=VAL_LOSS, **options):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    options = {"population_size": 3, "max_trials": 4, **options}
    tuner = Reports(None, objective, hyperparameters=space, directory=folder, **options)
    tuner.results = results
    return tuner


def test_it_ends_the_search_and_the_right_name_goes_on(tmp_path):
    tuner = reports(tmp_path, *[{"val_accuracy": 0.5}] * 4, max_retries_per_trial=2)
    with pytest.raises(ValueError, match="'val_accuracy'. Received.*'val_loss'"):
        tuner.search(verbose=0)
    assert tuner.trained == 1
    objective = keras_tuner.Objective("val_accuracy", "min")
    again = reports(tmp_path, *[{"val_accuracy": 0.5}] * 4, objective=objective)
    again.search(verbose=0)
    assert [trial.score for trial in again.oracle.trials.values()] == [0.5] * 4


def test_some_trials_without_it_are_failures(tmp_path):
    """The metrics may depend on the hyper-parameters."""
    there, missing = {"val_loss": 0.5}, {"loss": 0.5}
    tuner = reports(tmp_path, there, missing, {"val_loss": math.nan}, there)
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    statuses = [trial.status for trial in trials]
    assert statuses == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
    assert "a metric that the trial reports: 'loss'" in trials[1].message
    assert "The objective was nan" in trials[2].message
    more = [there, *[missing] * 3]
    tuner = reports(tmp_path / "more", *more, max_consecutive_failed_trials=2)
    with pytest.raises(RuntimeError, match="2 trials in a row(.|\n)*that the trial"):
        tuner.search(verbose=0)
    assert tuner.trained == 3


def test_nan_does_not_end_the_search(tmp_path):
    tuner = reports(tmp_path, math.nan, {"val_loss": math.nan}, 0.5, 0.25)
    tuner.search(verbose=0)
    assert tuner.trained == 4


def test_metrics_reported_by_hand(tmp_path):
    class ByHand(Reports):
        def run_trial(self, trial, **fit_kwargs):
            self.oracle.update_trial(trial.trial_id, super().run_trial(trial))

    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    options = {"max_trials": 4, "hyperparameters": space, "directory": tmp_path}
    tuner = ByHand(None, VAL_LOSS, **options)
    tuner.results = [{"loss": 0.5}]
    with pytest.raises(ValueError, match="'loss'. Received: objective='val_loss'"):
        tuner.search(verbose=0)
    tuner = ByHand(None, VAL_LOSS, **options)
    tuner.results = [{"val_loss": 0.5}, {"loss": 0.5}, *[{"val_loss": 0.25}] * 2]
    with pytest.warns(DeprecationWarning, match="update_trial"):
        tuner.search(verbose=0)
    assert tuner.oracle.trials["1"].status == "FAILED"
