"""The journal of CmaSearch: a search that was killed goes on as if it had not been."""

import json
import math
import os
import signal
import time
import zlib

import numpy as np
import pytest

from tfrobustloss.search import CmaSearch

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def value_of(x):
    """Rosenbrock's function with a hole in it."""
    value = float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    return math.nan if 0.9 < x[0] < 1 else value


def step(search):
    """One value, of a candidate that only the state decides."""
    if search._settings["overflow"]:
        while len(search.pending()) < 5 and search.ask():
            pass
    pending = search.pending()
    candidate = pending[7 * len(search.history()) % len(pending)]
    assert search.tell(candidate.id, value_of(candidate.x))


def state(search):
    return (
        search.generation,
        search.sigma,
        search.mean.tolist(),
        search.population_size,
        search.finished,
        [(c.id, c.generation, c.x.tolist(), c.repeats) for c in search.pending()],
        [(r.id, r.generation, r.run, r.x.tolist(), r.repeats, repr(r.value))
         for r in search.history()],
        search.best and (search.best[0].tolist(), search.best[1]),
    )  # fmt: skip


@pytest.fixture
def no_sync(monkeypatch):
    """Many journals, of which no power cut matters."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


ARGUMENTS = [
    {},
    {"bounds": (-1, 0.95), "direction": "max", "options": {"tolx": 0.2}},
    {"restarts": "ipop", "options": {"tolx": 0.25}, "population_size": 4},
    {"restarts": "bipop", "options": {"tolx": 0.35}, "bounds": (None, 2)},
    {"reevaluations": 2},
    {"overflow": True},
    {"overflow": True, "population_size": 4, "reevaluations": 1},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_resume_at_every_moment(arguments, tmp_path, no_sync):
    arguments = {"initial": [0.5, -0.5], "sigma0": 0.4, "seed": 3, **arguments}
    path = tmp_path / "whole.jsonl"
    search, states = CmaSearch(**arguments, journal=path), []
    bare = CmaSearch(**arguments)
    lines = [len(path.read_bytes().splitlines())]
    while len(search.history()) < 45 and not search.finished:
        states.append(state(search))
        step(search)
        step(bare)
        lines.append(len(path.read_bytes().splitlines()))
    states.append(state(search))
    assert state(bare) == states[-1]  # the journal changes nothing
    search.close()
    content = path.read_bytes().splitlines(keepends=True)
    # each of the first generations and of those of other runs; then every fifth
    every = len(states) if arguments.get("restarts") else 20
    moments = [*range(min(every, len(states))), *range(every, len(states), 5)]
    for moment in moments:
        cut = tmp_path / f"{moment}.jsonl"
        cut.write_bytes(b"".join(content[: lines[moment]]))
        if moment % 2:
            resumed = CmaSearch.resume(cut)
        else:
            resumed = CmaSearch(**arguments, journal=cut)
        assert state(resumed) == states[moment]
        for _ in range(min(4, len(states) - 1 - moment)):
            step(resumed)
        resumed.close()
        assert content[: lines[min(moment + 4, len(states) - 1)]] == (
            cut.read_bytes().splitlines(keepends=True)
        )
    if arguments.get("restarts"):
        assert search.history()[-1].run > 0


def journal_of(path, steps=20, **arguments):
    """Writes a journal; returns the state of the search."""
    search = CmaSearch([0.5, -0.5], 0.4, journal=path, **arguments)
    for _ in range(steps):
        step(search)
    search.close()
    return state(search)


def continued(path, steps):
    search = CmaSearch.resume(path)
    while len(search.history()) < steps:
        step(search)
    search.close()
    return state(search)


def test_a_line_that_was_cut_short_at_any_place(tmp_path, no_sync):
    whole = tmp_path / "whole.jsonl"
    expected = journal_of(whole, 10)
    content = whole.read_bytes()
    lines = content.splitlines(keepends=True)
    start = len(b"".join(lines[:8]))
    for end in range(start, start + len(lines[8]) + 1, 3):
        path = tmp_path / f"{end}.jsonl"
        path.write_bytes(content[:end])
        if start < end < start + len(lines[8]) - 1:
            with pytest.warns(
                UserWarning, match=r"damage in line 9\. Not used: line 9"
            ):
                search = CmaSearch.resume(path)
            kept = tmp_path / f"{end}.jsonl.damaged-1"
            assert kept.read_bytes() == content[:end]
            assert len(search.history()) == 7
            search.close()
        assert continued(path, 10) == expected
        assert path.read_bytes() == content


def test_only_the_end_of_the_last_line_is_missing(tmp_path, no_sync):
    path = tmp_path / "cut.jsonl"
    expected = journal_of(path, 10)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert continued(path, 10) == expected
    assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def flipped(line):
    """The line with one digit of its value changed: still good JSON."""
    place = line.index(b'"value":') + 8
    digit = b"1" if line[place : place + 1] != b"1" else b"2"
    return line[:place] + digit + line[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        (lambda lines: [*lines[:5], flipped(lines[5]), *lines[6:]], 6),
        (lambda lines: [*lines[:5], b"\0" * 50 + b"\n", *lines[5:]], 6),
        (lambda lines: [*lines[:5], b"\n", *lines[5:]], 6),
        (lambda lines: [*lines[:5], b"\xff\xfe {}\n", *lines[6:]], 6),
        (lambda lines: [*lines[:4], lines[4][:-1], *lines[5:]], 5),
        # a line is gone: its generation never ends, so that the next cannot begin
        (lambda lines: [*lines[:2], *lines[3:]], 7),
        (lambda lines: [lines[0], *lines[7:]], 2),
    ],
)
def test_a_damaged_journal(damage, first, tmp_path, no_sync):
    path = tmp_path / "journal.jsonl"
    expected = journal_of(path, 20)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join(damage(lines))
    path.write_bytes(damaged)
    last = len(damaged.splitlines())
    message = rf"line {first}\. Not used: lines {first} to {last}\..*damaged-1"
    with pytest.warns(UserWarning, match=message):
        search = CmaSearch.resume(path)
    assert len(search.history()) == first - 2
    search.close()
    assert (tmp_path / "journal.jsonl.damaged-1").read_bytes() == damaged
    if first > 5:
        assert sorted(continued(path, 20)[5]) == sorted(expected[5])
    path.write_bytes(damaged)  # it happens again: the first copy is not lost
    with pytest.warns(UserWarning, match="damaged-2"):
        CmaSearch.resume(path).close()
    assert (tmp_path / "journal.jsonl.damaged-2").read_bytes() == damaged


def test_a_damaged_first_line(tmp_path, no_sync):
    path = tmp_path / "journal.jsonl"
    journal_of(path, 10)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"sigma0":0.4', b'"sigma0":0.5', 1))
    with pytest.raises(ValueError, match="first line is damaged"):
        CmaSearch.resume(path)
    with pytest.warns(UserWarning, match=r"damage in line 1\. .*lines 1 to 11\."):
        journal_of(path, 10)
    assert path.read_bytes() == content


@pytest.mark.parametrize("length", [0, 5, 60])
def test_killed_while_writing_the_first_line(length, tmp_path, no_sync):
    path = tmp_path / "journal.jsonl"
    journal_of(path, 3)
    content = path.read_bytes()
    path.write_bytes(content[:length])
    with pytest.raises(ValueError, match="first line is damaged"):
        CmaSearch.resume(path)
    if length:
        with pytest.warns(UserWarning, match=r"Not used: line 1\."):
            journal_of(path, 3)
    else:
        journal_of(path, 3)
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "thesis.txt"
    path.write_text("All my work.\n")
    for attempt in (lambda: CmaSearch.resume(path), lambda: journal_of(path)):
        with pytest.raises(ValueError, match="`journal` must be a journal.*thesis"):
            attempt()
    assert path.read_text() == "All my work.\n"


def test_paths_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="`journal`.*No such file.*"):
        CmaSearch.resume(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="`journal`.*No such file.*"):
        journal_of(tmp_path / "none" / "journal.jsonl")
    with pytest.raises(ValueError, match="`journal`.*Is a directory.*"):
        journal_of(tmp_path)


def test_other_options_are_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal_of(path, 3, bounds=(-1, 1))
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"seed=4, there seed=0.*resume\('") as error:
        journal_of(path, 3, bounds=(-1, 1), seed=4)
    assert "sigma0" not in str(error.value)
    with pytest.raises(ValueError, match="bounds=None, there bounds=.*; options="):
        journal_of(path, 3, options={"tolx": 1e-3})
    assert path.read_bytes() == content
    journal_of(path, 3, bounds=([-1.0, -1], 1))  # said otherwise, the same


def test_the_population_size_is_recorded(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal_of(path, 3)
    header = json.loads(path.read_bytes().splitlines()[0])
    assert header["options"]["population_size"] == 6
    assert set(header["packages"]) == {"cma", "numpy"}
    journal_of(path, 3, population_size=6)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    body = b'{"format":"tfrobustloss.CmaSearch/99","options":{}}'
    path.write_bytes(b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body)))
    with pytest.raises(ValueError, match="this version.*CmaSearch/99"):
        CmaSearch.resume(path)


def moved(path, distance):
    """Rewrites a journal as if it came from where points come out otherwise."""
    lines = []
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        entry.pop("crc")
        if "x" in entry:
            entry["x"] = [x * (1 + distance) for x in entry["x"]]
        body = json.dumps(entry, separators=(",", ":")).encode()
        lines.append(b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body)))
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("bounds", [None, (-2, 2)])
def test_points_that_differ_are_told_as_recorded(bounds, tmp_path, no_sync):
    path = tmp_path / "journal.jsonl"
    journal_of(path, 12, bounds=bounds)
    moved(path, 1e-13)  # rounding of another machine: not worth a word
    CmaSearch.resume(path).close()
    moved(path, 1e-4)
    with pytest.warns(UserWarning, match="not those asked here.*numpy"):
        search = CmaSearch.resume(path)
    recorded = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
    assert [r.x.tolist() for r in search.history()] == [r["x"] for r in recorded]
    search.close()


def test_values_come_back_as_they_were(tmp_path):
    path = tmp_path / "journal.jsonl"
    values = [math.nan, math.inf, -math.inf, 0.1 + 0.2, -0.0, 5e-324]
    search = CmaSearch([0.5, -0.5], 0.4, journal=path)
    for candidate, value in zip(search.ask_generation(), values, strict=True):
        search.tell(candidate.id, value)
    search.close()
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)  # no NaN: JSON for every reader
    again = CmaSearch.resume(path)
    assert [repr(r.value) for r in again.history()] == [repr(v) for v in values]
    again.close()


# --- who may write


def test_one_search_at_a_time(tmp_path):
    path = tmp_path / "journal.jsonl"
    search = CmaSearch([0.5, -0.5], 0.4, journal=path)
    with pytest.raises(RuntimeError, match="no other search has open.*journal.jsonl"):
        CmaSearch.resume(path)
    step(search)
    search.close()
    with pytest.raises(RuntimeError, match="`journal` must be open"):
        step(search)
    assert len(search.history()) == 1
    again = CmaSearch.resume(path)
    step(again)
    del again  # letting go of the search lets go of the file
    CmaSearch.resume(path).close()


def forked(task):
    """Runs `task` in a forked process that ends without cleaning up; its exit code."""
    child = os.fork()
    if not child:
        code = 70
        try:
            code = task() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@FORKS
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_another_process_is_kept_out_and_a_worker_holds_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    search = CmaSearch([0.5, -0.5], 0.4, journal=path)

    def intrude():
        try:
            CmaSearch.resume(path)
        except RuntimeError:
            return 5

    def write():  # with the search that it inherited
        try:
            step(search)
        except RuntimeError:
            return 6

    assert forked(intrude) == 5
    assert forked(write) == 6
    ready, wait = os.pipe()
    worker = os.fork()
    if not worker:  # it outlives the search, as an orphan would
        os.close(wait)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    time.sleep(0.1)
    step(search)
    search.close()
    CmaSearch.resume(path).close()
    os.close(wait)
    os.waitpid(worker, 0)


def test_a_full_disk_takes_all_of_a_value_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    search = CmaSearch([0.5, -0.5], 0.4, journal=path)
    content, write = path.read_bytes(), os.write

    def half(descriptor, line):
        if len(line) > 10:
            return write(descriptor, line[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        search.tell(0, 1.0)
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert search.history() == []
    assert search.tell(0, 1.0)
    search.close()
    assert len(CmaSearch.resume(path).history()) == 1


# --- kill -9


def wait_for_growth(path, size, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists() or path.stat().st_size <= size:
        assert time.monotonic() < deadline, f"nothing written in {seconds} s"
        time.sleep(0.0005)


@FORKS
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*damage in line:UserWarning")
def test_killed_at_random_moments(tmp_path):
    path, steps = tmp_path / "killed.jsonl", 400
    arguments = {"restarts": "ipop", "options": {"tolx": 1e-3}}
    whole = CmaSearch([0.5, -0.5], 0.4, **arguments)
    while len(whole.history()) < steps:
        step(whole)
    moments, kills, lengths = np.random.RandomState(0), 8, []
    for life in range(1, kills + 2):
        # However fast the machine, a life that is to be killed does its share and no
        # more; however slow, it is killed only once it has written something.
        share = steps * life // (kills + 1)
        before = path.stat().st_size if path.exists() else 0
        child = os.fork()
        if not child:
            try:
                search = CmaSearch([0.5, -0.5], 0.4, journal=path, **arguments)
                while len(search.history()) < share:
                    step(search)
                if life <= kills:
                    signal.pause()
                os._exit(0)
            finally:
                os._exit(70)
        if life <= kills:
            wait_for_growth(path, before)
            time.sleep(0.02 * moments.rand())
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == (-signal.SIGKILL if life <= kills else 0)
        lengths.append(path.stat().st_size)
    assert len(set(lengths)) == kills + 1
    resumed = CmaSearch.resume(path)
    assert state(resumed) == state(whole)
    resumed.close()
