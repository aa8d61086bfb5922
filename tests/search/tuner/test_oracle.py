"""`CMAESOracle`, driven by hand: no model is trained."""

import json
import math
import os
import pickle
import random
import warnings

import keras_tuner
import numpy as np
import pytest

from tfrobustloss import testing
from tfrobustloss.search import CMAESOracle
from tfrobustloss.testing import ORACLE_CHECKS, OracleCheckError


@pytest.mark.parametrize("check", ORACLE_CHECKS, ids=lambda check: check.__name__)
def test_battery(check, capsys):
    check(CMAESOracle)


# --- the battery bites: an oracle that breaks each promise


class NumpyValues(CMAESOracle):
    def populate_space(self, trial_id):
        response = super().populate_space(trial_id)
        for name in ("linear", "log") if "values" in response else ():
            response["values"][name] = np.float64(response["values"][name])
        return response


class Unseeded(CMAESOracle):
    def begin(self):
        self.seed = int.from_bytes(os.urandom(3), "big") if not self.trials else 1
        super().begin()


class AlwaysDown(CMAESOracle):
    def __init__(self, **options):
        super().__init__(**options)
        self.objective.direction = "min"


class NeverFails(CMAESOracle):
    def score_trial(self, trial):
        super().score_trial(trial)
        trial.score = 0.0


class SharedTrial(CMAESOracle):
    def create_trial(self, tuner_id):
        return super().create_trial("one")


class ForgetsGenerations(CMAESOracle):
    def reload(self):
        super().reload()
        os.remove(os.path.join(self.project_dir, "cma.jsonl"))
        self.seed += 1


class OtherRetry(CMAESOracle):
    def create_trial(self, tuner_id):
        trial = super().create_trial(tuner_id)
        if trial.trial_id in self.run_times:
            trial.hyperparameters.values["linear"] = 0.0
        return trial


class Samples(CMAESOracle):
    def begin(self):
        for parameter in self.hyperparameters.space:
            if type(parameter).__name__ in ("Choice", "Boolean"):
                self._options["hold"][parameter.name] = parameter.random_sample(0)
        super().begin()


class Pickles(CMAESOracle):
    def save(self):
        super().save()
        with open(os.path.join(self.project_dir, "state.pkl"), "wb") as file:
            pickle.dump(self.get_state(), file)


class GlobalRandom(CMAESOracle):
    def begin(self):
        np.random.rand()
        super().begin()


BROKEN = {
    "check_values": NumpyValues,
    "check_seed": Unseeded,
    "check_directions": AlwaysDown,
    "check_failures": NeverFails,
    "check_workers": SharedTrial,
    "check_reload": ForgetsGenerations,
    "check_retry": OtherRetry,
    "check_choice": Samples,
    "check_state": Pickles,
    "check_random_state": GlobalRandom,
}


@pytest.mark.parametrize("check", ORACLE_CHECKS, ids=lambda check: check.__name__)
def test_battery_bites(check, capsys):
    states = np.random.get_state(), random.getstate()
    with pytest.raises((OracleCheckError, UnicodeDecodeError)):
        testing.check_oracle(BROKEN[check.__name__], [check])
    np.random.set_state(states[0])
    random.setstate(states[1])


# --- what the battery does not cover


@pytest.fixture
def make(tmp_path):
    """Function that makes an oracle over the unit square, in one folder."""
    made = []

    def function(**options):
        space = keras_tuner.HyperParameters()
        space.Float("x", 0, 1)
        space.Float("y", 0, 1)
        objective = keras_tuner.Objective("score", "min")
        options = {"objective": objective, "hyperparameters": space, **options}
        oracle = CMAESOracle(**options)
        oracle.verbose = 0
        oracle.idle_seconds = 0
        oracle.set_project_dir(str(tmp_path), "project")
        made.append(oracle)
        return oracle

    yield function
    for oracle in made:
        oracle.close()


def finish(oracle, trial, score=None):
    if score is None:
        values = trial.hyperparameters.values
        score = sum((value - 0.3) ** 2 for value in values.values())
    oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def values_of(oracle):
    return [oracle.trials[i].hyperparameters.values for i in sorted(oracle.trials)]


def test_the_optimum_is_reached(make):
    oracle = make(max_trials=150)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        finish(oracle, trial)
    best = oracle.get_best_trials()[0]
    assert best.score < 1e-6
    assert best.hyperparameters.values["x"] == pytest.approx(0.3, abs=1e-3)


