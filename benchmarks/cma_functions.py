"""Evaluations until a target is reached: our tuner, pycma itself, and Optuna's CMA-ES.

    pip install -e ".[bench]"
    python benchmarks/cma_functions.py --json benchmarks/results/cma_functions.json

Four functions of twelve numbers in [-5, 5], the optimum off the middle, the start in
the middle, the same sigma0 and population for all. "tuner" is
`search.CMAES` with a trial an evaluation, "pycma" a bare loop of ask and tell with the
same numbers: both must take the same number of evaluations, to the one. "Optuna" is its
`CmaEsSampler`, which draws its first trial at random; without Optuna the column stays
empty. What one trial costs beside the evaluation is given in milliseconds, with the
project's folder in memory where there is such a file system.
"""

import argparse
import contextlib
import io
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings

import cma
import keras_tuner
import numpy as np
import record

from tfrobustloss import search

SIZE, LOW, HIGH = 12, -5.0, 5.0
OPTIMUM = 1.7 * np.cos(np.arange(SIZE))
WEIGHTS = 1e6 ** (np.arange(SIZE) / (SIZE - 1))


def sphere(x):
    return float(np.sum((x - OPTIMUM) ** 2))


def ellipsoid(x):
    return float(np.sum(WEIGHTS * (x - OPTIMUM) ** 2))


def rosenbrock(x):
    z = x - OPTIMUM + 1
    return float(np.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2))


def rastrigin(x):
    z = x - OPTIMUM
    return float(np.sum(z**2 + 10 * (1 - np.cos(2 * np.pi * z))))


# function, population (None: CMA-ES' default), sigma0 in units of the range, target,
# evaluations at most; a rugged function wants a large population and wide steps
PROBLEMS = (
    (sphere, None, 0.3, 1e-8, 4000),
    (ellipsoid, None, 0.3, 1e-8, 12000),
    (rosenbrock, None, 0.3, 1e-8, 16000),
    (rastrigin, 300, 0.5, 1e-3, 40000),
)


class Reached(BaseException):
    """The target is reached; not an error of the trial."""


class Counted:
    """A function that counts its calls and stops at the target or the budget."""

    def __init__(self, function, target, most):
        self.function, self.target, self.most = function, target, most
        self.calls, self.best = 0, math.inf

    def __call__(self, x):
        """The value at a point."""
        self.calls += 1
        value = self.function(np.asarray(x))
        self.best = min(self.best, value)
        if self.best <= self.target or self.calls >= self.most:
            raise Reached
        return value


def by_pycma(counted, population, sigma0, seed):
    options = {
        "bounds": [0, 1],
        "seed": math.nan,
        "randn": np.random.RandomState(seed).randn,
        "verbose": -9,
    }
    if population:
        options["popsize"] = population
    strategy = cma.CMAEvolutionStrategy([0.5] * SIZE, sigma0, options)
    while not strategy.stop():
        points = strategy.ask()
        strategy.tell(points, [counted(LOW + (HIGH - LOW) * u) for u in points])


def by_tuner(counted, population, sigma0, seed):
    class Tuner(search.CMAES):
        def run_trial(self, trial, **fit_kwargs):
            values = trial.hyperparameters.values
            return counted([values[f"x{i}"] for i in range(SIZE)])

    space = keras_tuner.HyperParameters()
    for i in range(SIZE):
        space.Float(f"x{i}", LOW, HIGH)
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        tuner = Tuner(
            max_trials=counted.most,
            population_size=population,
            sigma0=sigma0,
            seed=seed,
            hyperparameters=space,
            directory=folder,
        )
        tuner.search(verbose=0)


