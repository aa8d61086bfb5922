"""CMA-ES as a Keras Tuner oracle: trials to vectors and back, nothing more."""

import math
import os
import secrets

from keras_tuner.engine.trial import Trial, TrialStatus

from tfrobustloss._core.validation import Range, check
from tfrobustloss.search.cmaes import CmaSearch
from tfrobustloss.search.tuner import space as _space
from tfrobustloss.search.tuner._workers import SharedOracle
from tfrobustloss.search.tuner.space import Space

_LIMITS = {
    "max_trials": Range(low=1, integer=True, optional=True),
    "population_size": Range(low=3, integer=True, optional=True),
    "sigma0": Range(low=0, open_low=True),
    "seed": Range(low=0, high=2**32 - 1, integer=True, optional=True),
    "lease_seconds": Range(low=0, open_low=True),
    "max_retries_per_trial": Range(low=0, integer=True),
    "max_consecutive_failed_trials": Range(low=1, integer=True, optional=True),
}


class CMAESOracle(SharedOracle):
    """Proposes trials by CMA-ES; `CMAES` is the tuner that goes with it.

    The numbers of the search space are searched in the unit cube, each on its own
    scale. A trial that fails, or whose score is not finite, ranks last in its
    generation; a retry has the values it had before.

    The search is in `cma.jsonl` of the project's folder, a line a result, and goes on
    from there after a kill as if nothing had happened.

    Args:
        objective: As in `keras_tuner.Oracle`.
        max_trials: Int, trials at most; None until CMA-ES itself has ended. A search
            that is resumed may be given more.
        population_size: Int, trials a generation; None for CMA-ES' default.
        sigma0: Float, first standard deviation, in units of each range.
        initial: Dict of names to values where the search begins; the others begin at
            their default, or in the middle of the range if that is `min_value`.
        hold: Dict of names to the value that each keeps for the whole search: a
            `Choice`, a `Boolean` and a conditional number must be held.
        seed: Int; None draws one.
        overflow: Whether a worker that would wait for the end of a generation is given
            a further sample of it. Nobody idles, but which results form a generation
            then depends on which worker was faster.
        restarts: As in `CmaSearch`.
        lease_seconds: Float, time without a sign of life after which a worker's trial
            is handed to another.
        hyperparameters: As in `keras_tuner.Oracle`.
        tune_new_entries: As in `keras_tuner.Oracle`.
        allow_new_entries: As in `keras_tuner.Oracle`.
        max_retries_per_trial: As in `keras_tuner.Oracle`.
        max_consecutive_failed_trials: Int, failures in a row that end the search with
            an error; None for two populations' worth, which a search that is merely
            exploring does not reach and a model that cannot be built does.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument is of the wrong kind.
    """

    def __init__(
        self,
        objective=None,
        max_trials=100,
        population_size=None,
        sigma0=0.3,
        initial=None,
        hold=None,
        seed=0,
        overflow=False,
        restarts=None,
        lease_seconds=600.0,
        hyperparameters=None,
        tune_new_entries=True,
        allow_new_entries=True,
        max_retries_per_trial=0,
        max_consecutive_failed_trials=None,
    ):
        check(
            "CMAES",
            _LIMITS,
            max_trials=max_trials,
            population_size=population_size,
            sigma0=sigma0,
            seed=seed,
            lease_seconds=lease_seconds,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        _space.check_kinds(restarts, overflow, hyperparameters)
        super().__init__(
            lease_seconds,
            options={
                "population_size": population_size,
                "sigma0": sigma0,
                "initial": _space.plain("initial", initial),
                "hold": _space.plain("hold", hold),
                "seed": seed,
                "overflow": overflow,
                "restarts": restarts,
            },
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            seed=1,  # any but 0, for which Keras Tuner draws from a global generator
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.seed = secrets.randbits(32) if seed is None else seed
        self._space = None
        self._search = None
        self._failures = 0  # in a row

    def check_space(self):
        """Raises if the search space, or where to begin in it, is impossible.

        Raises:
            ValueError: Says what is wrong and what to do.
        """
        Space(self.hyperparameters, self._options["hold"]).start(
            self._options["initial"]
        )

    def begin(self):
        """Opens the search: a new one, or that of the project's folder."""
        if self._search is not None:
            return
        if not self.trials and self.is_stored():
            self.reload()
        self._space, self._search = self.open_search()
        self._settle()

    def open_search(self):
        """The space of the trials and the `CmaSearch` with their candidates."""
        space = Space(self.hyperparameters, self._options["hold"])
        deviations = [dimension.least_deviation for dimension in space.dimensions]
        search = CmaSearch(
            space.start(self._options["initial"]),
            self._options["sigma0"],
            population_size=self._options["population_size"],
            bounds=(0.0, 1.0),
            seed=self.seed,
            direction=self.objective.direction,
            restarts=self._options["restarts"],
            overflow=self._options["overflow"],
            journal=os.path.join(self._project_dir, "cma.jsonl"),
            options={"minstd": deviations} if any(deviations) else None,
        )
        return space, search

    def reload(self):
        """Reads the project's files, as `keras_tuner.Oracle.reload`."""
        with self._lock:
            self.close()
            super().reload()

    def close(self):
        """Lets go of the journal; the next call that needs the search opens it again.

        An oracle of Keras Tuner lives as long as its process, so that nothing else
        would.
        """
        with self._lock:
            if self._search is not None:
                self._search.close()
            self._search = None

    def is_exhausted(self):
        """Whether there will be no further new trial."""
        return super().is_exhausted() or bool(self._search.finished)

    def populate_space(self, trial_id):
        """Values of the next trial, as `keras_tuner.Oracle.populate_space`."""
        candidate = self._search.ask()
        if candidate is None:
            idle = self.under_way() or not self._search.finished
            return {"status": TrialStatus.IDLE if idle else TrialStatus.STOPPED}
        if candidate.id != int(trial_id):
            raise RuntimeError(self._mixed_up(trial_id))
        values = self._space.values(candidate.x)
        return {"status": TrialStatus.RUNNING, "values": values}

    def update_space(self, hyperparameters):
        """Adds to the search space, as `keras_tuner.Oracle.update_space`.

        Raises:
            RuntimeError: The search has begun: CMA-ES cannot add dimensions.
        """
        known = {parameter.name for parameter in self.hyperparameters.space}
        names = [parameter.name for parameter in hyperparameters.space]
        new = [name for name in names if name not in known]
        if new and self._search is not None and self.tune_new_entries:
            raise RuntimeError(
                f"CMAES: new hyper-parameters {new} appeared after the search had "
                "begun, and CMA-ES cannot add dimensions. Declare them in "
                "`hyperparameters=` or in every build, or pass "
                "`tune_new_entries=False` to leave them at their defaults."
            )
        super().update_space(hyperparameters)

    def on_ended(self, trial):
        """Tells the search, and stops it if nothing works any more.

        Raises:
            RuntimeError: Too many trials have failed in a row.
        """
        self._tell(trial)
        self._count(trial)
        limit = self.max_consecutive_failed_trials or 2 * self._search.population_size
        if self._failures and self._failures % limit == 0:
            raise RuntimeError(
                f"CMAES: {self._failures} trials in a row have failed, the last with: "
                f"{trial.message or 'no message'}\nThe same command goes on; "
                "`max_consecutive_failed_trials` says how many are too many."
            )

    def _tell(self, trial):
        completed = trial.status == TrialStatus.COMPLETED
        self._search.tell(int(trial.trial_id), trial.score if completed else math.nan)

    def _count(self, trial):
        failed = trial.status == TrialStatus.FAILED
        self._failures = self._failures + 1 if failed else 0

    def _settle(self):
        """Brings the journal and the trials' files together, after a kill or not.

        Trial `n` is candidate `n`. One that had ended is told if that was not yet
        done, one whose file is lost is made again, and the rest was under way.
        """
        told = {record.id: record for record in self._search.history()}
        trials = {int(trial_id): trial for trial_id, trial in self.trials.items()}
        self._failures = 0
        for number in range(1 + max([*trials, *told, *self._further()], default=-1)):
            trial, record = trials.get(number), told.get(number)
            candidate = self._asked_again(number) if record is None else record
            if trial is None or (record and trial.trial_id not in self.end_order):
                trial = self._make_again(number, candidate, record)
            if trial.trial_id in self.end_order:
                self._count(trial)
                if record is None and candidate is not None:
                    self._tell(trial)
            elif trial not in self.under_way():
                self._retry_queue.append(trial.trial_id)
        self.start_order = sorted(self.trials, key=int)

    def _further(self):
        """Ids of samples beyond the population, one of them perhaps without a trial."""
        pending = self._search.pending()
        now = [
            r.id
            for r in self._search.history()
            if r.generation == self._search.generation
        ]
        first = min([*now, *(candidate.id for candidate in pending)], default=0)
        size = self._search.population_size
        return [c.id for c in pending if c.id >= first + size][: self.max_trials]

    def _asked_again(self, number):
        """Candidate of a trial without a value; None if its generation has gone on."""
        pending = [candidate.id for candidate in self._search.pending()]
        if pending and number < pending[-1] and number not in pending:
            return None
        candidate = self._search.ask()
        if candidate is None or candidate.id != number:
            raise RuntimeError(self._mixed_up(number))
        return candidate

    def _mixed_up(self, number):
        return (
            f"CMAES: {self._project_dir} has a trial {number} that its cma.jsonl "
            "cannot have proposed. Use `overwrite=True` or another `project_name`."
        )

    def _make_again(self, number, candidate, record):
        """A trial whose file is lost, or older than the journal."""
        hyperparameters = self.get_space()
        hyperparameters.values = self._space.values(candidate.x) if candidate else {}
        trial = Trial(hyperparameters, f"{number:0{len(str(self.max_trials))}d}")
        if record is not None and math.isfinite(record.value):
            trial.metrics.register(self.objective.name, self.objective.direction)
            trial.metrics.update(self.objective.name, record.value)
            trial.status, trial.score = TrialStatus.COMPLETED, record.value
        elif record is not None or candidate is None:
            trial.status = TrialStatus.FAILED
        if trial.status != TrialStatus.RUNNING:
            self.end_order.append(trial.trial_id)
        self.trials[trial.trial_id] = trial
        self._save_trial(trial)
        return trial