def test_a_search_may_be_given_more_trials(make):
    whole = make(max_trials=20, overflow=False)
    while (trial := whole.create_trial("a")).status == "RUNNING":
        finish(whole, trial)
    whole.close()
    longer = make(max_trials=200)
    longer.reload()
    assert longer.create_trial("a").status == "RUNNING"
    assert len(longer.trials) == 21


def test_the_end_of_a_generation_waits_or_overflows(make):
    oracle = make(population_size=4)
    held = [oracle.create_trial(f"{i}") for i in range(4)]
    assert oracle.create_trial("late").status == "IDLE"
    for trial in held:
        finish(oracle, trial)
    assert oracle.create_trial("late").status == "RUNNING"


def test_overflow_never_idles_and_resumes(make):
    oracle = make(population_size=4, overflow=True)
    held = [oracle.create_trial(f"{i}") for i in range(6)]
    assert {trial.status for trial in held} == {"RUNNING"}
    for trial in held[2:]:  # the first four results are the generation
        finish(oracle, trial)
    finish(oracle, held[0])  # too late, and no harm
    following = oracle.create_trial("0")
    assert following.trial_id == "006"
    oracle.close()
    again = make(population_size=4, overflow=True)
    again.reload()
    left = {again.create_trial(f"{i}").trial_id for i in range(2)}
    assert left == {"001", "006"}
    values = {i: t.hyperparameters.values for i, t in again.trials.items()}
    assert values["006"] == following.hyperparameters.values


