"""Restarts of CMA-ES: IPOP and BIPOP."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One run of CMA-ES between two restarts.

    Attributes:
        index: 0 for the first.
        population_size: Candidates a generation.
        sigma_factor: What the first step size is multiplied by.
        generations: Most generations it may take, None for no limit of its own.
        stream: Private random numbers for where the run starts.
    """

    index: int
    population_size: int | None
    sigma_factor: float = 1.0
    generations: float | None = None
    stream: np.random.RandomState | None = None


class Restarts:
    """The runs that follow the first, each with random numbers of its own.

    IPOP doubles the population at every restart. BIPOP spends about as many
    evaluations again on runs with small populations and small steps in between:

        small while evaluations(small) < evaluations(large), the first run being small
        population = population0 * (2 ** large runs) ** (u ** 2),   sigma0 * .01 ** v

    with u and v uniform in [0, 1) and at most half the evaluations of the large runs.
    pycma has both, but only inside `fmin`, which calls the objective itself; these are
    the same schedules for ask and tell.

    Args:
        kind: None, `"ipop"` or `"bipop"`.
        limit: Most restarts; BIPOP's small ones are not counted.
        population_size: Of the first run.
        generations: Limit of every run but the small ones.
        seed: Int; run i draws from a stream of (seed, i).

    Reference:
        Auger & Hansen, "A Restart CMA Evolution Strategy With Increasing Population
        Size", CEC 2005. Hansen, "Benchmarking a BI-Population CMA-ES on the BBOB-2009
        Function Testbed", GECCO 2009.
    """

    def __init__(
        self,
        kind: str | None,
        limit: int,
        population_size: int,
        generations: float,
        seed: int,
    ) -> None:
        self._limit = limit if kind else 0
        self._balanced = kind == "bipop"
        self._population_size = population_size
        self._generations = generations
        self._seed = seed
        self._index = 0
        self._large = 0  # restarts with a large population
        self._regime = "small"
        self._spent = {"small": 0, "large": 0}
        self._evaluations = 0

    def following(self, evaluations: int) -> Run | None:
        """The next run, or None after the last.

        Args:
            evaluations: Number of evaluations in all runs so far.
        """
        if self._large >= self._limit:
            return None
        self._spent[self._regime] += evaluations - self._evaluations
        self._evaluations = evaluations
        self._index += 1
        stream = np.random.RandomState([self._seed, self._index])
        v, u = stream.uniform(size=2)
        if self._balanced and self._spent["small"] < self._spent["large"]:
            self._regime = "small"
            size = int(self._population_size * (2**self._large) ** (u**2))
            generations = min(self._generations, self._spent["large"] / 2 / size)
            return Run(self._index, size, 0.01**v, generations, stream)
        self._regime = "large"
        self._large += 1
        size = self._population_size * 2**self._large
        return Run(self._index, size, 1.0, self._generations, stream)
