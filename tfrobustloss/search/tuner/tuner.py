"""`CMAES`: a Keras Tuner for any hypermodel, in one process or many.

One process:

    python search.py

Several processes share a search when each has a role: the same script for every role:

    KERASTUNER_TUNER_ID=chief KERASTUNER_ORACLE_PORT=8000 python search.py
    KERASTUNER_TUNER_ID=worker-1 KERASTUNER_ORACLE_PORT=8000 python search.py

The chief trains nothing: it hands out trials and keeps the journal. There may be any
number of workers, each with an id of its own; they may start before the chief, stop,
and join later. After `lease_seconds` the trial of a worker that died or hangs is handed
to another. To continue after the chief was killed, run its command again; the workers
wait for it, ten minutes.

The port is open to this machine only. `KERASTUNER_ORACLE_IP`, the same for all roles,
opens it to others. Keras Tuner's service has neither password nor encryption: anyone
who reaches the port can read the search, take its trials and send false results.
Restrict the port to the workers by a firewall, or use an SSH tunnel. The machines need
a shared project folder only to collect the workers' checkpoints in one place.
"""

import time
import warnings
from collections.abc import Mapping
from typing import Any

import keras_tuner

from tfrobustloss.search.tuner import (
    keras_tuner_private,
    roles,
    service,
    stored_oracle,
    trial_results,
)
from tfrobustloss.search.tuner.keras_tuner_private import Trial, TrialStatus
from tfrobustloss.search.tuner.oracle import CMAESOracle