def by_optuna(counted, population, sigma0, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = [f"x{i}" for i in range(SIZE)]
    population = population or 4 + int(3 * math.log(SIZE))
    sampler = optuna.samplers.CmaEsSampler(
        seed=seed,
        popsize=population,
        sigma0=sigma0,  # in units of the range
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda trial: counted([trial.suggest_float(n, LOW, HIGH) for n in names])
    )


RIVALS = {"tuner": by_tuner, "pycma": by_pycma, "Optuna": by_optuna}


def measure(problem, rival, seed):
    """Evaluations to the target (None if it was missed) and ms a trial."""
    function, population, sigma0, target, most = problem
    counted = Counted(function, target, most)
    warnings.simplefilter("ignore")  # of what Optuna and Keras Tuner deprecate
    begin = time.perf_counter()
    with contextlib.suppress(Reached), contextlib.redirect_stdout(io.StringIO()):
        RIVALS[rival](counted, population, sigma0, seed)
    seconds = time.perf_counter() - begin
    reached = counted.calls if counted.best <= target else None
    line = f"{function.__name__} by {rival}, seed {seed}: {reached}, {seconds:.0f} s"
    print(line, file=sys.stderr)
    return reached, 1e3 * seconds / counted.calls, counted.best


def summary(problem, rival, seeds):
    # a process a run: Keras Tuner keeps every oracle, and all its trials, for ever
    context = multiprocessing.get_context("forkserver")
    with context.Pool(1, maxtasksperchild=1) as pool:
        runs = [pool.apply(measure, (problem, rival, seed)) for seed in seeds]
    reached = [evaluations for evaluations, _, _ in runs]
    hits = [evaluations for evaluations in reached if evaluations]
    return {
        "function": problem[0].__name__,
        "by": rival,
        "evaluations": reached,
        "median": statistics.median(hits) if hits else None,
        "reached": len(hits),
        "best": [best for _, _, best in runs],
        "milliseconds": statistics.median(cost for _, cost, _ in runs),
    }


def print_table(rows, problems, seeds):
    names = list(dict.fromkeys(row["by"] for row in rows))
    cells = {(row["function"], row["by"]): row for row in rows}
    print(f"{'evaluations to target':24s}" + "".join(f"{n:>22s}" for n in names))
    for function, population, _, target, _ in problems:
        line = f"{f'{function.__name__} {target:g} ({population or 11})':24s}"
        for name in names:
            row = cells.get((function.__name__, name))
            text = ""
            if row:
                median = "missed" if row["median"] is None else f"{row['median']:.0f}"
                text = (
                    f"{median} ({row['reached']}/{seeds}) {row['milliseconds']:.1f} ms"
                )
            line += f"{text:>22s}"
        print(line)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--check", action="store_true", help="exit 1 if any is missed")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--functions", nargs="+", help="names, all by default")
    options = parser.parse_args(argv)
    try:
        import cmaes  # noqa: F401  # Optuna needs it, and does not install it
        import optuna  # noqa: F401

        rivals = list(RIVALS)
    except ImportError:
        rivals = [name for name in RIVALS if name != "Optuna"]
    problems = [
        p for p in PROBLEMS if p[0].__name__ in (options.functions or p[0].__name__)
    ]
    seeds = range(options.seeds)
    if options.smoke:
        problems, seeds = [(sphere, None, 0.3, 1.0, 600)], range(1)
    rows = [summary(p, rival, seeds) for p in problems for rival in rivals]
    print_table(rows, problems, len(seeds))
    cells = {(row["function"], row["by"]): row["evaluations"] for row in rows}
    missed = [
        p[0].__name__
        for p in problems
        if cells[p[0].__name__, "tuner"] != cells[p[0].__name__, "pycma"]
        or None in cells[p[0].__name__, "tuner"]
    ]
    for name in missed:
        print(f"missed: {name}, {cells[name, 'tuner']} against {cells[name, 'pycma']}")
    record.write(options.json, "cma_functions", {"seeds": len(seeds)}, rows)
    return 1 if (options.check or options.smoke) and missed else 0


if __name__ == "__main__":
    sys.exit(main())
