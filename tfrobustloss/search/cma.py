"""CMA-ES by pycma behind ask and tell, exactly resumable from a journal."""

import importlib.metadata
import math

import cma
import numpy as np

from tfrobustloss.search import _journal, _options, _restarts
from tfrobustloss.search._ask_tell import AskTell

# No files, no output, no clock; and values that tie are no reason to stop.
_QUIET = {"verbose": -10, "verb_log": 0, "verb_disp": 0, "signals_filename": ""}
_TIES = {"tolfun": 0, "tolfunhist": 0, "tolfunrel": 0, "tolflatfitness": math.inf}
_FINAL = {"ftarget", "maxfevals"}  # reasons to end all runs, not one
_TIED_GENERATIONS = 10  # in a row told to pycma; after these the distribution waits
_HALVINGS = 7  # of the step size, in a row of generations without a finite value
_CONVERGED = 1e-6  # of sigma0: where a run ends that another may follow


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
    begins at a point drawn from N(initial, sigma0 ** 2), as `_restarts.Restarts` says.

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
        strategy = _Strategy(settings)
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


class _Normal:
    """Normal numbers of a private stream; `draw` may be exchanged for a while."""

    def __init__(self, seed):
        self.draw = np.random.RandomState(seed).randn

    def __call__(self, *shape):
        return self.draw(*shape)


class _Strategy:
    """pycma's strategy, one run after another."""

    def __init__(self, settings):
        self._settings = settings
        self._normal = _Normal(settings["seed"])
        self.finished = {}
        self._begin(_restarts.Run(0, settings["population_size"]))
        self._restarts = _restarts.Restarts(
            settings["restarts"],
            settings["max_restarts"],
            self.population_size,
            self._cma.opts["maxiter"],
            settings["seed"],
        )
        self._tied = self._lost = 0  # generations in a row

    @property
    def population_size(self):
        return int(self._cma.popsize)

    @property
    def sigma(self):
        return float(self._cma.sigma)

    def mean(self):
        repair = self._cma.boundary_handler.repair
        return np.array(self._cma.gp.pheno(self._cma.mean, into_bounds=repair))

    def sample(self):
        return self._cma.ask()

    def further(self, generation, candidate_id):
        """One more point, from numbers that no other draw uses or disturbs."""
        own = self._normal.draw
        seed = [self._settings["seed"], generation, candidate_id]
        self._normal.draw = np.random.RandomState(seed).randn
        try:
            return self._cma.ask(1)[0]
        finally:
            self._normal.draw = own

    def tell(self, generation):
        """Moves the distribution by a generation's values; may end or restart."""
        points = generation.points()
        costs = generation.costs(self.mean())
        self._generations += 1
        self._lost = 0 if costs else self._lost + 1
        if costs:
            self._tied = self._tied + 1 if min(costs) == max(costs) else 0
        if costs and self._tied <= _TIED_GENERATIONS:
            self._cma.tell(points, costs)
            reasons = dict(self._cma.stop())
        else:
            for point in points:  # pycma would remember them until it is told
                self._cma.sent_solutions.pop(point, None)
            if 0 < self._lost <= _HALVINGS:
                self._cma.sigma /= 2
            self._cma.countevals += len(points)
            reasons = self._spent()
        # mirrored points that nobody told: pycma would warn of them
        self._cma._injected_solutions_archive.clear()
        self._cma.countevals += generation.repeated
        if reasons:
            final = _FINAL.intersection(reasons)
            run = None if final else self._restarts.following(self._cma.countevals)
            if run is None:
                self.finished = reasons
            else:
                self._begin(run, self._cma.countevals)

    def _spent(self):
        """The budgets used up while pycma does not count."""
        used = {"maxiter": self._generations, "maxfevals": self._cma.countevals}
        limits = self._cma.opts
        return {name: limits[name] for name in used if used[name] >= limits[name]}

    def _begin(self, run, evaluations=0):
        given, self.run = self._settings, run.index
        start, sigma0 = np.array(given["initial"]), given["sigma0"]
        options = {**_QUIET, **_TIES, "tolstagnation": 0}
        if given["restarts"]:
            del options["tolstagnation"]
            options["tolx"] = _CONVERGED * sigma0
        if start.size == 1:  # pycma cannot hold down a single deviation
            options["maxstd"] = math.inf
        options.update(given["options"])
        if options.get("AdaptSigma", True):  # the other one draws from NumPy's stream
            options["AdaptSigma"] = cma.sigma_adaptation.CMAAdaptSigmaCSA
        if "ftarget" in options:
            sign = -1.0 if given["direction"] == "max" else 1.0
            options["ftarget"] = sign * float(options["ftarget"])
        if "BoundaryHandler" in options:
            options["BoundaryHandler"] = getattr(cma, options["BoundaryHandler"])
        if given["bounds"]:
            options["bounds"] = given["bounds"]
        if run.population_size:
            options["popsize"] = run.population_size
        if run.generations:
            options["maxiter"] = run.generations
        options |= {"seed": math.nan, "randn": self._normal, "verb_append": evaluations}
        if run.stream:
            start = start + sigma0 * run.stream.randn(start.size)
            start = _inside(start, given["bounds"])
        self._generations = 0
        self._cma = cma.CMAEvolutionStrategy(start, sigma0 * run.sigma_factor, options)


def _inside(point, bounds):
    for i, (low, high) in enumerate(zip(*bounds, strict=True) if bounds else ()):
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
        point[i] = min(max(point[i], low), high)
    return point


def _packages():
    names = ("cma", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
