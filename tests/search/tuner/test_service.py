"""One search by several processes on this machine, which are killed and stopped."""

import json
import os
import re
import signal
import socket
import threading
import time

import keras_tuner
import pytest

from tests.search.tuner.processes import PROCESSES
from tfrobustloss.search import CMAES
from tfrobustloss.search.tuner import service

TRIALS = 24


class Slow(CMAES):
    """The distance to (0.3, 0.3), which may take long, or for ever."""

    stuck_from = None  # the first trial of this number or later never ends
    error = None
    seconds = 0.02

    def run_trial(self, trial, **fit_kwargs):
        if self.error:
            raise RuntimeError(self.error)
        if self.stuck_from is not None and int(trial.trial_id) >= self.stuck_from:
            self.note("stuck", trial.trial_id)
            while not os.path.exists(self.path("freed")):
                time.sleep(0.02)
        for _ in range(4):
            time.sleep(self.seconds / 4)
            self.keep_alive(trial)
        self.note("done", trial.trial_id)
        values = trial.hyperparameters.values
        return sum((value - 0.3) ** 2 for value in values.values())

    def path(self, name):
        return os.path.join(self.project_dir, f"{name}-{self.tuner_id}")

    def note(self, name, text):
        with open(self.path(name), "a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def tuner_in(folder, tuner_class=Slow, **options):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0, 1)
    space.Float("y", 0, 1)
    return tuner_class(
        hyperparameters=space,
        directory=str(folder),
        project_name="p",
        **{"max_trials": TRIALS, "population_size": 8, "lease_seconds": 0.7, **options},
    )


def play(role, port, folder, stuck_from=None, error=None, seconds=0.02, **options):
    """What one process does."""
    os.environ["KERASTUNER_TUNER_ID"] = role
    os.environ["KERASTUNER_ORACLE_PORT"] = str(port)
    service.PATIENCE_SECONDS, service.LINGER_SECONDS = 30.0, 1.5
    tuner = tuner_in(folder, **options)
    tuner.stuck_from, tuner.error, tuner.seconds = stuck_from, error, seconds
    tuner.search(verbose=0)
    best = tuner.get_best_hyperparameters()[0].values
    tuner.note("best", json.dumps(best))


@pytest.fixture
def start(tmp_path):
    """Function that starts a process with a role; those left are ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []

    def function(role, **options):
        arguments = (role, port, str(tmp_path))
        process = PROCESSES.Process(target=play, args=arguments, kwargs=options)
        process.start()
        started.append(process)
        return process

    yield function
    for process in started:
        process.kill()
        process.join()


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return found


def told(folder):
    path = folder / "p" / "cma.jsonl"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def records(tuner):
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: trial.trial_id)
    return [(t.trial_id, t.status, t.score, t.hyperparameters.values) for t in trials]


def test_killed_stopped_and_restarted(start, tmp_path):
    chief = start("chief")
    killed = start("worker-killed", stuck_from=5)
    stopped = start("worker-stopped", stuck_from=8)
    project = tmp_path / "p"
    # others begin when both are stuck: else they might be through before
    wait_for((project / "stuck-worker-killed").exists)
    killed.kill()
    wait_for((project / "stuck-worker-stopped").exists)
    os.kill(stopped.pid, signal.SIGSTOP)
    workers = [start("worker-a"), start("worker-b")]
    wait_for(lambda: told(tmp_path) >= 12)
    chief.kill()
    chief.join()
    chief = start("chief")
    wait_for(lambda: told(tmp_path) == TRIALS)
    (project / "freed-worker-stopped").touch()
    os.kill(stopped.pid, signal.SIGCONT)  # with a result that comes too late
    for process in [*workers, stopped, chief]:
        process.join(60)
        assert process.exitcode == 0

    serial = tuner_in(tmp_path / "serial")
    serial.search(verbose=0)
    shared = tuner_in(tmp_path)
    assert records(shared) == records(serial)
    assert told(tmp_path) == TRIALS
    late = (project / "stuck-worker-stopped").read_text().split()[0]
    done_by = [p.name for p in project.glob("done-*") if late in p.read_text().split()]
    assert sorted(done_by)[-1] == "done-worker-stopped"
    assert len(done_by) == 2
    best = json.loads((project / "best-worker-a").read_text())
    assert best == serial.get_best_hyperparameters()[0].values


def test_a_sign_of_life_keeps_a_long_trial(start, tmp_path):
    names = ("chief", "worker-a", "worker-b")
    processes = [
        start(role, seconds=2.4, lease_seconds=1.8, max_trials=2) for role in names
    ]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    notes = [path.read_text().split() for path in (tmp_path / "p").glob("done-*")]
    assert sorted(sum(notes, [])) == ["0", "1"]  # none was handed over


# --- a chief and a worker in one process


class Reporting(Slow):
    """Returns the metrics that each trial of `results` has."""

    results = ({"loss": 0.5},)

    def run_trial(self, trial, **fit_kwargs):
        self.note("done", trial.trial_id)
        return self.results[min(int(trial.trial_id), len(self.results) - 1)]


@pytest.fixture
def chief_and_worker(monkeypatch, tmp_path):
    """Function that runs both in this process; what they raised, or None."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
    monkeypatch.setattr(service, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 30.0)
    tuners, raised = {}, {}

    def search(role):
        try:
            tuners[role].search(verbose=0)
        except Exception as error:
            raised[role] = error

    def function(tuner_class, **options):
        for role in ("chief", "worker"):
            monkeypatch.setenv("KERASTUNER_TUNER_ID", role)
            tuners[role] = tuner_in(tmp_path, tuner_class, **options)
        thread = threading.Thread(target=search, args=("chief",))
        thread.start()
        search("worker")
        thread.join(30)
        assert not thread.is_alive()
        return raised.get("chief"), raised.get("worker")

    return function


class Failing(Slow):
    error = "no such layer"


def test_where_nothing_works_everybody_ends(chief_and_worker):
    chief, worker = chief_and_worker(Failing, max_consecutive_failed_trials=2)
    assert "2 trials in a row have failed" in str(chief)
    assert "no such layer" in str(chief)
    assert "the chief refused EndTrial" in str(worker)


def test_what_a_worker_tells_of_a_failed_trial(chief_and_worker, tmp_path):
    chief, worker = chief_and_worker(Failing, max_trials=2)
    assert "none of 2 trials has succeeded" in str(chief)
    assert worker is None
    trial = json.loads((tmp_path / "p" / "trial_0" / "trial.json").read_text())
    assert trial["status"] == "FAILED"
    assert "no such layer" in trial["message"]


def test_an_objective_that_a_worker_does_not_report(chief_and_worker, tmp_path):
    objective = keras_tuner.Objective("val_loss", "min")
    chief, worker = chief_and_worker(Reporting, objective=objective)
    told = r"reports: 'loss'\. Received: objective='val_loss'"
    assert re.search(told, str(worker))
    assert re.search(
        f"^CMAES: worker has ended the search. CMAES: .*{told}", str(chief)
    )
    assert (tmp_path / "p" / "done-worker").read_text().split() == ["00"]
    assert (
        json.loads((tmp_path / "p" / "trial_00" / "trial.json").read_text())["status"]
        == "RUNNING"
    )


def test_some_trials_of_a_worker_without_the_objective(chief_and_worker, tmp_path):
    class Sometimes(Reporting):
        results = {"val_loss": 0.5}, {"loss": 0.5}, {"val_loss": 0.25}

    objective = keras_tuner.Objective("val_loss", "min")
    assert chief_and_worker(Sometimes, objective=objective, max_trials=3) == (
        None,
        None,
    )
    trials = [
        json.loads((tmp_path / "p" / f"trial_{i}" / "trial.json").read_text())
        for i in range(3)
    ]
    assert [one["status"] for one in trials] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert "reports: 'loss'" in trials[1]["message"]


def test_what_ends_a_worker_for_another_reason(chief_and_worker):
    class Nothing(Reporting):
        results = (None,)

    chief, worker = chief_and_worker(Nothing)
    assert isinstance(worker, TypeError)
    assert "must return a number" in str(worker)
    assert "must return a number" in str(chief)


# --- ports


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.5", "chief.example.org"])
def test_an_open_port_warns(host, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", host)
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    with pytest.warns(UserWarning, match="no password"):
        service._warn_if_open(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_does_not(host):
    service._warn_if_open(host)


def test_a_port_that_is_taken(monkeypatch, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        with pytest.raises(OSError, match="cannot listen.*ORACLE_PORT"):
            tuner_in(tmp_path).search(verbose=0)


def test_a_worker_without_a_chief_gives_up(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(ConnectionError, match="no chief at 127.0.0.1:1"):
        tuner_in(tmp_path).search(verbose=0)
