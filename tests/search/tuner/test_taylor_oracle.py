"""One Taylor search by a chief and its workers: the history of a single process."""

import os
import signal
import socket
import time

import pytest

from tests.search.networks import linear
from tests.search.tuner.processes import PROCESSES
from tfrobustloss.search import Task, TaylorLossSearch
from tfrobustloss.search.tuner import roles, service

SMALL = Task("digits", linear, train_size=200, validation_size=100)
QUICK = dict(generations=2, population_size=4, epochs=2, seeds_per_candidate=1)


def play(role, port, journal, **options):
    """What one process does."""
    os.environ[roles.TUNER], os.environ[roles.PORT] = role, str(port)
    service.PATIENCE_SECONDS, service.LINGER_SECONDS = 60.0, 1.5
    search = TaylorLossSearch(SMALL, journal=journal, **{**QUICK, **options})
    try:
        search.run()
    except ValueError as error:
        journal.with_name(f"{role}.error").write_text(str(error))
        raise
    finally:
        search.close()


@pytest.fixture
def start(tmp_path):
    """Function that starts a process with a role; those left are ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []

    def start(role, **options):
        arguments = (role, port, tmp_path / "shared.jsonl")
        process = PROCESSES.Process(target=play, args=arguments, kwargs=options)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def _lines(path):
    return path.read_text().count("\n") if path.exists() else 0


def test_history_is_that_of_one_process(start, tmp_path):
    chief, workers = start("chief"), [start("worker-1"), start("worker-2")]
    # the header, and some candidates in the middle of a generation
    deadline = time.monotonic() + 120
    while _lines(tmp_path / "shared.jsonl") < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(chief.pid, signal.SIGKILL)
    again = start("chief")
    for process in [again, *workers]:
        process.join(120)
        assert process.exitcode == 0
    assert chief.exitcode == -signal.SIGKILL  # it was still under way

    shared = TaylorLossSearch(SMALL, journal=tmp_path / "shared.jsonl", **QUICK)
    alone = TaylorLossSearch(SMALL, **QUICK)
    alone.run()
    assert shared.generation == 2
    assert shared.history() == alone.history()
    shared.close()


def test_a_worker_with_other_options_is_refused(start, tmp_path):
    start("chief")
    worker = start("worker-1", epochs=3)
    worker.join(120)
    assert worker.exitcode == 1
    error = (tmp_path / "worker-1.error").read_text()
    assert "options of this worker are not those of its chief" in error
    assert "'epochs': 3" in error


def test_a_chief_needs_a_journal(monkeypatch):
    monkeypatch.setenv(roles.TUNER, "chief")
    monkeypatch.setenv(roles.PORT, "1")
    monkeypatch.setenv(roles.IP, "127.0.0.1")
    with pytest.raises(ValueError, match=r"`journal` must be a path.*journal=None"):
        TaylorLossSearch(SMALL, **QUICK).run()
