"""Search for Taylor losses by CMA-ES: Algorithm 1 of Gao et al. 2021."""

import json
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfrobustloss import experiments, losses
from tfrobustloss._core import files
from tfrobustloss._core.validation import check
from tfrobustloss.experiments import Task, make_tasks
from tfrobustloss.search.taylor import record
from tfrobustloss.search.taylor.fitness import Fitness, choose
from tfrobustloss.search.taylor.history import Progress, summaries
from tfrobustloss.search.taylor.parametrization import (
    LIMITS,
    Form,
    checked_rates,
    decisive_options,
    start_file,
)
from tfrobustloss.search.tuner import roles

__all__ = ["TaylorLossSearch", "Task", "make_tasks"]

# Seeds below 1000 are left to comparisons. Those of a search, and those that its result
# is scored with again, overlap neither with them nor with each other.
SEARCH_SEEDS, FRESH_SEEDS = 1000, range(500_000, 500_005)


class TaylorLossSearch:
    """Searches for the Taylor loss that learns best from wrong labels.

    A candidate is trained on each task's wrong labels with each learning rate and
    several initial weights; its fitness is the mean accuracy on the tasks'
    validation data, whose labels may be as wrong as the others (`validation="noisy"`
    of `Task`): no clean label is needed. A candidate with a training that diverges
    ranks last. All candidates of a generation share their seeds, and each generation
    has new ones, for initial weights, order of batches and, where the noise is
    simulated, wrong labels, so that no candidate can be fitted to one draw of them. No
    seed is below 1000.

    With a `journal` every candidate is on disk once its value is known. After Ctrl-C or
    a kill, the same call continues the search and ends with the same history; with more
    `generations` it continues a search that had ended.

    Args:
        tasks: A `Task` or a list of them, as from `make_tasks`.
        generations: Int >= 1.
        form: `"canonical"`, the six numbers that matter for one-hot labels, or `"12"`
            or `"16"`, all parameters of the paper's two forms.
        start: `"gce"`, 1.5 times the best fit of generalized cross-entropy; `"mae"` or
            `"ce"`, best fits too; `"zeros"`; a preset or its path; a `TaylorLoss`; or
            the vector itself.
        sigma0: Float > 0, first standard deviation.
        population_size: Int >= 3, candidates a generation.
        seeds_per_candidate: Int >= 1, initial weights that each is trained from.
        noise_draws: Int >= 1, how many draws of the wrong labels generations take in
            turn.
        learning_rates: Sequence of floats > 0 that each candidate is trained with.
        epochs: Int >= 1. Long enough for cross-entropy to memorise the wrong labels:
            otherwise the search finds cross-entropy.
        batch_size: Int >= 1.
        momentum: Float in [0, 1).
        eta: None to let the scale of the loss be searched too, or the range to which
            all candidates are scaled.
        seed: Int in [0, 2 ** 32 - 1], of the candidates.
        journal: Path of the journal, or None for none. The settings are in a second
            file, `<journal>.settings.json`.
        **trainer_options: Other arguments of `Trainer`, such as `num_threads`.

    Attributes:
        generations: As given.
        journal: As given.
        settings: Dict of what the values of candidates depend on.
        seeds: Dict of the seeds that the search uses.
        tasks: List of the tasks with their data.
        form: The `Form` of its vectors.
        training: Dict of `epochs`, `batch_size` and `momentum`.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is outside its range, a name is unknown, or the journal
            is of another search.
        RuntimeError: Another search has the journal open.

    Warns:
        UserWarning: There are fewer noisy validation labels than it takes to tell two
            losses apart whose accuracy differs by 2 points.

    Example:
        >>> search = TaylorLossSearch(
        ...     Task("digits", train_size=200, validation_size=100),
        ...     generations=1,
        ...     population_size=4,
        ...     epochs=1,
        ... )
        >>> search.run()
        >>> [record["generation"] for record in search.history()]
        [1]

    Reference:
        Gao, Gouk, Hospedales, "Searching for Robustness: Loss Learning for Noisy
        Classification Tasks", ICCV 2021.
    """

    def __init__(
        self,
        tasks: Any,
        *,
        generations: int,
        form: str = "canonical",
        start: Any = "gce",
        sigma0: float = 0.7,
        population_size: int = 12,
        seeds_per_candidate: int = 2,
        noise_draws: int = 16,
        learning_rates: float | Sequence[float] = (0.1,),
        epochs: int = 100,
        batch_size: int = 128,
        momentum: float = 0.9,
        eta: float | None = None,
        seed: int = 0,
        journal: str | os.PathLike[str] | None = None,
        **trainer_options: Any,
    ) -> None:
        numbers: dict[str, Any] = {
            "seeds_per_candidate": seeds_per_candidate,
            "noise_draws": noise_draws,
            "epochs": epochs,
            "batch_size": batch_size,
            "momentum": momentum,
            "population_size": population_size,
            "sigma0": sigma0,
            "seed": seed,
        }
        rates = checked_rates(
            {"generations": generations, **numbers}, learning_rates, trainer_options
        )
        self.tasks = experiments.task.prepare_all(tasks)
        for task in self.tasks:
            _warn_of_few(task)
        self.form = Form(form, self.tasks[0].num_classes, eta)
        vector = self.form.start(start)
        self.generations = generations
        self.journal = journal
        self._start_file = start_file(start)
        if journal is not None:
            for path in (journal, record.settings_path(journal)):
                start_preset = {"the preset of `start`": self._start_file}
                record.check_apart("search", "journal", path, start_preset)
        self.settings = {
            "tasks": [task.description for task in self.tasks],
            "form": form,
            "eta": eta,
            **numbers,
            "learning_rates": rates,
            "start": vector.tolist(),
            "trainer": decisive_options(trainer_options),
        }
        self.seeds: dict[str, Any] = {
            "first": SEARCH_SEEDS,
            "per_candidate": seeds_per_candidate,
            "noise": list(range(SEARCH_SEEDS, SEARCH_SEEDS + noise_draws)),
        }
        self.training = {
            name: numbers[name] for name in ("epochs", "batch_size", "momentum")
        }
        self._trainer_options = trainer_options
        self._cma = record.open_search(
            None if roles.role() == "worker" else journal,  # the chief writes it
            self.settings,
            vector,
            sigma0,
            population_size=population_size,
            seed=seed,
            direction="max",
        )
        self._fitness: Fitness | None = None
        self._best: dict[str, Any] | None = None

    def run(
        self,
        callback: Callable[[dict], Any] | None = None,
        on_candidate: Callable[[int, int], Any] | None = None,
        lease_seconds: float = 3600.0,
    ) -> None:
        """Runs the search to its end, or continues it after Ctrl-C or an error.

        Several processes share a search when each has a role, see
        `tfrobustloss.search.tuner.tuner`: the chief keeps the journal, workers train
        the candidates. All construct the same `TaylorLossSearch`; the history is that
        of a single process.

        Args:
            callback: Called after each generation, but not in a worker, with its
                progress: the dict of `history`, with `generations`,
                `candidates_per_second` and `seconds_left`.
            on_candidate: Called with `done, total` after each candidate, but not in a
                worker.
            lease_seconds: Float > 0, longer than a candidate takes: after this time the
                chief hands a candidate to another worker.
        """
        check("search", LIMITS, lease_seconds=lease_seconds)
        self._best = None
        progress = Progress(self, self._cma, callback, on_candidate)
        if role := roles.role():
            from tfrobustloss.search.tuner import taylor_oracle  # needs Keras Tuner

            if role == "worker":
                taylor_oracle.work(self, self._score_one, lease_seconds)
            else:
                taylor_oracle.lead(self, self._cma, lease_seconds, progress)
            return
        while self._cma.generation < self.generations and not self._cma.finished:
            generation = self._cma.generation
            candidates = self._cma.pending()

            def tell(index: int, value: float, candidates: list = candidates) -> None:
                self._cma.tell(candidates[index].id, value)
                progress.candidate()

            self.score([one.x for one in candidates], generation, tell)
            progress.generation()

    def history(self) -> list[dict]:
        """List of a dict per complete generation, of plain JSON values.

        `best`, `median` and `mean` are of the generation's fitness, `best_so_far` of
        all so far, `diverged` the number of candidates that did; `vectors` and `values`
        are the candidates, None for the value of one that diverged.
        """
        return summaries(self._cma.history(), self._cma.generation)

    def score(
        self,
        vectors: Sequence[np.ndarray],
        generation: int,
        on_value: Callable[[int, float], Any] | None = None,
    ) -> np.ndarray:
        """Fitness of vectors, with the seeds and wrong labels of a generation.

        Args:
            vectors: List of vectors of `form`.
            generation: Int >= 0, also beyond those of the search.
            on_value: Called with `index, value` as soon as a value is known.

        Returns:
            Array of accuracies in [0, 1], NaN where a training diverged.
        """
        seeds, draw = self._seeds_of(generation), generation % len(self.seeds["noise"])
        return self._evaluator().score(vectors, seeds, draw, on_value)

    def best(self) -> dict[str, Any]:
        """Picks the winner by re-scoring the finalists on fresh seeds.

        The mean of the distribution and the best candidates are scored again on the
        validation data, from initial weights and with wrong labels that were not in
        the search; the best of these is returned. The values seen in the search are
        biased upwards: they are the luckiest of many.

        Returns:
            Dict: `theta`, parameters of the `TaylorLoss`; `coefficients`, its canonical
            form by name; `accuracy` on the fresh `seeds`; `candidates`, the accuracy of
            all finalists.

        Raises:
            RuntimeError: No generation is complete.
            ValueError: All of their trainings diverged.
        """
        if not self._cma.generation:
            raise RuntimeError(
                "TaylorLossSearch: there is no best loss before the end of the first "
                "generation. Call `run` first."
            )
        if self._best is None:
            self._best = choose(
                self._evaluator(),
                self._cma.mean,
                self._cma.history(),
                len(self.seeds["noise"]),
                FRESH_SEEDS,
            )
        return self._best

    def best_loss(self, **options: Any) -> losses.TaylorLoss:
        """The result of `best` as a loss, by default of probabilities.

        Args:
            **options: Other arguments of `TaylorLoss`, such as `from_logits`.

        Returns:
            A `TaylorLoss`.
        """
        return losses.TaylorLoss(self.best()["theta"], **options)

    def save_preset(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Writes the result of `best` and its provenance for `presets.load_preset`.

        Args:
            path: Path of the file; one that is there is replaced.

        Returns:
            The dict that is written.

        Raises:
            ValueError: It would replace the journal, its settings, or the preset that
                the search started from.
        """
        others: dict[str, str | None] = {"the preset of `start`": self._start_file}
        if self.journal is not None:
            others["the journal"] = os.fspath(self.journal)
            others["its settings"] = record.settings_path(self.journal)
        record.check_apart("save_preset", "path", path, others)
        preset = record.preset(self, self.best())
        text = json.dumps(preset, indent=1, allow_nan=False)
        files.write(path, f"{text}\n".encode())
        return preset

    def close(self) -> None:
        """Releases the journal, so that another search can continue it."""
        self._cma.close()

    @property
    def generation(self) -> int:
        """Number of complete generations."""
        return self._cma.generation

    def _score_one(self, vector: Sequence[float], generation: int) -> float:
        return float(self.score([np.array(vector)], generation)[0])

    def _seeds_of(self, generation: int) -> list[int]:
        count = self.settings["seeds_per_candidate"]
        first = SEARCH_SEEDS + generation * count
        return list(range(first, first + count))

    def _evaluator(self) -> Fitness:
        if self._fitness is None:
            self._fitness = Fitness(
                self.tasks,
                self.form,
                self.settings["learning_rates"],
                [*self.seeds["noise"], *FRESH_SEEDS],
                **self.training,
                **self._trainer_options,
            )
        return self._fitness


def _warn_of_few(task: Any) -> None:
    needed, size = task.validation_needed(), len(task.validation[1])
    if needed is not None and size < needed:
        text = (
            f"TaylorLossSearch: {size} noisy validation examples of "
            f"{task.description['dataset']} tell losses apart whose accuracy differs "
            f"by more than 2 points; for 2 points it takes about {needed}. Give more "
            "by `validation_size`."
        )
        warnings.warn(text, stacklevel=3)
