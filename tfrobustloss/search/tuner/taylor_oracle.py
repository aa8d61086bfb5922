"""One `TaylorLossSearch` in many processes, through Keras Tuner's service.

The chief has the candidates and the journal and trains nothing. A worker gets a vector
and returns its value. Both travel as text: Keras Tuner's messages hold 32 bits of a
float, and the history must be that of a search in one process.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner
import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.search.cmaes import CmaSearch
from tfrobustloss.search.tuner import roles, service
from tfrobustloss.search.tuner.keras_tuner_private import Trial, TrialStatus
from tfrobustloss.search.tuner.oracle import CMAESOracle

_VECTOR, _SETTINGS, _SCORE = "vector", "settings", "accuracy"


class TaylorOracle(CMAESOracle):
    """Hands the candidates of a search to workers.

    Args:
        search: A `TaylorLossSearch`.
        candidates: Its `CmaSearch`; None in a worker.
        lease_seconds: Float > 0.
        progress: A `Progress`, or None.
    """

    def __init__(
        self,
        search: Any,
        candidates: CmaSearch | None,
        lease_seconds: float,
        progress: Any = None,
    ) -> None:
        space = keras_tuner.HyperParameters()
        for name in (_VECTOR, _SETTINGS):
            space.Fixed(name, "")
        size = search.settings["population_size"]
        super().__init__(
            objective=keras_tuner.Objective(_SCORE, "max"),
            max_trials=search.generations * size,
            population_size=size,
            seed=search.settings["seed"],
            lease_seconds=lease_seconds,
            hyperparameters=space,
        )
        self.verbose = 0
        self._candidates, self._progress = candidates, progress
        self._texts = _Texts(_digest(search.settings))

    def open_search(self) -> tuple[Any, CmaSearch]:
        """How vectors travel, and the candidates of the Taylor search."""
        if self._candidates is None:
            raise RuntimeError("search: a worker has no candidates of its own.")
        return self._texts, self._candidates

    def close(self) -> None:
        """Does nothing: the journal belongs to the Taylor search."""

    def on_ended(self, trial: Trial) -> None:
        """Passes the value to the search; a training that diverges is no failure."""
        generation = self._opened.generation
        self._tell(trial)
        if self._progress is not None:
            self._progress.candidate()
            if self._opened.generation > generation:
                self._progress.generation()


class _Texts:
    """Vectors as the values of a trial."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def values(self, vector: np.ndarray) -> dict[str, str]:
        return {_VECTOR: json.dumps(vector.tolist()), _SETTINGS: self._digest}


def lead(
    search: Any, candidates: CmaSearch, lease_seconds: float, progress: Any
) -> None:
    """Serves the candidates of a search to workers until it is over.

    Args:
        search: A `TaylorLossSearch` with a journal.
        candidates: Its `CmaSearch`.
        lease_seconds: Float > 0.
        progress: A `Progress`.

    Raises:
        ValueError: The search has no journal.
        OSError: The port is taken.
    """
    if search.journal is None:
        constraint = "a path, where the chief writes the values of its workers"
        raise ParameterError("search", "journal", None, constraint)
    oracle = TaylorOracle(search, candidates, lease_seconds, progress)
    oracle.keeps_workers = True
    oracle.set_project_dir(*os.path.split(f"{os.fspath(search.journal)}.trials"))
    oracle.begin()
    oracle.save()
    service.serve(oracle)


def work(
    search: Any,
    score: Callable[[Sequence[float], int], float],
    lease_seconds: float,
) -> int:
    """Scores candidates for a chief until the search is over.

    Args:
        search: A `TaylorLossSearch` with the chief's settings.
        score: Function from a vector and the index of its generation to its value.
        lease_seconds: Float > 0.

    Returns:
        Number of candidates that this process has scored.

    Raises:
        ValueError: The chief's search has other settings.
        ConnectionError: The chief does not answer.
    """
    client = service.SearchClient(TaylorOracle(search, None, lease_seconds))
    tuner_id, done = os.environ[roles.TUNER], 0
    while True:
        trial = client.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            return done
        if trial.status == TrialStatus.IDLE:
            continue
        given = trial.hyperparameters.values
        if given[_SETTINGS] != _digest(search.settings):
            raise ValueError(
                "search: the options of this worker are not those of its chief. "
                f"Received: settings={search.settings}. Start all roles with the same "
                "command and the same data."
            )
        generation = int(trial.trial_id) // search.settings["population_size"]
        value = score(json.loads(given[_VECTOR]), generation)
        client.update_trial(trial.trial_id, {_SCORE: value})
        trial.status = TrialStatus.COMPLETED
        client.end_trial(trial)
        done += 1


def _digest(settings: dict[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
