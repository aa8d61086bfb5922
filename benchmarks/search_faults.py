"""Kills, hangs and nonsense: does a search end as if nothing had happened?

    python benchmarks/search_faults.py --json benchmarks/results/search_faults.json

A search is a `search.CMAES` over six numbers, 12 trials a generation, in folders and
processes of its own. Its trials are a cheap function (and a few milliseconds of sleep
where several workers share them), so that most of a search is what is tested here:
handing out, writing, and reading again. Faults:

* SIGKILL at random moments, half of them by the clock and half in the middle of a
  write: after a part of a journal's line, before and after a file is put in its place;
* two of four workers SIGKILLed while they have a trial;
* the chief SIGKILLed, several times, and started again;
* scores that are NaN or infinite, exceptions, and scores that are all the same.

Compared with the search that nobody disturbed: values, statuses and scores of all
trials, bit for bit, and for one process the journal, byte for byte.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

import keras_tuner
import record

from tfrobustloss import search

PROCESSES = multiprocessing.get_context("forkserver")
NUMBERS, POPULATION = 6, 12
FAULTS = ("nan", "inf", "-inf", "exception", "identical")


class Task(search.CMAES):
    """A shifted sphere, which notes every evaluation."""

    fault, seconds = None, 0.0

    def run_trial(self, trial, **fit_kwargs):
        """The score of a trial, or nonsense."""
        with open(self.path("evaluated"), "a", encoding="utf-8") as file:
            file.write(f"{trial.trial_id}\n")
        time.sleep(self.seconds)
        if self.fault == "identical":
            return 0.5
        if self.fault and int(trial.trial_id) % 2:
            return float(self.fault)  # "exception" is no number
        values = trial.hyperparameters.values
        return sum((values[f"x{i}"] - i / 10) ** 2 for i in range(NUMBERS))

    def path(self, name):
        """A file of this process in the project's folder."""
        return os.path.join(self.project_dir, f"{name}-{self.tuner_id}")


def task(folder, trials, seed=0, **options):
    """A tuner for the task in a folder; one that is there is continued."""
    space = keras_tuner.HyperParameters()
    for i in range(NUMBERS):
        space.Float(f"x{i}", -1.0, 1.0)
    with contextlib.redirect_stdout(io.StringIO()):  # "Reloading Tuner from ..."
        return Task(
            hyperparameters=space,
            max_trials=trials,
            seed=seed,
            population_size=POPULATION,
            lease_seconds=1.0,
            directory=str(folder),
            project_name="task",
            **options,
        )


