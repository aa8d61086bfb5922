"""`CMAES` with models and with plain functions."""

import gc
import json
import os
import signal

import keras
import keras_tuner
import numpy as np
import pytest

from tfrobustloss.search import CMAES


class Square(CMAES):
    """No model: the distance to (0.3, 0.3)."""

    calls = 0

    def run_trial(self, trial, **fit_kwargs):
        type(self).calls += 1
        hp = trial.hyperparameters
        return (hp.get("x") - 0.3) ** 2 + (hp.get("y") - 0.3) ** 2


def plane():
    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    space.Float("y", 0, 1)
    return space


@pytest.fixture
def quick_builds():
    """Keras Tuner collects garbage before each build: keep it to the new objects."""
    gc.freeze()
    yield
    gc.unfreeze()


def values_of(tuner):
    trials = tuner.oracle.trials
    return [trials[i].hyperparameters.values for i in sorted(trials)]


def build(hp):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(hp.Int("units", 2, 8)), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    rate = hp.Float("rate", 1e-4, 1.0, sampling="log")
    # without a graph: what is trained is so small that only tracing would take time
    model.compile(keras.optimizers.SGD(rate), loss="mse", run_eagerly=True)
    return model


def line():
    x = np.linspace(-1, 1, 16, dtype="float32")[:, None]
    return x, 2 * x


def test_a_model(tmp_path, quick_builds):
    tuner = CMAES(
        build,
        objective="val_loss",
        max_trials=3,
        population_size=3,
        executions_per_trial=2,
        directory=tmp_path,
    )
    x, y = line()
    tuner.search(x, y, validation_data=(x, y), epochs=2, batch_size=16, verbose=0)
    trials = tuner.oracle.get_best_trials(3)
    assert [trial.status for trial in trials].count("COMPLETED") >= 2
    best = tuner.get_best_hyperparameters()[0].values
    assert set(best) == {"units", "rate"}
    assert type(best["units"]) is int
    model = tuner.get_best_models()[0]
    assert model.evaluate(x, y, verbose=0) <= trials[0].score * 1.5


def test_a_choice_is_refused_before_anything_is_trained(tmp_path):
    def with_choice(hp):
        hp.Choice("activation", ["relu", "tanh"])
        return build(hp)

    options = {"objective": "val_loss", "directory": tmp_path}
    with pytest.raises(ValueError, match="Choice 'activation'.*hold="):
        CMAES(with_choice, **options)
    tuner = CMAES(with_choice, hold={"activation": "tanh"}, overwrite=True, **options)
    trial = tuner.oracle.create_trial("tuner0")
    assert trial.hyperparameters.values["activation"] == "tanh"
    tuner.oracle.close()


def test_nothing_to_search_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="no `Float` or `Int`.*`hyperparameters="):
        Square(directory=tmp_path)


def test_a_model_that_cannot_be_built_ends_the_search(tmp_path, quick_builds):
    builds = []

    def broken(hp):
        builds.append(hp.Float("x", 0, 1))
        if len(builds) > 1:
            raise RuntimeError("no such layer")

    options = {"max_consecutive_failed_trials": 2, "directory": tmp_path}
    with pytest.raises(RuntimeError, match="2 trials in a row(.|\n)*no such layer"):
        CMAES(broken, "val_loss", **options).search(verbose=0)
    assert len(builds) == 1 + 2


