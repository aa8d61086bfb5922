"""A Keras Tuner oracle whose workers may die, hang, and come back."""

import math
import threading
import time
import warnings

from keras_tuner.engine.trial import Trial, TrialStatus

from tfrobustloss.search.tuner import trial_results
from tfrobustloss.search.tuner.stored_oracle import StoredOracle

_HANDOVERS = 5  # a trial that takes this many workers down is a failed one


class SharedOracle(StoredOracle):
    """Keras Tuner's oracle, for workers that nobody can rely on.

    A trial whose worker gave no sign of life for `lease_seconds` is handed to the next
    that asks. The first result of a trial counts, whoever it comes from.

    A subclass has `populate_space`, and says when the search begins and ends.

    Args:
        lease_seconds: Float.
        **kwargs: As in `StoredOracle`.
    """

    idle_seconds = 0.1  # what a request for a trial waits when there is none

    def __init__(self, lease_seconds, **kwargs):
        super().__init__(**kwargs)
        self.lease_seconds = lease_seconds
        self._lock = threading.RLock()
        self._last_seen = {}  # tuner id -> time.monotonic()
        self._handovers = {}  # trial id -> times it was taken from a worker

    def begin(self):
        """Opens the search; called before anything that needs it, any number of times.

        Raises:
            ValueError: The search cannot begin.
        """

    def is_exhausted(self):
        """Whether there will be no further new trial."""
        return self.max_trials is not None and len(self.trials) >= self.max_trials

    def is_over(self):
        """Whether every trial has ended and no further one will be handed out."""
        with self._lock:
            self.begin()
            return self.is_exhausted() and not self.under_way()

    def touch(self, tuner_id):
        """Notes a sign of life: the worker's lease starts anew."""
        with self._lock:
            self._last_seen[tuner_id] = time.monotonic()

    def create_trial(self, tuner_id):
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

    def update_trial(self, trial_id, metrics, step=0):
        """Takes figures of a trial, as `keras_tuner.Oracle.update_trial`."""
        # What Keras Tuner raises behind its lock leaves the lock closed: ask before.
        trial_results.check_reported(metrics, self.objective)
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the best of only NaN
            self._known(trial_id)
            return super().update_trial(trial_id, metrics, step)

    def score_trial(self, trial):
        """Scores a trial; one whose score is not finite is invalid."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            super().score_trial(trial)
        if not math.isfinite(trial.score):
            trial.message = f"The objective was {trial.score}."
            trial.score, trial.best_step = math.nan, 0

    def end_trial(self, trial):
        """Takes the end of a trial, as `keras_tuner.Oracle.end_trial`."""
        with self._lock:
            self.begin()
            known = self._known(trial.trial_id)
            if trial.trial_id in self.end_order:
                return  # from a worker that was thought dead
            self._check_end(trial)
            if trial.trial_id in self._retry_queue:
                self._retry_queue.remove(trial.trial_id)
            super().end_trial(trial)
            if trial.trial_id in self.end_order:
                self.on_ended(known)

    def on_ended(self, trial):
        """Called once when a trial has completed or failed for good."""

    def report(self, trial, tuner_id, reports):
        """Takes the end of a trial together with all its figures.

        In one piece, so that a worker which was thought dead and the one that has its
        trial by now cannot mix their figures.

        Args:
            trial: Trial that ended.
            tuner_id: String, the worker that it comes from.
            reports: List of pairs of a step and a dict of metrics.
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

    def _known(self, trial_id):
        if trial_id not in self.trials:
            raise KeyError(f"CMAES: there is no trial {trial_id!r} in this search.")
        return self.trials[trial_id]

    def _check_end(self, trial):
        """Raises what Keras Tuner would raise behind its lock."""
        metrics = self.trials[trial.trial_id].metrics
        completed = trial.status == TrialStatus.COMPLETED
        if completed and not metrics.exists(self.objective.name):
            raise ValueError(
                f"CMAES: trial {trial.trial_id} has completed without a value of "
                f"{self.objective.name!r}. Received: {list(metrics.metrics)}."
            )
        self.update_space(trial.hyperparameters)

    def _check_consecutive_failures(self):
        """Keras Tuner's own count, which raises before anything is saved."""

    def _take_back(self):
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
                self._retry_queue.append(trial.trial_id)
                continue
            lost = Trial(trial.hyperparameters, trial.trial_id, TrialStatus.FAILED)
            lost.message = f"It was lost with its worker {count} times."
            self.end_trial(lost)

    def _hand_out(self, tuner_id):
        """The trial that a worker has, a queued one, a new one, or none."""
        again = self.ongoing_trials.get(tuner_id)
        if again is None and self._retry_queue:
            again = self.trials[self._retry_queue[-1]]
        if again is not None:
            # Figures of the run before would be averaged with those of this one, or
            # even taken instead of them.
            again.metrics = type(again.metrics)()
        elif self.ongoing_trials and self.is_exhausted():
            # stay, in case a worker with one of the last trials dies
            space = self.get_space()
            space.values = {}
            return Trial(space, trial_id="", status=TrialStatus.IDLE)
        return super().create_trial(tuner_id)
