"""The Taylor search by our CMA-ES and by Optuna's, at equal candidates.

    pip install -e ".[bench]"
    python benchmarks/cma_taylor.py --json benchmarks/results/cma_taylor.json

Both look for the six numbers of a Taylor loss on digits with 60 % wrong labels, from
the same start, with the same first deviation, population and number of candidates. The
candidates of a generation are scored by the same program with the same seeds. At the
end the five candidates that each thought best are scored on validation data with seeds
that no search has used, and the best of these means counts. Without Optuna its column
stays empty.
"""

import argparse
import statistics
import sys

import numpy as np
import record

from tfrobustloss.search import CmaSearch, Task, TaylorLossSearch

SIGMA0, POPULATION, FINALISTS, FRESH = 0.7, 12, 5, range(10_000, 10_003)
FAR = 50.0  # ends of the range that Optuna wants; no search comes near


def by_ours(score, start, seed, generations):
    """Pairs of a vector and its value, by `CmaSearch`."""
    search = CmaSearch(
        start, SIGMA0, population_size=POPULATION, seed=seed, direction="max"
    )
    for generation in range(generations):
        candidates = search.ask_generation()
        values = score([one.x for one in candidates], generation)
        for one, value in zip(candidates, values, strict=True):
            search.tell(one.id, value)
    return [(record.x, record.value) for record in search.history()]


def by_optuna(score, start, seed, generations):
    """The same by Optuna's sampler, asked for a generation at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = [f"x{i}" for i in range(len(start))]
    uniform = optuna.distributions.FloatDistribution(-FAR, FAR)
    space = dict.fromkeys(names, uniform)
    sampler = optuna.samplers.CmaEsSampler(
        x0=dict(zip(names, map(float, start), strict=True)),
        sigma0=SIGMA0 / (2 * FAR),  # it counts in units of the range
        popsize=POPULATION,
        n_startup_trials=0,
        seed=seed,
    )
    study = optuna.create_study(sampler=sampler, direction="maximize")
    # one trial more than ours, at the start: before the first result Optuna does not
    # know its space and would draw the first generation uniformly
    study.enqueue_trial(dict(zip(names, map(float, start), strict=True)))
    first = study.ask(space)
    study.tell(first, float(score([np.array(start)], 0)[0]))
    pairs = []
    for generation in range(generations):
        trials = [study.ask(space) for _ in range(POPULATION)]
        vectors = [np.array([trial.params[name] for name in names]) for trial in trials]
        values = score(vectors, generation)
        for trial, value in zip(trials, values, strict=True):
            lost = not np.isfinite(value)  # Optuna leaves out what has failed
            study.tell(trial, 0.0 if lost else float(value))
        pairs += zip(vectors, values, strict=True)
    return pairs


RIVALS = {"CmaSearch": by_ours, "Optuna": by_optuna}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=15)
    options = parser.parse_args(argv)
    task, training = Task("digits", noise="symmetric:0.6"), {"epochs": 100}
    if options.smoke:
        task = Task("digits", train_size=200, validation_size=100)
        training, options.seeds, options.generations = {"epochs": 2}, 1, 2
    search = TaylorLossSearch(task, generations=options.generations, **training)
    rivals = dict(RIVALS)
    try:
        import cmaes  # noqa: F401  # Optuna needs it, and does not install it
        import optuna  # noqa: F401
    except ImportError:
        del rivals["Optuna"]
    rows = []
    for seed in range(options.seeds):
        for name, rival in rivals.items():
            start = search.settings["start"]
            pairs = rival(search.score, start, seed, options.generations)
            ranked = sorted(pairs, key=lambda pair: -np.nan_to_num(pair[1]))
            finalists = [vector for vector, _ in ranked[:FINALISTS]]
            fresh = np.mean([search.score(finalists, g) for g in FRESH], axis=0)
            values = np.nan_to_num([value for _, value in pairs])
            row = {
                "by": name,
                "seed": seed,
                "candidates": len(pairs),
                "fresh": float(np.nan_to_num(fresh).max()),
                "last_generation": float(np.median(values[-POPULATION:])),
                "best_of_each_generation": values.reshape(-1, POPULATION)
                .max(axis=1)
                .tolist(),
            }
            rows.append(row)
            print(
                f"{name}, seed {seed}: {100 * row['fresh']:.1f} % on fresh seeds, "
                f"median of the last generation {100 * row['last_generation']:.1f} %",
                flush=True,
            )
    for name in rivals:
        own = [row for row in rows if row["by"] == name]
        fresh = 100 * statistics.mean(row["fresh"] for row in own)
        last = 100 * statistics.mean(row["last_generation"] for row in own)
        print(f"{name:10s} fresh {fresh:.1f} %, last generation {last:.1f} %")
    settings = {"generations": options.generations, "population": POPULATION}
    record.write(options.json, "cma_taylor", settings, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