class CMAES(keras_tuner_private.Tuner):
    """Tunes the numbers of a hypermodel by CMA-ES.

    For `Float` and `Int` hyper-parameters, linear and logarithmic, up to about a
    hundred, and an objective too rugged or noisy for a model of it. It takes at least
    ten times as many trials as there are numbers; with fewer, use
    `keras_tuner.BayesianOptimization`.

    The same seed gives the same trials. After Ctrl-C or a kill, the same command
    continues the search as if it had never stopped.

    A trial fails if its model cannot be built, its training raises, or the objective
    is not finite. An objective that is missing in the metrics of the first trial ends
    the search at once, with an error that names those metrics.

    Args:
        hypermodel: As in `keras_tuner.Tuner`.
        objective: As in `keras_tuner.Tuner`.
        max_trials: Int, most trials; None until CMA-ES itself ends. A resumed search
            may have more.
        population_size: Int, trials a generation; None for CMA-ES' default,
            4 + 3 log(numbers).
        sigma0: Float, first standard deviation, in units of each range.
        initial: Dict of names to values where the search begins; the others begin at
            their default, or in the middle of the range if that is `min_value`.
        hold: Dict of names to the value that each keeps for the whole search: a
            `Choice`, a `Boolean` and a conditional number must be held.
        seed: Int; None draws one.
        overflow: Whether a worker that would wait for the end of a generation gets a
            further sample of it. No worker idles, but which results form a generation
            then depends on which worker was faster.
        restarts: None, `"ipop"` or `"bipop"`, as in `CmaSearch`.
        lease_seconds: Float, time without a sign of life after which a worker's trial
            is handed to another. Each batch of `fit` is a sign of life; a `run_trial`
            of your own that takes longer must call `keep_alive(trial)` meanwhile.
        hyperparameters: As in `keras_tuner.BayesianOptimization`.
        tune_new_entries: As in `keras_tuner.BayesianOptimization`.
        allow_new_entries: As in `keras_tuner.BayesianOptimization`.
        max_retries_per_trial: As in `keras_tuner.BayesianOptimization`.
        max_consecutive_failed_trials: Int, failures in a row that end the search with
            an error; None for two populations' worth, which a search that is merely
            exploring does not reach and a model that cannot be built does.
        **kwargs: As in `keras_tuner.Tuner`: `directory`, `project_name`, `overwrite`,
            `executions_per_trial` and others.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range, or the search space holds what cannot
            be searched; the message says what to do.

    Example:
        >>> class Quadratic(CMAES):
        ...     def run_trial(self, trial, **fit_kwargs):
        ...         return (trial.hyperparameters.get("x") - 3) ** 2
        >>> space = keras_tuner.HyperParameters()
        >>> middle = space.Float("x", -10, 10)
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tuner = Quadratic(hyperparameters=space, directory=folder)
        ...     tuner.search(verbose=0)
        >>> round(tuner.get_best_hyperparameters()[0].get("x"), 1)
        3.0
    """

    oracle: Any  # `CMAESOracle`, or a worker's `SearchClient`

    def __init__(
        self,
        hypermodel: Any = None,
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
        **kwargs: Any,
    ) -> None:
        oracle = CMAESOracle(
            objective=objective,
            max_trials=max_trials,
            population_size=population_size,
            sigma0=sigma0,
            initial=initial,
            hold=hold,
            seed=seed,
            overflow=overflow,
            restarts=restarts,
            lease_seconds=lease_seconds,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        role = roles.role()
        oracle.keeps_workers = role == "chief"
        if role == "worker":
            kwargs["overwrite"] = False  # the folder is the chief's
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        if role == "worker":
            multi_worker = self.oracle.multi_worker, self.oracle.should_report
            self.oracle = service.SearchClient(oracle)
            self.oracle.multi_worker, self.oracle.should_report = multi_worker
        else:
            if oracle.is_stored() and not oracle.trials:
                oracle.reload()  # another role's, or killed before it had a tuner file
            oracle.check_space()
        self._role = role
        self._signs_every = lease_seconds / 10
        self._last_sign = time.monotonic()

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Runs the search, or this process' part in it, as `keras_tuner.Tuner.search`.

        Args:
            *fit_args: As in `keras_tuner.Tuner.search`.
            **fit_kwargs: As in `keras_tuner.Tuner.search`.

        Raises:
            RuntimeError: No trial has succeeded, or too many in a row have failed.
            ValueError: The first trial has ended without a value of the objective;
                the message names the metrics that it reported.
        """
        if self._role == "worker":
            super().search(*fit_args, **fit_kwargs)
            return
        try:
            self.oracle.begin()
            self.save()
            if self._role == "chief":
                self.oracle.verbose = fit_kwargs.get("verbose", "auto")
                service.serve(self.oracle)
            else:
                super().search(*fit_args, **fit_kwargs)
            self._check_any_success()
        finally:
            self.oracle.close()

    def on_training_end(self, results: Any) -> None:
        """Checks after the first training whether the objective is reported.

        Args:
            results: What `HyperModel.fit` returned.
        """
        trial_results.metrics_of(results, self.oracle.objective)

    def run_and_report(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        """Runs a trial and reports its metrics to the oracle.

        An error that ends the search in a worker ends it for the chief and all others.

        Args:
            trial: The trial.
            *args: Arguments of `run_trial`.
            **kwargs: Arguments of `run_trial`.
        """
        try:
            self._report(trial, self.run_trial(trial, *args, **kwargs))
        except keras_tuner.errors.FatalError as error:
            unreported = isinstance(error, trial_results.UnreportedObjective)
            if unreported and self._any_completed():
                # the name is right: the metrics depend on the hyper-parameters
                raise keras_tuner.errors.FailedTrialError(str(error)) from error
            if self._role == "worker":
                self.oracle.end_search(trial, str(error))
            raise

    def save(self) -> None:
        """Saves what is not yet on disk, as `keras_tuner.Tuner.save`."""
        if not self.is_worker:
            self.oracle.save()
        state = self.get_state()
        if stored_oracle.read(self.tuner_file) != state:
            stored_oracle.write(self.tuner_file, state)

    def reload(self) -> None:
        """Reads what was saved, as `keras_tuner.Tuner.reload`."""
        if not self.is_worker:
            self.oracle.reload()
        state = stored_oracle.read(self.tuner_file)
        if state is not None:
            self.set_state(state)

    def keep_alive(self, trial: Trial) -> None:
        """Sends a worker's sign of life, so that its trial is not handed to another.

        Args:
            trial: The trial that is under way.
        """
        now = time.monotonic()
        if self._role == "worker" and now - self._last_sign > self._signs_every:
            self._last_sign = now
            self.oracle.keep_alive(trial)

    def on_batch_end(
        self, trial: Trial, model: Any, batch: int, logs: dict | None = None
    ) -> None:
        """Called at the end of a batch, as in `keras_tuner.Tuner`."""
        super().on_batch_end(trial, model, batch, logs)
        self.keep_alive(trial)

    def _report(self, trial: Trial, results: Any) -> None:
        objective = self.oracle.objective
        reported = self.oracle.get_trial(trial.trial_id).metrics
        if reported.exists(objective.name):
            message = (
                "CMAES: `run_trial` called `oracle.update_trial`, which Keras Tuner "
                "will no longer support. Return the metrics instead."
            )
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return
        metrics, step = trial_results.metrics_of(results, objective)
        self.oracle.update_trial(trial.trial_id, metrics, step=step)

    def _any_completed(self) -> bool:
        best = self.oracle.get_best_trials(1)
        return any(trial.status == TrialStatus.COMPLETED for trial in best)

    def _check_any_success(self) -> None:
        trials = self.oracle.trials.values()
        if trials and all(trial.status != TrialStatus.COMPLETED for trial in trials):
            messages = [trial.message for trial in trials if trial.message]
            last = messages[-1].strip().splitlines()[-1] if messages else "no message"
            raise RuntimeError(
                f"CMAES: none of {len(trials)} trials has succeeded, so that there is "
                f"no best one. The last failed with: {last}. Fix the failing trials, "
                "then start again with `overwrite=True`."
            )
