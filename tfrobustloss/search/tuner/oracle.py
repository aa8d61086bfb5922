"""CMA-ES as a Keras Tuner oracle: trials to vectors and back."""

import math
import os
import secrets
from collections.abc import Mapping
from typing import Any

import keras_tuner
import numpy as np

from tfrobustloss._core.validation import Range, check
from tfrobustloss.search.ask_tell import Candidate, Record
from tfrobustloss.search.cmaes import CmaSearch
from tfrobustloss.search.tuner.keras_tuner_private import Trial, TrialStatus
from tfrobustloss.search.tuner.space import Space, check_kinds, plain
from tfrobustloss.search.tuner.stored_oracle import SharedOracle

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
    """Proposes trials by CMA-ES; `CMAES` is its tuner.

    The numbers of the search space are searched in the unit cube, each on its own
    scale. A trial that fails, or whose score is not finite, ranks last in its
    generation; a retry has the values it had before.

    The journal of the search is `cma.jsonl` in the project's folder, a line a result.
    After a kill the search continues from it as if it had never stopped.

    Args:
        objective: As in `keras_tuner.Oracle`.
        max_trials: Int, most trials; None until CMA-ES itself ends. A resumed search
            may have more.
        population_size: Int, trials a generation; None for CMA-ES' default.
        sigma0: Float, first standard deviation, in units of each range.
        initial: Dict of names to values where the search begins; the others begin at
            their default, or in the middle of the range if that is `min_value`.
        hold: Dict of names to the value that each keeps for the whole search: a
            `Choice`, a `Boolean` and a conditional number must be held.
        seed: Int; None draws one.
        overflow: Whether a worker that would wait for the end of a generation gets a
            further sample of it. No worker idles, but which results form a generation
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
        objective: Any = None,
        max_trials: int | None = 100,
        population_size: int | None = None,
        sigma0: float = 0.3,
        initial: Mapping[str, Any] | None = None,
        hold: Mapping[str, Any] | None = None,
        seed: int | None = 0,
        overflow: bool = False,
        restarts: str | None = None,
        lease_seconds: float = 600.0,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = None,
    ) -> None:
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
        check_kinds(restarts, overflow, hyperparameters)
        super().__init__(
            lease_seconds,
            options={
                "population_size": population_size,
                "sigma0": sigma0,
                "initial": plain("initial", initial),
                "hold": plain("hold", hold),
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
        self._space: Any = None  # has `values(vector)`
        self._search: CmaSearch | None = None
        self._failures = 0  # in a row

    def check_space(self) -> None:
        """Raises if the search space cannot be searched, or `initial` is outside it.

        Raises:
            ValueError: Says what is wrong and what to do.
        """
        Space(self.hyperparameters, self._options["hold"]).start(
            self._options["initial"]
        )

    def begin(self) -> None:
        """Opens the search: a new one, or that of the project's folder."""
        if self._search is not None:
            return
        if not self.trials and self.is_stored():
            self.reload()
        self._space, self._search = self.open_search()
        self._settle()

    def open_search(self) -> tuple[Any, CmaSearch]:
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
            journal=os.path.join(self.project_dir, "cma.jsonl"),
            options={"minstd": deviations} if any(deviations) else None,
        )
        return space, search

    def reload(self) -> None:
        """Reads the project's files, as `keras_tuner.Oracle.reload`."""
        with self._lock:
            self.close()
            super().reload()

    def close(self) -> None:
        """Releases the journal; the next call that needs the search opens it again.

        Keras Tuner keeps every oracle until its process ends, and with it the journal.
        """
        with self._lock:
            if self._search is not None:
                self._search.close()
            self._search = None

    def is_exhausted(self) -> bool:
        """Whether there will be no further new trial."""
        return super().is_exhausted() or bool(self._opened.finished)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values of the next trial, as `keras_tuner.Oracle.populate_space`."""
        candidate = self._opened.ask()
        if candidate is None:
            idle = self.under_way() or not self._opened.finished
            return {"status": TrialStatus.IDLE if idle else TrialStatus.STOPPED}
        if candidate.id != int(trial_id):
            raise RuntimeError(self._mixed_up(trial_id))
        values = self._space.values(candidate.x)
        return {"status": TrialStatus.RUNNING, "values": values}

    def update_space(self, hyperparameters: keras_tuner.HyperParameters) -> None:
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

    def on_ended(self, trial: Trial) -> None:
        """Passes the score to the search, and ends it after too many failures.

        Raises:
            RuntimeError: Too many trials have failed in a row.
        """
        self._tell(trial)
        self._count(trial)
        population = self._opened.population_size
        limit = self.max_consecutive_failed_trials or 2 * population
        if self._failures and self._failures % limit == 0:
            raise RuntimeError(
                f"CMAES: {self._failures} trials in a row have failed, the last with: "
                f"{trial.message or 'no message'}\nThe same command continues the "
                "search; `max_consecutive_failed_trials` is the limit."
            )

    @property
    def _opened(self) -> CmaSearch:
        """The search, after `begin`."""
        if self._search is None:
            raise RuntimeError("CMAES: the search is closed. Call `begin` first.")
        return self._search

    def _tell(self, trial: Trial) -> None:
        completed = trial.status == TrialStatus.COMPLETED
        self._opened.tell(int(trial.trial_id), trial.score if completed else math.nan)

    def _count(self, trial: Trial) -> None:
        failed = trial.status == TrialStatus.FAILED
        self._failures = self._failures + 1 if failed else 0

    def _settle(self) -> None:
        """Reconciles the journal with the trials' files, which a kill may separate.

        Trial `n` is candidate `n`. The journal gets the score of a trial that had
        ended without it, a trial without its file is made again, and the others were
        under way.
        """
        told = {record.id: record for record in self._opened.history()}
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
                self.retry_queue.append(trial.trial_id)
        self.start_order = sorted(self.trials, key=int)

    def _further(self) -> list[int]:
        """Ids of samples beyond the population, one of them perhaps without a trial."""
        search = self._opened
        pending = search.pending()
        now = [r.id for r in search.history() if r.generation == search.generation]
        first = min([*now, *(candidate.id for candidate in pending)], default=0)
        size = search.population_size
        return [c.id for c in pending if c.id >= first + size][: self.max_trials]

    def _asked_again(self, number: int) -> Candidate[np.ndarray] | None:
        """Candidate of a trial without a value; None if its generation is complete."""
        pending = [candidate.id for candidate in self._opened.pending()]
        if pending and number < pending[-1] and number not in pending:
            return None
        candidate = self._opened.ask()
        if candidate is None or candidate.id != number:
            raise RuntimeError(self._mixed_up(number))
        return candidate

    def _mixed_up(self, number: int | str) -> str:
        return (
            f"CMAES: {self.project_dir} has a trial {number} that its cma.jsonl "
            "cannot have proposed. Use `overwrite=True` or another `project_name`."
        )

    def _make_again(
        self,
        number: int,
        candidate: Candidate[np.ndarray] | None,
        record: Record[np.ndarray] | None,
    ) -> Trial:
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
        self.save_trial(trial)
        return trial