def test_a_lease_that_ends_hands_the_trial_over(make, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    oracle = make(lease_seconds=10, population_size=4)
    first = oracle.create_trial("a")
    now[0] = 9.0
    oracle.touch("a")
    now[0] = 18.0
    assert oracle.create_trial("b").trial_id != first.trial_id
    now[0] = 20.0
    again = oracle.create_trial("c")
    assert again.trial_id == first.trial_id
    assert again.hyperparameters.values == first.hyperparameters.values
    copy = keras_tuner.engine.trial.Trial.from_state(first.get_state())
    copy.status = "COMPLETED"
    oracle.report(copy, "a", [(0, {"score": 0.5})])  # the first result counts,
    copy.status = "COMPLETED"
    oracle.report(copy, "c", [(0, {"score": 0.7})])  # the second does not,
    copy.status = "FAILED"
    oracle.report(copy, "c", [])  # and neither does a failure
    assert oracle.trials[first.trial_id].score == 0.5
    assert [record.value for record in oracle._search.history()] == [0.5]


def test_a_failure_of_who_lost_the_trial_is_ignored(make, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    oracle = make(lease_seconds=10)
    first = oracle.create_trial("a")
    now[0] = 11.0
    oracle.create_trial("b")
    copy = keras_tuner.engine.trial.Trial.from_state(first.get_state())
    copy.status = "INVALID"
    oracle.report(copy, "a", [])
    assert oracle.ongoing_trials["b"].status == "RUNNING"


def test_the_last_workers_stay_for_the_trials_of_the_dead(make, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    oracle = make(lease_seconds=10, max_trials=2)
    oracle.create_trial("dies")
    finish(oracle, oracle.create_trial("lives"))
    assert oracle.create_trial("lives").status == "IDLE"
    assert not oracle.is_over()
    now[0] = 11.0
    finish(oracle, oracle.create_trial("lives"))
    assert oracle.create_trial("lives").status == "STOPPED"
    assert oracle.is_over()


def test_a_trial_that_kills_its_workers_fails(make, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    oracle = make(lease_seconds=10)
    ids = []
    for worker in range(6):
        ids.append(oracle.create_trial(f"{worker}").trial_id)
        now[0] += 11.0
    assert ids == ["000"] * 5 + ["001"]
    assert oracle.trials["000"].status == "FAILED"


def test_a_lost_or_old_trial_file_is_made_again(make, tmp_path):
    oracle = make()
    for _ in range(5):
        finish(oracle, oracle.create_trial("a"))
    under_way = oracle.create_trial("a")
    values, scores = values_of(oracle), [t.score for t in oracle.trials.values()]
    oracle.close()
    folder = tmp_path / "project"
    os.remove(folder / "trial_002" / "trial.json")
    (folder / "trial_003" / "trial.json").write_text("")
    os.remove(folder / "trial_005" / "trial.json")
    state = json.loads((folder / "trial_001" / "trial.json").read_text())
    state.update(status="RUNNING", score=None)  # killed before it was replaced
    (folder / "trial_001" / "trial.json").write_text(json.dumps(state))
    again = make()
    with pytest.warns(UserWarning, match="trial_003"):
        again.reload()
    trial = again.create_trial("a")
    assert trial.trial_id == under_way.trial_id
    assert values_of(again) == values
    assert [again.trials[i].score for i in sorted(again.trials)] == scores


def test_a_lost_journal_is_made_again_from_the_trials(make, tmp_path):
    oracle = make(max_trials=40)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        finish(oracle, trial)
    values = values_of(oracle)
    oracle.close()
    os.remove(tmp_path / "project" / "cma.jsonl")
    again = make(max_trials=41)
    again.reload()
    again.create_trial("a")
    assert values_of(again)[:40] == values
    assert len(again._search.history()) == 40


def test_the_journal_of_another_search_is_refused(make, tmp_path):
    oracle = make()
    finish(oracle, oracle.create_trial("a"))
    oracle.close()
    for options in ({"sigma0": 0.2}, {"seed": 5}, {"hold": {"x": 0.5}}):
        with pytest.raises(ValueError, match="CMAES: `.*overwrite=True"):
            make(**options).reload()


def test_the_state_stays_small(make, tmp_path):
    oracle = make(max_trials=120)
    sizes = []
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        finish(oracle, trial)
        sizes.append(os.path.getsize(tmp_path / "project" / "oracle.json"))
    assert max(sizes) < 1.1 * min(sizes)


def test_failures_that_do_not_end_the_search(make):
    oracle = make(population_size=4, max_trials=60)
    for number in range(60):
        # seven in a row: more than three, fewer than two populations
        score = 0.5 if number % 8 == 7 else math.nan
        finish(oracle, oracle.create_trial("a"), score)
    assert oracle.create_trial("a").status == "STOPPED"


def test_a_search_where_nothing_works_ends(make):
    oracle = make(population_size=4)
    for _ in range(7):
        trial = oracle.create_trial("a")
        trial.status = "INVALID"
        oracle.end_trial(trial)
    trial = oracle.create_trial("a")
    trial.status, trial.message = "INVALID", "no such layer"
    with pytest.raises(RuntimeError, match="8 trials in a row.*no such layer"):
        oracle.end_trial(trial)
    assert oracle.create_trial("b").status == "RUNNING"  # no lock is left closed
    limited = {"max_consecutive_failed_trials": 1, "seed": 0, "population_size": 4}
    oracle.close()
    strict = make(**limited)
    strict.reload()
    trial = strict.create_trial("a")
    with pytest.raises(RuntimeError, match="9 trials in a row"):
        finish(strict, trial, math.inf)


def test_new_hyperparameters_are_an_error(make):
    oracle = make()
    trial = oracle.create_trial("a")
    trial.hyperparameters.Float("late", 0, 1)
    with pytest.raises(RuntimeError, match=r"\['late'\] appeared after"):
        finish(oracle, trial)


def test_new_hyperparameters_that_are_not_tuned_are_none(make):
    oracle = make(tune_new_entries=False)
    trial = oracle.create_trial("a")
    trial.hyperparameters.Float("late", 0, 1)
    finish(oracle, trial)
    assert oracle.trials[trial.trial_id].status == "COMPLETED"


def test_a_completed_trial_needs_a_score(make):
    oracle = make()
    trial = oracle.create_trial("a")
    trial.status = "COMPLETED"
    with pytest.raises(ValueError, match="000.*'score'"):
        oracle.end_trial(trial)
    with pytest.raises(KeyError, match="'nothing'"):
        oracle.update_trial("nothing", {"score": 1.0})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_trials": 0}, ValueError),
        ({"sigma0": 0.0}, ValueError),
        ({"population_size": 2}, ValueError),
        ({"seed": -1}, ValueError),
        ({"lease_seconds": 0}, ValueError),
        ({"max_consecutive_failed_trials": 0}, ValueError),
        ({"sigma0": "wide"}, TypeError),
    ],
)
def test_arguments_out_of_range(make, options, error):
    (name, value), *_ = options.items()
    with pytest.raises(error, match=f"CMAES: `{name}`.*{value}"):
        make(**options)


def test_no_seed_draws_one_and_keeps_it(make):
    oracle = make(seed=None)
    finish(oracle, oracle.create_trial("a"))
    oracle.close()
    again = make(seed=None)
    assert again.seed != oracle.seed
    again.reload()
    assert again.seed == oracle.seed


def test_nothing_warns(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oracle = make()
        finish(oracle, oracle.create_trial("a"), math.nan)
    others = {str(w.message) for w in caught if w.category is not DeprecationWarning}
    assert not others