def test_what_only_fit_asks_for_is_an_error(tmp_path, quick_builds):
    class Late(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            hp.Int("batch_size", 4, 16)
            return model.fit(*args, **kwargs)

    tuner = CMAES(Late(), "val_loss", directory=tmp_path)
    x, y = line()
    with pytest.raises(RuntimeError, match=r"\['batch_size'\] appeared after"):
        tuner.search(x, y, validation_data=(x, y), verbose=0)


def test_the_same_command_goes_on(tmp_path):
    class Interrupted(Square):
        def run_trial(self, trial, **fit_kwargs):
            if trial.trial_id == "13" and self.stops:
                raise KeyboardInterrupt
            return super().run_trial(trial)

    options = {"max_trials": 30, "hyperparameters": plane(), "population_size": 4}
    whole = Square(directory=tmp_path / "whole", **options)
    whole.search(verbose=0)
    Interrupted.stops, Interrupted.calls = True, 0
    first = Interrupted(directory=tmp_path / "parts", **options)
    with pytest.raises(KeyboardInterrupt):
        first.search(verbose=0)
    Interrupted.stops = False
    first.search(verbose=0)  # the same object goes on,
    assert values_of(first) == values_of(whole)
    again = Interrupted(directory=tmp_path / "parts", **options)
    again.search(verbose=0)  # and a new one finds nothing left to do
    assert values_of(again) == values_of(whole)
    assert Interrupted.calls == 30


def test_a_torn_tuner_file_does_no_harm(tmp_path):
    options = {"max_trials": 6, "hyperparameters": plane(), "directory": tmp_path}
    Square(**options).search(verbose=0)
    (tmp_path / "untitled_project" / "tuner0.json").write_text("")
    with pytest.warns(UserWarning, match="tuner0.json is left out"):
        tuner = Square(**options)
    assert len(tuner.oracle.trials) == 6


def test_overwrite_begins_again(tmp_path):
    options = {"max_trials": 6, "hyperparameters": plane(), "directory": tmp_path}
    Square(**options).search(verbose=0)
    Square.calls = 0
    Square(overwrite=True, **{**options, "seed": 4}).search(verbose=0)
    assert Square.calls == 6


def test_a_second_process_in_the_same_folder_is_refused(tmp_path):
    options = {"max_trials": 6, "hyperparameters": plane(), "directory": tmp_path}
    one = Square(**options)
    one.oracle.create_trial("tuner0")
    with pytest.raises(RuntimeError, match="no other search has open"):
        Square(**options).search(verbose=0)
    one.oracle.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_kill_changes_nothing(tmp_path):
    class Killed(Square):
        def run_trial(self, trial, **fit_kwargs):
            if trial.trial_id == "17":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().run_trial(trial)

    options = {"max_trials": 30, "hyperparameters": plane(), "population_size": 4}
    whole = Square(directory=tmp_path / "whole", **options)
    whole.search(verbose=0)
    child = os.fork()
    if not child:
        try:
            Killed(directory=tmp_path / "killed", **options).search(verbose=0)
        finally:
            os._exit(70)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == -signal.SIGKILL
    resumed = Square(directory=tmp_path / "killed", **options)
    assert len(resumed.oracle.trials) == 18
    resumed.search(verbose=0)
    assert values_of(resumed) == values_of(whole)
    journal = (tmp_path / "killed" / "untitled_project" / "cma.jsonl").read_text()
    assert len([json.loads(text) for text in journal.splitlines()]) == 31


def test_an_objective_that_the_model_does_not_report(tmp_path, quick_builds):
    trained = []

    class Count(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            trained.append(logs)

        def __deepcopy__(self, memo):
            return self

    objective = keras_tuner.Objective("val_acc", "max")
    options = {"executions_per_trial": 2, "max_retries_per_trial": 1}
    tuner = CMAES(build, objective, directory=tmp_path, **options)
    x, y = line()
    with pytest.raises(ValueError, match="reports: 'loss' or 'val_loss'.*='val_acc'"):
        tuner.search(x, y, validation_data=(x, y), verbose=0, callbacks=[Count()])
    assert len(trained) == 1


def test_cmaes_without_a_success(tmp_path):
    class Broken(CMAES):
        def run_trial(self, trial, **fit_kwargs):
            raise ValueError("no such objective")

    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    options = dict(max_trials=2, hyperparameters=space, directory=tmp_path)
    with pytest.raises(RuntimeError, match="none of 2 trials.*no such objective"):
        Broken(**options).search(verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(initial=[1]), r"`initial` must be a dict.*\[1\]"),
        (dict(hold="x"), "`hold` must be a dict.*'x'"),
        (dict(hyperparameters={"x": 1}), "`hyperparameters`.*HyperParameters"),
        (dict(overflow="no"), "`overflow`.*'no'"),
        (dict(restarts="ipob"), "`restarts` must be one of 'ipop'.*'ipob'"),
    ],
)
def test_arguments_of_cmaes(options, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=f"CMAES: {message}"):
        CMAES(lambda hp: None, "val_loss", directory=tmp_path, **options)
