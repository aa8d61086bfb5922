"""CMA-ES by pycma behind ask and tell, exactly resumable from a journal."""

import importlib.metadata

import cma

from tfrobustloss.search import journal as _journal
from tfrobustloss.search.ask_tell import AskTell
from tfrobustloss.search.cmaes import options as _options
from tfrobustloss.search.cmaes.strategy import Strategy


class CmaSearch(AskTell):
    """Looks for the vector with the best value, a generation of candidates at a time.

    The numbers are pycma's: the same options give the same points, bit for bit. Around
    it: values may come in any order; a value that is NaN or infinite ranks last, points
    nearer the mean before farther ones; NumPy's global random state is neither read nor
    written; and a journal has every value on disk before `tell` returns, from which a
    search that was killed goes on as if it had not been.

    Ties do not stop it. Of pycma's reasons to stop, those about values alone are off
    (`tolfun`, `tolfunhist`, `tolfunrel`, `tolflatfitness`, `tolstagnation`), and after
    ten generations in a row of equal values the distribution waits for one that tells
    it something. A generation without a finite value leaves the mean where it is and
    halves the step size, down to 1/128. Left are the reasons that are about the
    distribution (`tolx`, `tolfacupx`, `tolupsigma`, `tolxstagnation`, `noeffectaxis`,
    `noeffectcoord`, `tolconditioncov`) and the budgets (`maxiter`, `maxfevals`,
    `ftarget`). Each can be set in `options`.

    With `restarts`, a run ends when its deviations fall below 1e-6 of `sigma0`, or when
    nothing has improved for hundreds of generations (pycma's `tolstagnation`). The next
    begins at a point drawn from N(initial, sigma0 ** 2), as `restarts.Restarts` says.

    With `reevaluations`, that many of the best of each generation are handed out again
    once all values are in, and the mean of both values counts: the lucky ones do not
    lead the search. Only such means can become `best`. A generation then takes
    `population_size + reevaluations` evaluations. The step size is not touched.

    With `overflow`, `ask` does not run dry at the end of a generation: it draws further
    candidates of the same distribution, and the generation ends with the first
    `population_size` values that arrive. The order of arrival then decides how the
    search goes on; the journal has it.

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
        journal: Path of the journal, or None for none. One that is there is continued
            if it is of a search with the same options.
        options: Dict of further options of pycma, plain JSON values. `ftarget` is in
            the terms of `direction`.

    Raises:
        RuntimeError: Another search has the journal open.
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is outside its range, an option would break what is
            promised above, or the journal is of a search with other options.

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
        initial,
        sigma0,
        *,
        population_size=None,
        bounds=None,
        seed=0,
        direction="min",
        restarts=None,
        max_restarts=9,
        reevaluations=0,
        overflow=False,
        journal=None,
        options=None,
    ):
        settings = _options.checked(
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
            known=cma.CMAOptions(),
        )
        strategy = Strategy(settings)
        settings["population_size"] = strategy.population_size
        super().__init__(strategy, settings, _packages(), journal)

    @classmethod
    def resume(cls, journal):
        """The search of a journal, as it was when the last value was told.

        Args:
            journal: Path of the journal, which the search goes on writing.

        Returns:
            The search. Candidates that were out and not told are handed out again.

        Raises:
            RuntimeError: Another search has the journal open.
            ValueError: There is no such journal, or it lost its first line.
        """
        return cls(**_journal.header_of(journal)["options"], journal=journal)

    @property
    def dimension(self):
        """Number of coordinates."""
        return len(self._settings["initial"])

    @property
    def population_size(self):
        """Candidates a generation, in this run."""
        return self._strategy.population_size

    @property
    def mean(self):
        """Mean of the distribution, inside the bounds; shape `(dimension,)`."""
        return self._strategy.mean()

    @property
    def sigma(self):
        """Step size, the overall standard deviation of the distribution."""
        return self._strategy.sigma


def _packages():
    names = ("cma", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
