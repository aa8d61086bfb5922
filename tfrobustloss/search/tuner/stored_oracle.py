"""A Keras Tuner oracle whose files survive a kill: small, JSON, whole or not there."""

import glob
import json
import os
import warnings

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfrobustloss._core import files
from tfrobustloss._core.validation import ParameterError

_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


class StoredOracle(keras_tuner.Oracle):
    """Keras Tuner's oracle with files of its own.

    Each trial is in its `trial.json`; `oracle.json` says which are under way and so
    stays small. Both are replaced in one step.

    Args:
        options: Dict of plain values that a resumed search must share.
        **kwargs: As in `keras_tuner.Oracle`.
    """

    keeps_workers = False  # whether they outlive this process: those of a chief do

    def __init__(self, options, **kwargs):
        super().__init__(**kwargs)
        self._options = json.loads(json.dumps(options))

    def under_way(self):
        """The trials that a worker has, and those queued for one."""
        queued = [self.trials[trial_id] for trial_id in self._retry_queue]
        return [*self.ongoing_trials.values(), *queued]

    def is_stored(self):
        """Whether the project's folder holds a search."""
        return os.path.exists(self._get_oracle_fname())

    def save(self):
        """Writes what is under way."""
        write(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial):
        folder = self._get_trial_dir(trial.trial_id)
        write(os.path.join(folder, "trial.json"), trial.get_state())

    def reload(self):
        """Reads the project's files, as `keras_tuner.Oracle.reload`.

        A file that cannot be read is left out, with a warning.
        """
        pattern = os.path.join(glob.escape(self._project_dir), "trial_*", "trial.json")
        states = filter(None, map(read, glob.glob(pattern)))
        trials = sorted(map(Trial.from_state, states), key=lambda t: int(t.trial_id))
        self.trials = {trial.trial_id: trial for trial in trials}
        self.start_order = list(self.trials)
        self.end_order = [t.trial_id for t in trials if t.status in _ENDED]
        state = read(self._get_oracle_fname())
        if state is not None:
            self.set_state(state)

    def get_state(self):
        """What is under way, as JSON; the trials' own files have the rest."""
        display = self._display.get_state()
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
            "retry_queue": list(self._retry_queue),
            "run_times": {i: n for i, n in self._run_times.items() if i in running},
            "display": display,
        }

    def set_state(self, state):
        """Takes back what `get_state` gave; `trials` must be there.

        Raises:
            ValueError: It is the state of a search with other options.
        """
        for name, value in self._options.items():
            if value != state["options"].get(name):
                stored = state["options"].get(name)
                constraint = f"{stored!r}, as in the project at {self._project_dir}"
                hint = "For a new search: `overwrite=True`, or another `project_name`."
                raise ParameterError("CMAES", name, value, constraint, hint)
        self.seed = state["seed"]
        self.hyperparameters = keras_tuner.HyperParameters.from_config(
            state["hyperparameters"]
        )
        self._run_times.update(state["run_times"])
        self._display.set_state(state["display"])
        known = set(self.trials) - set(self.end_order)
        ongoing = state["ongoing_trials"] if self.keeps_workers else {}
        self.ongoing_trials = {
            tuner_id: self.trials[i] for tuner_id, i in ongoing.items() if i in known
        }
        self._retry_queue = [i for i in state["retry_queue"] if i in known]


def write(path, state):
    """Replaces a JSON file in one step: a kill leaves the old one or the new one."""
    files.write(path, json.dumps(state).encode())


def read(path):
    """Content of a JSON file; None if there is none, or a broken one with a warning."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"CMAES: {path} is left out: {error}", stacklevel=3)
        return None
