"""Every name of Keras Tuner that its documentation does not promise.

All are those of keras-tuner 1.4.8, the release that setup.cfg begins with. A new
release is checked here: each private name has its comment, and the rest of the folder
uses the public names that this file gives them.
"""

import os
from typing import Any

import keras_tuner

# 1.4.8: importable from here, not in the documentation
from keras_tuner.engine.hyperparameters import Choice, Fixed, Float, Int
from keras_tuner.engine.trial import Trial, TrialStatus

# 1.4.8: the service of a shared search, its messages and both of its ends
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

__all__ = [
    "Choice",
    "Fixed",
    "Float",
    "Int",
    "Oracle",
    "OracleClient",
    "OracleServicer",
    "Trial",
    "TrialStatus",
    "Tuner",
    "messages",
    "service",
]

messages = protos.get_service()  # 1.4.8: request and response classes
service = protos.get_service_grpc()  # 1.4.8: the gRPC stub, and how a server is made


class Oracle(keras_tuner.Oracle):
    """Keras Tuner's oracle with public names for its files, queue and display."""

    @property
    def project_dir(self) -> str:
        """Folder of the project; it is made if it is not there."""
        return self._project_dir  # 1.4.8

    def set_project_dir(self, directory: str, project_name: str) -> None:
        """Sets the folder of the project, as a `Tuner` does."""
        self._set_project_dir(directory, project_name)  # 1.4.8

    @property
    def oracle_file(self) -> str:
        """Path of the oracle's state."""
        return self._get_oracle_fname()  # 1.4.8

    def trial_file(self, trial_id: str) -> str:
        """Path of a trial's state; its folder is made if it is not there."""
        return os.path.join(self._get_trial_dir(trial_id), "trial.json")  # 1.4.8

    @property
    def retry_queue(self) -> list[str]:
        """Ids of the trials that are handed out before new ones, the last one first."""
        return self._retry_queue  # 1.4.8

    @retry_queue.setter
    def retry_queue(self, trial_ids: list[str]) -> None:
        self._retry_queue = trial_ids

    @property
    def run_times(self) -> dict[str, int]:
        """How often each trial has ended, by its id; a defaultdict."""
        return self._run_times  # 1.4.8

    @property
    def display_state(self) -> dict[str, Any]:
        """What the printed progress needs after a restart."""
        return self._display.get_state()  # 1.4.8

    @display_state.setter
    def display_state(self, state: dict[str, Any]) -> None:
        self._display.set_state(state)

    def save_trial(self, trial: Trial) -> None:
        """Writes a trial's file."""
        raise NotImplementedError

    def _save_trial(self, trial: Trial) -> None:
        """1.4.8: called wherever a trial has changed."""
        self.save_trial(trial)

    def _check_consecutive_failures(self) -> None:
        """1.4.8: its own count of failures raises before anything is saved."""


class Tuner(keras_tuner.Tuner):
    """Keras Tuner's tuner with public hooks around a trial and its trainings."""

    @property
    def tuner_file(self) -> str:
        """Path of the tuner's state."""
        return self._get_tuner_fname()  # 1.4.8

    @property
    def is_worker(self) -> bool:
        """Whether this process is a worker of a shared search."""
        return self._is_worker()  # 1.4.8

    def on_training_end(self, results: Any) -> None:
        """Called with the results of each training of a trial.

        Args:
            results: What `HyperModel.fit` returned, such as a `History`.
        """

    def run_and_report(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        """Runs a trial and reports its metrics to the oracle.

        Args:
            trial: The trial.
            *args: Arguments of `run_trial`.
            **kwargs: Arguments of `run_trial`.
        """
        super()._run_and_update_trial(trial, *args, **kwargs)

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """1.4.8: trains one model."""
        results = super()._build_and_fit_model(trial, *args, **kwargs)
        self.on_training_end(results)
        return results

    def _run_and_update_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        """1.4.8: a `FatalError` ends the search, other errors fail the trial."""
        self.run_and_report(trial, *args, **kwargs)
