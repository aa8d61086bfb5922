"""Algorithm 1 of Gao et al. 2021: CMA-ES looks for a Taylor loss that resists noise."""

import json
import os

import numpy as np

from tfrobustloss import losses
from tfrobustloss._core import files
from tfrobustloss._core.validation import check
from tfrobustloss.experiments import Task, make_tasks
from tfrobustloss.experiments import task as _tasks
from tfrobustloss.search.taylor import _asked, _found
from tfrobustloss.search.taylor import history as _history
from tfrobustloss.search.taylor import record as _provenance
from tfrobustloss.search.taylor._progress import Progress
from tfrobustloss.search.taylor.fitness import Fitness
from tfrobustloss.search.taylor.parametrization import Form, start_file
from tfrobustloss.search.tuner import roles

__all__ = ["TaylorLossSearch", "Task", "make_tasks"]

# Seeds below 1000 are left to comparisons; those of a search and of the check of what
# it found have nothing in common with them or with each other.
SEARCH_SEEDS, FRESH_SEEDS = 1000, range(500_000, 500_005)


class TaylorLossSearch:
    """Looks for the Taylor loss that learns best from wrong labels.

    A candidate is trained on each task's wrong labels with each learning rate and
    several initial weights; its fitness is the mean accuracy on the tasks'
    clean validation data. A candidate with a training that diverges ranks last. All
    candidates of a generation share their seeds, and each generation has new ones, for
    initial weights, order of batches and, where the noise is simulated, wrong labels:
    what is found cannot be fitted to one draw of them. No seed is below 1000.

    With a `journal` every candidate is on disk once its value is known. After Ctrl-C or
    a kill, the same call goes on where it was and ends with the same history; with more
    `generations` it goes on where it ended.

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
            otherwise cross-entropy is what is found.
        batch_size: Int >= 1.
        momentum: Float in [0, 1).
        eta: None to let the scale of the loss be searched too, or the range to which
            all candidates are scaled.
        seed: Int in [0, 2 ** 32 - 1], of the candidates.
        journal: Path of the journal, or None for none. Settings are kept beside it.
        **trainer_options: Other arguments of `Trainer`, such as `num_threads`.

    Attributes:
        generations: As given.
        journal: As given.
        settings: Dict of what decides the values of candidates.
        seeds: Dict of the seeds that the search uses.
        tasks: List of the tasks with their data.
        form: The `Form` of its vectors.
        training: Dict of `epochs`, `batch_size` and `momentum`.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is outside its range, names what does not exist, or
            the journal is of another search.
        RuntimeError: Another search has the journal open.

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
        tasks,
        *,
        generations,
        form="canonical",
        start="gce",
        sigma0=0.7,
        population_size=12,
        seeds_per_candidate=2,
        noise_draws=16,
        learning_rates=(0.1,),
        epochs=100,
        batch_size=128,
        momentum=0.9,
        eta=None,
        seed=0,
        journal=None,
        **trainer_options,
    ):
        numbers = {
            "seeds_per_candidate": seeds_per_candidate,
            "noise_draws": noise_draws,
            "epochs": epochs,
            "batch_size": batch_size,
            "momentum": momentum,
            "population_size": population_size,
            "sigma0": sigma0,
            "seed": seed,
        }
        learning_rates = _asked.checked_rates(
            {"generations": generations, **numbers}, learning_rates, trainer_options
        )
        self.tasks = _tasks.prepare_all(tasks)
        self.form = Form(form, self.tasks[0].num_classes, eta)
        vector = self.form.start(start)
        self.generations = generations
        self.journal = journal
        self._start_file = start_file(start)
        if journal is not None:
            for path in (journal, _provenance.settings_path(journal)):
                start_preset = {"the preset of `start`": self._start_file}
                _provenance.check_apart("search", "journal", path, start_preset)
        self.settings = {
            "tasks": [task.description for task in self.tasks],
            "form": form,
            "eta": eta,
            **numbers,
            "learning_rates": learning_rates,
            "start": vector.tolist(),
            "trainer": _asked.recorded(trainer_options),
        }
        self.seeds = {
            "first": SEARCH_SEEDS,
            "per_candidate": seeds_per_candidate,
            "noise": list(range(SEARCH_SEEDS, SEARCH_SEEDS + noise_draws)),
        }
        self.training = {
            name: numbers[name] for name in ("epochs", "batch_size", "momentum")
        }
        self._trainer_options = trainer_options
        self._cma = _provenance.open_journal(
            None if roles.role() == "worker" else journal,  # it is the chief's
            self.settings,
            vector,
            sigma0,
            population_size=population_size,
            seed=seed,
            direction="max",
        )
        self._fitness = None
        self._best = None

    def run(self, callback=None, on_candidate=None, lease_seconds=3600.0):
        """Searches; Ctrl-C and errors lose nothing, and the next call goes on.

        Several processes share a search when each is told its role, as
        `tfrobustloss.search.tuner` says: the chief keeps the journal, workers train
        the candidates. All make the same search; its history is that of one process.

        Args:
            callback: Called after each generation, but not in a worker, with its
                progress: the dict of `history`, with `generations`,
                `candidates_per_second` and `seconds_left`.
            on_candidate: Called with `done, total` after each candidate, likewise.
            lease_seconds: Float > 0, longer than a candidate takes: when a chief
                hands it to another worker.
        """
        check("search", _asked.LIMITS, lease_seconds=lease_seconds)
        self._best = None
        progress = Progress(self, self._cma, callback, on_candidate)
        if role := roles.role():
            from tfrobustloss.search.tuner import (
                taylor_oracle,  # it alone needs Keras Tuner
            )

            if role == "worker":
                taylor_oracle.work(self, self._score_one, lease_seconds)
            else:
                taylor_oracle.lead(self, self._cma, lease_seconds, progress)
            return
        while self._cma.generation < self.generations and not self._cma.finished:
            generation = self._cma.generation
            candidates = self._cma.pending()

            def tell(index, value, candidates=candidates):
                self._cma.tell(candidates[index].id, value)
                progress.candidate()

            self.score([one.x for one in candidates], generation, tell)
            progress.generation()

    def history(self):
        """List of a dict per complete generation, of plain JSON values.

        `best`, `median` and `mean` are of the generation's fitness, `best_so_far` of
        all so far, `diverged` the number of candidates that did; `vectors` and `values`
        are the candidates, None for the value of one that diverged.
        """
        return _history.generations(self._cma.history(), self._cma.generation)

    def score(self, vectors, generation, on_value=None):
        """Fitness of vectors, with the seeds and wrong labels of a generation.

        Args:
            vectors: List of vectors of `form`.
            generation: Int >= 0; one that is not in the search has seeds of its own.
            on_value: Called with `index, value` as soon as a value is known.

        Returns:
            Array of accuracies in [0, 1], NaN where a training diverged.
        """
        seeds, draw = self._seeds_of(generation), generation % len(self.seeds["noise"])
        return self._evaluator().score(vectors, seeds, draw, on_value)

    def best(self):
        """What was found, chosen by training anew.

        The mean of the distribution and the best candidates are scored again on the
        validation data, from initial weights and with wrong labels that were not in
        the search; the best of these is returned. The values seen in the search are
        too good: they are the luckiest of many.

        Returns:
            Dict: `theta`, parameters of the `TaylorLoss`; `coefficients`, its canonical
            form by name; `accuracy` on the fresh `seeds`; `candidates`, all that were
            scored anew.

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
            best = self._cma.mean, self._cma.history()
            draws = len(self.seeds["noise"])
            self._best = _found.choose(self._evaluator(), *best, draws, FRESH_SEEDS)
        return self._best

    def best_loss(self, **options):
        """What `best` found as a loss; it takes probabilities.

        Args:
            **options: Other arguments of `TaylorLoss`, such as `from_logits`.

        Returns:
            A `TaylorLoss`.
        """
        return losses.TaylorLoss(self.best()["theta"], **options)

    def save_preset(self, path):
        """Writes what `best` found, and how, as JSON for `presets.load_preset`.

        Args:
            path: Path of the file; one that is there is replaced.

        Returns:
            The dict that is written.

        Raises:
            ValueError: It would replace the journal, its settings, or the preset that
                the search started from.
        """
        others = {"the preset of `start`": self._start_file}
        if self.journal is not None:
            others["the journal"] = os.fspath(self.journal)
            others["its settings"] = _provenance.settings_path(self.journal)
        _provenance.check_apart("save_preset", "path", path, others)
        record = _provenance.preset(self, self.best())
        text = json.dumps(record, indent=1, allow_nan=False)
        files.write(path, f"{text}\n".encode())
        return record

    def close(self):
        """Lets go of the journal, so that another search can go on with it."""
        self._cma.close()

    @property
    def generation(self):
        """Number of complete generations."""
        return self._cma.generation

    def _score_one(self, vector, generation):
        return float(self.score([np.array(vector)], generation)[0])

    def _seeds_of(self, generation):
        count = self.settings["seeds_per_candidate"]
        first = SEARCH_SEEDS + generation * count
        return list(range(first, first + count))

    def _evaluator(self):
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