def play(folder, trials, seed, role=None, port=None, seconds=0.0, fault=None, die=None):
    """What one process does: a search of its own, or a role in a shared one."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    if role:
        os.environ["KERASTUNER_TUNER_ID"] = role
        os.environ["KERASTUNER_ORACLE_PORT"] = str(port)
    tuner = task(folder, trials, seed)
    tuner.seconds, tuner.fault = seconds, fault
    if die is not None:
        die_in_a_write(random.Random(die))
    begin = time.perf_counter()
    pathlib.Path(tuner.path("begun")).touch()
    tuner.search(verbose=0)
    pathlib.Path(tuner.path("took")).write_text(f"{time.perf_counter() - begin}")


def die_in_a_write(rng):
    """Makes this process kill itself in one of its next writes."""
    left = rng.randrange(1, 150)
    write, replace = os.write, os.replace

    def torn_write(descriptor, data):
        nonlocal left
        left -= 1
        if left <= 0 and len(data) > 1:
            write(descriptor, data[: rng.randrange(1, len(data))])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    def killed_replace(source, target):
        nonlocal left
        left -= 1
        if left <= 0:
            if rng.random() < 0.5:
                replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.write, os.replace = torn_write, killed_replace


def start(*arguments, **options):
    process = PROCESSES.Process(target=play, args=arguments, kwargs=options)
    process.start()
    return process


def trials_of(folder, trials, seed=0):
    """Number, status, score and values of every trial of a search."""
    found = task(folder, trials, seed).oracle.trials.values()
    rows = [(t.trial_id, t.status, t.score, t.hyperparameters.values) for t in found]
    return sorted(repr(row) for row in rows)


def journal_of(folder):
    return (pathlib.Path(folder) / "task" / "cma.jsonl").read_bytes()


def evaluations(folder):
    """Number of evaluations in all processes, those that a kill undid included."""
    notes = (pathlib.Path(folder) / "task").glob("evaluated-*")
    return sum(len(note.read_text().split()) for note in notes)


def undisturbed(folder, trials, seed=0, fault=None):
    process = start(folder, trials, seed, fault=fault)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the undisturbed search in {folder} failed")
    return trials_of(folder, trials, seed)


def row(name, faults, searches, completed, identical, lost, again):
    return {
        "fault": name,
        "faults": faults,
        "searches": searches,
        "completed": completed,
        "identical": identical,
        "trials_lost": lost,
        "evaluated_again": again,
    }


def compare(folder, expected, trials, seed=0):
    """Whether a search is complete and the same, trials lost and evaluated again."""
    found = trials_of(folder, trials, seed)
    lost = trials - sum(entry in expected for entry in found)
    return len(found) == trials, found == expected, lost, evaluations(folder) - trials


def summed(name, faults, results):
    columns = list(zip(*results, strict=True))
    return row(name, faults, len(results), *(sum(column) for column in columns))


def killed(root, trials, kills, rng):
    """Searches by one process, killed until there were enough kills."""
    results, done, torn = [], 0, 0
    while done < kills:
        seed = len(results)
        expected = undisturbed(root / f"whole-{seed}", trials, seed)
        took = float((root / f"whole-{seed}/task/took-tuner0").read_text())
        folder = root / f"killed-{seed}"
        begun = folder / "task" / "begun-tuner0"
        while True:
            begun.unlink(missing_ok=True)
            in_write = done < kills and done % 2
            die = rng.randrange(2**32) if in_write else None
            process = start(folder, trials, seed, die=die)
            if done < kills and not in_write:
                wait_for(begun.exists)
                process.join(rng.uniform(0, took / 2))
                process.kill()
            process.join()
            if process.exitcode == 0:
                break
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"the search in {folder} ended by itself")
            done += 1
        torn += len(list((folder / "task").glob("cma.jsonl.damaged-*")))
        complete, same, lost, again = compare(folder, expected, trials, seed)
        whole = journal_of(root / f"whole-{seed}")
        same = same and journal_of(folder) == whole
        results.append((complete, same, lost, again))
    print(f"of {done} kills, {torn} left a torn line in the journal")
    return summed("SIGKILL, one process", done, results)


VICTIMS = ("w1", "w2")  # of the four workers


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def shared(root, name, trials, searches, disturb):
    """Searches by a chief and four workers; `disturb` returns the number of faults."""
    expected = undisturbed(root / f"{name}-whole", trials)
    results, faults = [], 0
    for number in range(searches):
        folder, port = root / f"{name}-{number}", free_port()

        def begin(role, folder=folder, port=port):
            return start(folder, trials, 0, role=role, port=port, seconds=0.1)

        # the others join when these two work: on a machine where processes start
        # slowly the search must not be over before the faults
        processes = {role: begin(role) for role in ("chief", *VICTIMS)}
        for role in VICTIMS:
            wait_for((folder / "task" / f"evaluated-{role}").exists)
        processes |= {role: begin(role) for role in ("w3", "w4")}
        faults += disturb(folder, processes, begin, random.Random(number))
        for process in processes.values():
            process.join(120)
            process.kill()
        results.append(compare(folder, expected, trials))
    return summed(name, faults, results)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened for {seconds} s")
        time.sleep(0.005)


def wait_for_results(folder, count):
    path = folder / "task" / "cma.jsonl"
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") > count)


def kill_workers(folder, processes, begin, rng):
    for role in VICTIMS:
        path, count = folder / "task" / f"evaluated-{role}", rng.randrange(1, 5)
        wait_for(lambda p=path, n=count: p.exists() and len(p.read_text().split()) >= n)
        processes[role].kill()  # a trial has just begun
    return 2


def kill_chief(folder, processes, begin, rng):
    kills = 4
    for number in range(kills):
        wait_for_results(folder, 5 + 12 * number + rng.randrange(8))
        processes["chief"].kill()
        processes["chief"].join()
        processes["chief"] = begin("chief")
    return kills


def nonsense(root, trials, kinds):
    """Searches where every second score, or each, tells nothing; killed once."""
    for fault in kinds:
        expected = undisturbed(root / f"{fault}-whole", trials, fault=fault)
        folder = root / fault
        process = start(folder, trials, 0, fault=fault)
        wait_for_results(folder, trials // 2)
        process.kill()
        process.join()
        start(folder, trials, 0, fault=fault).join()
        complete, same, lost, again = compare(folder, expected, trials)
        failed = sum("'FAILED'" in entry for entry in trials_of(folder, trials))
        half = 0 if fault == "identical" else trials // 2
        complete = complete and failed == half
        faults = trials if fault == "identical" else failed
        yield row(f"scores: {fault}", faults, 1, complete, same, lost, again)


def print_table(rows):
    heads = ("faults", "searches", "completed", "identical", "lost", "run again")
    print(f"{'':24s}" + "".join(f"{head:>11s}" for head in heads))
    for r in rows:
        name, *figures = r.values()
        print(f"{name:24s}" + "".join(f"{int(figure):11d}" for figure in figures))
    total = {key: sum(int(r[key]) for r in rows) for key in rows[0] if key != "fault"}
    print(
        f"histories identical to the uninterrupted run: {total['identical']} of "
        f"{total['searches']}\ntrials lost: {total['trials_lost']}\nsearches "
        f"completed: {total['completed']} of {total['searches']}"
    )
    return total


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--check", action="store_true", help="exit 1 if any is missed")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--searches", type=int, default=3, help="shared, each fault")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    PROCESSES.set_forkserver_preload(["tfrobustloss.search.tuner.tuner"])
    kills, searches = (3, 1) if options.smoke else (options.kills, options.searches)
    trials, begin = 60 if options.smoke else 96, time.perf_counter()
    root = pathlib.Path(tempfile.mkdtemp(prefix="search_faults-"))
    try:
        rows = [killed(root, trials, kills, random.Random(options.seed))]
        name = "half of the workers"
        rows.append(shared(root, name, trials, searches, kill_workers))
        rows.append(shared(root, "the chief, 4 times", trials, searches, kill_chief))
        rows += nonsense(root, trials, FAULTS[:1] if options.smoke else FAULTS)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    total = print_table(rows)
    print(f"{time.perf_counter() - begin:.0f} s")
    settings = {"kills": kills, "trials": trials, "population": POPULATION}
    record.write(options.json, "search_faults", settings, rows)
    wanted = total["searches"]
    missed = total["trials_lost"] or {total["identical"], total["completed"]} != {
        wanted
    }
    return 1 if (options.check or options.smoke) and missed else 0


if __name__ == "__main__":
    sys.exit(main())
