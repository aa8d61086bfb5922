"""A Keras Tuner oracle that survives crashed and stalled workers, and its files."""

import glob
import json
import math
import os
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import keras_tuner

from tfrobustloss._core import files
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.search.tuner import keras_tuner_private, trial_results
from tfrobustloss.search.tuner.keras_tuner_private import Trial, TrialStatus

_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
_HANDOVERS = 5  # a trial that takes this many workers down is a failed one


class StoredOracle(keras_tuner_private.Oracle):
    """Keras Tuner's oracle with files that survive a kill.

    Each trial is in its `trial.json`; `oracle.json` says which are under way and so
    stays small. Both are replaced in one step.

    Args:
        options: Dict of plain values that a resumed search must share.
        **kwargs: As in `keras_tuner.Oracle`.
    """

    keeps_workers = False  # whether workers outlive this process: those of a chief do

    def __init__(self, options: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = json.loads(json.dumps(options))

    def under_way(self) -> list[Trial]:
        """The trials that a worker has, and those queued for one."""
        queued = [self.trials[trial_id] for trial_id in self.retry_queue]
        return [*self.ongoing_trials.values(), *queued]

    def is_stored(self) -> bool:
        """Whether the project's folder holds a search."""
        return os.path.exists(self.oracle_file)

    def save(self) -> None:
        """Writes which trials are under way."""
        write(self.oracle_file, self.get_state())

    def save_trial(self, trial: Trial) -> None:
        """Writes a trial's file."""
        write(self.trial_file(trial.trial_id), trial.get_state())

    def reload(self) -> None:
        """Reads the project's files, as `keras_tuner.Oracle.reload`.

        A file that cannot be read is left out, with a warning.
        """
        pattern = os.path.join(glob.escape(self.project_dir), "trial_*", "trial.json")
        states: Iterable[Any] = filter(None, map(read, glob.glob(pattern)))
        trials = sorted(map(Trial.from_state, states), key=lambda t: int(t.trial_id))
        self.trials = {trial.trial_id: trial for trial in trials}
        self.start_order = list(self.trials)
        self.end_order = [t.trial_id for t in trials if t.status in _ENDED]
        state = read(self.oracle_file)
        if state is not None:
            self.set_state(state)

    def get_state(self) -> dict[str, Any]:
        """Which trials are under way, as JSON; the rest is in the trials' files."""
        display = self.display_state
        running = {trial.trial_id for trial in self.under_way()}
        for name in ("trial_start", "trial_number"):
            display[name] = {i: x for i, x in display[name].items() if i in running}
        return {
            "options": self._options,
            "seed": self.seed,
            "hyperparameters": self.hyperparameters.get_config(),
            "ongoing_trials": {
                tuner_id: trial.trial_id
                for tuner_id, trial in self.ongoing_trials.items()
            },
            "retry_queue": list(self.retry_queue),
            "run_times": {i: n for i, n in self.run_times.items() if i in running},
            "display": display,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what `get_state` returned; `trials` must be there.

        Raises:
            ValueError: It is the state of a search with other options.
        """
        for name, value in self._options.items():
            if value != state["options"].get(name):
                stored = state["options"].get(name)
                constraint = f"{stored!r}, as in the project at {self.project_dir}"
                hint = "For a new search: `overwrite=True`, or another `project_name`."
                raise ParameterError("CMAES", name, value, constraint, hint)
        self.seed = state["seed"]
        self.hyperparameters = keras_tuner.HyperParameters.from_config(
            state["hyperparameters"]
        )
        self.run_times.update(state["run_times"])
        self.display_state = state["display"]
        known = set(self.trials) - set(self.end_order)
        ongoing = state["ongoing_trials"] if self.keeps_workers else {}
        self.ongoing_trials = {
            tuner_id: self.trials[i] for tuner_id, i in ongoing.items() if i in known
        }
        self.retry_queue = [i for i in state["retry_queue"] if i in known]


class SharedOracle(StoredOracle):
    """A stored oracle whose workers may crash, stall and come back.

    A trial whose worker gave no sign of life for `lease_seconds` is handed to the next
    worker that asks. The first result of a trial counts, whichever worker it is from.

    A subclass has `populate_space`, and says when the search begins and ends.

    Args:
        lease_seconds: Float.
        **kwargs: As in `StoredOracle`.
    """

    idle_seconds = 0.1  # how long a request for a trial waits when there is none

    def __init__(self, lease_seconds: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lease_seconds = lease_seconds
        self._lock = threading.RLock()
        self._last_seen: dict[str, float] = {}  # tuner id -> time.monotonic()
        self._handovers: dict[str, int] = {}  # trial id -> times it lost its worker

    def begin(self) -> None:
        """Opens the search; called before anything that needs it, any number of times.

        Raises:
            ValueError: The search cannot begin.
        """

    def is_exhausted(self) -> bool:
        """Whether there will be no further new trial."""
        return self.max_trials is not None and len(self.trials) >= self.max_trials

    def is_over(self) -> bool:
        """Whether every trial has ended and no further one will be handed out."""
        with self._lock:
            self.begin()
            return self.is_exhausted() and not self.under_way()

    def touch(self, tuner_id: str) -> None:
        """Notes a sign of life: the worker's lease starts again."""
        with self._lock:
            self._last_seen[tuner_id] = time.monotonic()

    def create_trial(self, tuner_id: str) -> Trial:
        """Hands out a trial, as `keras_tuner.Oracle.create_trial`.

        With nothing to hand out, it waits a moment and returns an idle one.
        """
        with self._lock:
            self.begin()
            self.touch(tuner_id)
            self._take_back()
            trial = self._hand_out(tuner_id)
        if trial.status == TrialStatus.IDLE:
            time.sleep(self.idle_seconds)
        return trial

    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> Trial:
        """Takes metrics of a trial, as `keras_tuner.Oracle.update_trial`.

        Raises:
            UnreportedObjective: The objective is not among them.
        """
        # An error inside Keras Tuner's lock leaves it locked: check before.
        trial_results.check_reported(metrics, self.objective)
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the best of only NaN
            self._known(trial_id)
            return super().update_trial(trial_id, metrics, step)

    def score_trial(self, trial: Trial) -> None:
        """Scores a trial; one whose score is not finite is invalid."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            super().score_trial(trial)
        if not math.isfinite(trial.score):
            trial.message = f"The objective was {trial.score}."
            trial.score, trial.best_step = math.nan, 0

    def end_trial(self, trial: Trial) -> None:
        """Takes the end of a trial, as `keras_tuner.Oracle.end_trial`."""
        with self._lock:
            self.begin()
            known = self._known(trial.trial_id)
            if trial.trial_id in self.end_order:
                return  # from a worker whose lease had ended
            self._check_end(trial)
            if trial.trial_id in self.retry_queue:
                self.retry_queue.remove(trial.trial_id)
            super().end_trial(trial)
            if trial.trial_id in self.end_order:
                self.on_ended(known)

    def on_ended(self, trial: Trial) -> None:
        """Called once when a trial has completed or failed for good."""

    def report(
        self,
        trial: Trial,
        tuner_id: str,
        reports: Iterable[tuple[int, dict[str, float]]],
    ) -> None:
        """Takes the end of a trial together with all its metrics.

        In one step, so that a worker whose lease had ended and the one that has its
        trial now cannot mix their metrics.

        Args:
            trial: Trial that ended.
            tuner_id: String, the worker that it comes from.
            reports: Pairs of a step and a dict of metrics.
        """
        with self._lock:
            self.begin()
            known = self._known(trial.trial_id)
            holds = self.ongoing_trials.get(tuner_id) is known
            completed = trial.status == TrialStatus.COMPLETED
            if trial.trial_id in self.end_order or not (completed or holds):
                return
            known.metrics = type(known.metrics)()
            for step, metrics in reports:
                self.update_trial(known.trial_id, metrics, step)
            self.end_trial(trial)

    def _known(self, trial_id: str) -> Trial:
        if trial_id not in self.trials:
            raise KeyError(f"CMAES: there is no trial {trial_id!r} in this search.")
        return self.trials[trial_id]

    def _check_end(self, trial: Trial) -> None:
        """Raises what Keras Tuner would raise inside its lock."""
        metrics = self.trials[trial.trial_id].metrics
        completed = trial.status == TrialStatus.COMPLETED
        if completed and not metrics.exists(self.objective.name):
            raise ValueError(
                f"CMAES: trial {trial.trial_id} has completed without a value of "
                f"{self.objective.name!r}. Received: {list(metrics.metrics)}."
            )
        self.update_space(trial.hyperparameters)

    def _take_back(self) -> None:
        """Queues the trials of workers that gave no sign of life for a lease."""
        now = time.monotonic()
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if now - self._last_seen.setdefault(tuner_id, now) < self.lease_seconds:
                continue
            del self.ongoing_trials[tuner_id]
            self.tuner_ids.discard(tuner_id)
            count = 1 + self._handovers.get(trial.trial_id, 0)
            self._handovers[trial.trial_id] = count
            if count < _HANDOVERS:
                self.retry_queue.append(trial.trial_id)
                continue
            lost = Trial(trial.hyperparameters, trial.trial_id, TrialStatus.FAILED)
            lost.message = f"It was lost with its worker {count} times."
            self.end_trial(lost)

    def _hand_out(self, tuner_id: str) -> Trial:
        """The trial that a worker has, a queued one, a new one, or an idle one."""
        again = self.ongoing_trials.get(tuner_id)
        if again is None and self.retry_queue:
            again = self.trials[self.retry_queue[-1]]
        if again is not None:
            # Metrics of the run before would be averaged with those of this one, or
            # even taken instead of them.
            again.metrics = type(again.metrics)()
        elif self.ongoing_trials and self.is_exhausted():
            # stay, in case a worker with one of the last trials dies
            space = self.get_space()
            space.values = {}
            return Trial(space, trial_id="", status=TrialStatus.IDLE)
        return super().create_trial(tuner_id)


def write(path: str, state: Any) -> None:
    """Replaces a JSON file in one step: a kill leaves the old one or the new one."""
    files.write(path, json.dumps(state).encode())


def read(path: str) -> Any:
    """Content of a JSON file; None if there is none, or a broken one with a warning."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"CMAES: {path} is left out: {error}", stacklevel=3)
        return None
