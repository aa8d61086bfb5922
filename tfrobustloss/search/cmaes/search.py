"""CMA-ES by pycma behind ask and tell, exactly resumable from a journal."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrobustloss.search.ask_tell import AskTell
from tfrobustloss.search.cmaes.options import checked
from tfrobustloss.search.cmaes.strategy import (
    Strategy,
    VectorCodec,
    known_options,
    packages,
)
from tfrobustloss.search.journal import Journal, header_of

_OWNER = "CmaSearch"
_JOURNAL_FORMAT = "tfrobustloss.CmaSearch/1"

Bound = float | Sequence[float | None] | np.ndarray | None


class CmaSearch(AskTell[np.ndarray]):
    """Minimises or maximises a function of a vector by CMA-ES.

    The numbers are pycma's: the same options give the same points, bit for bit. In
    addition, values may come in any order; a value that is NaN or infinite ranks last,
    points nearer the mean before farther ones; NumPy's global random state is neither
    read nor written; and with a journal every value is on disk before `tell` returns,
    so that a search that was killed goes on as if it had never stopped.

    Ties do not stop it. Of pycma's reasons to stop, those about values alone are off
    (`tolfun`, `tolfunhist`, `tolfunrel`, `tolflatfitness`, `tolstagnation`), and after
    ten generations in a row of equal values the distribution waits for one whose
    values differ. A generation without a finite value leaves the mean where it is and
    halves the step size, down to 1/128. The reasons that are about the distribution
    (`tolx`, `tolfacupx`, `tolupsigma`, `tolxstagnation`, `noeffectaxis`,
    `noeffectcoord`, `tolconditioncov`) and the budgets (`maxiter`, `maxfevals`,
    `ftarget`) stay. Each can be set in `options`.

    With `restarts`, a run ends when its deviations fall below 1e-6 of `sigma0`, or when
    nothing has improved for hundreds of generations (pycma's `tolstagnation`). The next
    begins at a point drawn from N(initial, sigma0 ** 2), see `restarts.Restarts`.

    With `reevaluations`, that many of the best of each generation are handed out again
    after all its values have arrived, and the mean of both values counts, so that
    lucky evaluations do not lead the search. Only these means can become `best`. A
    generation then takes `population_size + reevaluations` evaluations. The step size
    is not changed.

    With `overflow`, `ask` does not return None at the end of a generation: it draws
    further candidates of the same distribution, and the generation ends with the first
    `population_size` values that arrive. The order of arrival then decides how the
    search goes on, and the journal records it.

    Args:
        initial: Where to begin, list or array of numbers.
        sigma0: Float > 0, the first standard deviation in every coordinate. The optimum
            should lie within about three of them.
        population_size: Int >= 3, candidates a generation, or None for pycma's
            4 + 3 log(dimension).
        bounds: Pair of low and high, each a number, a list of numbers, or None.
        seed: Int in [0, 2 ** 32 - 1].
        direction: `"min"` or `"max"`.
        restarts: None, `"ipop"` or `"bipop"`.
        max_restarts: Int >= 0, the small restarts of BIPOP not counted.
        reevaluations: Int >= 0, candidates a generation to evaluate twice.
        overflow: Whether to draw further candidates instead of waiting.
        journal: Path of the journal, or None for none. An existing journal of a
            search with the same options is continued.
        options: Dict of further options of pycma, plain JSON values. `ftarget` is in
            the terms of `direction`.

    Raises:
        RuntimeError: Another search has the journal open.
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is outside its range, an option would break what this
            class promises, or the journal is of a search with other options.

    Example:
        >>> search = CmaSearch([1.0, 1.0], 0.5, options={"ftarget": 1e-10})
        >>> while not search.finished:
        ...     for candidate in search.ask_generation():
        ...         counted = search.tell(candidate.id, (candidate.x**2).sum())
        >>> x, value = search.best
        >>> value < 1e-10
        True

    Reference:
        Hansen & Ostermeier, "Completely Derandomized Self-Adaptation in Evolution
        Strategies", Evolutionary Computation 2001. Implementation: pycma.
    """

    def __init__(
        self,
        initial: Sequence[float] | np.ndarray,
        sigma0: float,
        *,
        population_size: int | None = None,
        bounds: tuple[Bound, Bound] | None = None,
        seed: int = 0,
        direction: str = "min",
        restarts: str | None = None,
        max_restarts: int = 9,
        reevaluations: int = 0,
        overflow: bool = False,
        journal: str | os.PathLike[str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        settings = checked(
            initial,
            sigma0,
            population_size=population_size,
            bounds=bounds,
            seed=seed,
            direction=direction,
            restarts=restarts,
            max_restarts=max_restarts,
            reevaluations=reevaluations,
            overflow=overflow,
            options=options,
            known=known_options(),
        )
        self._cma = Strategy(settings)
        settings["population_size"] = self._cma.population_size
        super().__init__(
            self._cma,
            owner=_OWNER,
            codec=VectorCodec(self._cma),
            settings=settings,
            packages=packages(),
            journal=journal,
            journal_format=_JOURNAL_FORMAT,
        )

    @classmethod
    def resume(cls, journal: str | os.PathLike[str]) -> "CmaSearch":
        """The search of a journal, as it was after its last value.

        Args:
            journal: Path of the journal, to which the search adds further values.

        Returns:
            The search. Candidates without a value are handed out again.

        Raises:
            RuntimeError: Another search has the journal open.
            ValueError: There is no journal, or its first line is damaged.
        """
        header = header_of(journal, _OWNER, _JOURNAL_FORMAT)
        return cls(**header["options"], journal=journal)

    @staticmethod
    def open_journal(journal: str | os.PathLike[str]) -> Journal:
        """The journal of a `CmaSearch` as a file, to look at or to empty.

        Args:
            journal: Path of the journal; it is made if it is not there.

        Raises:
            RuntimeError: Another search has the journal open.
            ValueError: No file can be written there, or the file is something else.
        """
        return Journal(journal, _OWNER, _JOURNAL_FORMAT)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self._settings["initial"])

    @property
    def population_size(self) -> int:
        """Candidates a generation, in this run."""
        return self._cma.population_size

    @property
    def mean(self) -> np.ndarray:
        """Mean of the distribution, inside the bounds; shape `(dimension,)`."""
        return self._cma.mean()

    @property
    def sigma(self) -> float:
        """Step size, the overall standard deviation of the distribution."""
        return self._cma.sigma
