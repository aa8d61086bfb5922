"""pycma's strategy behind sample and tell, one run after another.

The only file that imports pycma. Of what it uses, pycma does not document `opts`, `gp`,
`boundary_handler`, `sent_solutions`, `countevals`, `_injected_solutions_archive` and
`sigma_adaptation.CMAAdaptSigmaCSA`; cma 4.4.0 and 4.5.0 have them.
"""

import importlib.metadata
import math
from typing import Any

import cma
import numpy as np

from tfrobustloss.search.ask_tell import Codec, Generation
from tfrobustloss.search.cmaes.restarts import Restarts, Run

# No files, no output, no clock; and values that tie are no reason to stop.
_QUIET = {"verbose": -10, "verb_log": 0, "verb_disp": 0, "signals_filename": ""}
_TIES = {"tolfun": 0, "tolfunhist": 0, "tolfunrel": 0, "tolflatfitness": math.inf}
_FINAL = {"ftarget", "maxfevals"}  # reasons to end all runs, not one
_TIED_GENERATIONS = 10  # in a row passed to pycma; after these the distribution waits
_HALVINGS = 7  # of the step size, in a row of generations without a finite value
_CONVERGED = 1e-6  # of sigma0: where a run ends that another may follow


def known_options() -> dict[str, Any]:
    """The options of pycma and their defaults."""
    return cma.CMAOptions()


def packages() -> dict[str, str]:
    """Versions of the packages that the points depend on."""
    return {name: importlib.metadata.version(name) for name in ("cma", "numpy")}


class _Normal:
    """Normal numbers of a private stream; `draw` may be exchanged for a while."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.RandomState(seed).randn

    def __call__(self, *shape: int) -> Any:
        return self.draw(*shape)


class Strategy:
    """pycma's strategy, one run after another.

    Args:
        settings: Dict, as from `options.checked`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._normal = _Normal(settings["seed"])
        self.finished: dict[str, Any] = {}
        self._begin(Run(0, settings["population_size"]))
        self._restarts = Restarts(
            settings["restarts"],
            settings["max_restarts"],
            self.population_size,
            self._cma.opts["maxiter"],
            settings["seed"],
        )
        self._tied = self._lost = 0  # generations in a row

    @property
    def population_size(self) -> int:
        """Candidates a generation, in this run."""
        return int(self._cma.popsize)

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._cma.sigma)

    def mean(self) -> np.ndarray:
        """Mean of the distribution, inside the bounds."""
        repair = self._cma.boundary_handler.repair
        return np.array(self._cma.gp.pheno(self._cma.mean, into_bounds=repair))

    def sample(self) -> list[np.ndarray]:
        """Points of the next generation."""
        return [_read_only(point) for point in self._cma.ask()]

    def further(self, generation: int, candidate_id: int) -> np.ndarray:
        """One more point, from numbers that no other draw uses or disturbs."""
        own = self._normal.draw
        seed = [self._settings["seed"], generation, candidate_id]
        self._normal.draw = np.random.RandomState(seed).randn
        try:
            return _read_only(self._cma.ask(1)[0])
        finally:
            self._normal.draw = own

    def tell(self, generation: Generation[np.ndarray]) -> None:
        """Moves the distribution by a generation's values; may end or restart."""
        points = generation.points()
        costs = _ranked(generation.costs(), points, self.mean())
        self._generations += 1
        self._lost = 0 if costs else self._lost + 1
        if costs:
            self._tied = self._tied + 1 if min(costs) == max(costs) else 0
        if costs and self._tied <= _TIED_GENERATIONS:
            self._cma.tell(points, costs)
            reasons = dict(self._cma.stop())
        else:
            for point in points:  # pycma remembers them until it has their values
                self._cma.sent_solutions.pop(point, None)
            if 0 < self._lost <= _HALVINGS:
                self._cma.sigma /= 2
            self._cma.countevals += len(points)
            reasons = self._spent()
        # mirrored points without a value: pycma would warn of them
        self._cma._injected_solutions_archive.clear()
        self._cma.countevals += generation.repeated
        if reasons:
            final = _FINAL.intersection(reasons)
            run = None if final else self._restarts.following(self._cma.countevals)
            if run is None:
                self.finished = reasons
            else:
                self._begin(run, self._cma.countevals)

    def _spent(self) -> dict[str, Any]:
        """The budgets used up while pycma does not count."""
        used = {"maxiter": self._generations, "maxfevals": self._cma.countevals}
        limits = self._cma.opts
        return {name: limits[name] for name in used if used[name] >= limits[name]}

    def _begin(self, run: Run, evaluations: int = 0) -> None:
        given, self.run = self._settings, run.index
        start, sigma0 = np.array(given["initial"]), given["sigma0"]
        options: dict[str, Any] = {**_QUIET, **_TIES, "tolstagnation": 0}
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


class VectorCodec(Codec[np.ndarray]):
    """Vectors as lists of numbers.

    Args:
        strategy: `Strategy`, whose step size is the scale of distances.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._shape = strategy.mean().shape

    def encode(self, x: np.ndarray) -> list[float]:
        """List of the coordinates."""
        return x.tolist()

    def decode(self, written: Any) -> np.ndarray:
        """Read-only vector of a list of coordinates."""
        x = _read_only(written)
        if x.shape != self._shape:
            raise ValueError(f"a vector of shape {x.shape}, not {self._shape}")
        return x

    def distance(self, recorded: np.ndarray, drawn: np.ndarray) -> float:
        """Largest difference of a coordinate, relative to its size and the step's."""
        scale = abs(recorded) + self._strategy.sigma
        return float((abs(recorded - drawn) / scale).max())


def _read_only(point: Any) -> np.ndarray:
    point = np.array(point, dtype=float)
    point.flags.writeable = False
    return point


def _ranked(
    costs: list[float], points: list[np.ndarray], mean: np.ndarray
) -> list[float]:
    """Costs where those that are not finite rank last, nearer the mean first.

    Returns:
        List of finite costs, empty if none was finite.
    """
    finite = [cost for cost in costs if math.isfinite(cost)]
    if not finite:
        return []
    worst = max(finite)
    step = worst - min(finite) or abs(worst) * 1e-3 or 1.0
    lost = [k for k, cost in enumerate(costs) if not math.isfinite(cost)]
    lost.sort(key=lambda k: float(np.linalg.norm(points[k] - mean)))
    ranked = list(costs)
    for rank, k in enumerate(lost, 1):
        ranked[k] = worst + rank * step
    return ranked


def _inside(point: np.ndarray, bounds: Any) -> np.ndarray:
    for i, (low, high) in enumerate(zip(*bounds, strict=True) if bounds else ()):
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
        point[i] = min(max(point[i], low), high)
    return point
