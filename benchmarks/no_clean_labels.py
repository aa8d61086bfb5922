"""Choosing without clean labels, against choosing with them.

    python benchmarks/no_clean_labels.py --data-dir ../shared/data/tfds

Part one trains every loss at every learning rate on noisy labels, and stops it by
validation labels that are as noisy: plain, corrected by the true transition matrix, and
by one estimated by cross-validation; and by Label Wave, on no validation at all. The
clean test set says what each stop is worth, and what the last and the best epoch are.
Learning rates are chosen by noisy validation, and by the clean labels of the same
examples, which only this script knows.

Part two searches for a Taylor loss, judged by noisy labels and by clean ones, and
trains the winners with fresh seeds.

Each cell is written to `--json` once it is done, and is not run again: the same command
goes on after an interruption. All of it takes hours on two cores; `--datasets`,
`--noises`, `--losses` and `--parts` choose.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import record

from tfrobustloss import losses
from tfrobustloss._core import noisy_accuracy
from tfrobustloss.experiments import estimate_noise, learning_rates, selection
from tfrobustloss.experiments.task import Task, prepare
from tfrobustloss.experiments.trainer import Trainer
from tfrobustloss.metrics import estimated_accuracy
from tfrobustloss.search import TaylorLossSearch

NOISES = (
    "symmetric:0.4",
    "symmetric:0.6",
    "symmetric:0.8",
    "pair:0.35",
    "asymmetric:0.4",
)
# dataset -> training and validation examples, epochs, learning rates of SGD
SETTINGS = {
    "digits": (1082, 270, 150, (0.03, 0.1, 0.3)),
    "mnist": (6000, 20_000, 100, (0.03, 0.1, 0.3)),
    "kmnist_10k": (6000, 2000, 100, (0.03, 0.1, 0.3)),
    "cifar10": (10_000, 10_000, 40, (0.003, 0.01, 0.03)),
}
NETWORKS = {"cifar10": "cnn4"}
WINDOW, PATIENCE = 5, 10  # of Label Wave, as `training.LabelWave`
LOSSES = {
    "cross_entropy": lambda matrix: losses.CrossEntropy(from_logits=True),
    "generalized_cross_entropy": lambda matrix: losses.GeneralizedCrossEntropy(
        from_logits=True
    ),
    "symmetric_cross_entropy": lambda matrix: losses.SymmetricCrossEntropy(
        from_logits=True
    ),
    "mean_absolute_error": lambda matrix: losses.MeanAbsoluteError(from_logits=True),
    "active_negative_cross_entropy": lambda matrix: losses.ActiveNegativeCrossEntropy(
        from_logits=True
    ),
    "forward_correction": lambda matrix: losses.ForwardCorrection(
        matrix, from_logits=True
    ),
}
STOPS = ("plain", "true", "estimated", "label_wave")


class Cell:
    """One dataset with one noise: its data, noisy and clean, and its estimated matrix.

    Args:
        dataset: Name.
        noise: As for `compare`.
        options: Parsed options.
    """

    def __init__(self, dataset, noise, options):
        size, held_out, self.epochs, self.rates = SETTINGS[dataset]
        if options.smoke:
            size, held_out, self.epochs, self.rates = 100, 60, 3, (0.1, 0.3)
        task = dict(
            dataset=dataset,
            architecture=NETWORKS.get(dataset, "mlp2"),
            noise=noise,
            train_size=size,
            validation_size=held_out,
            data_dir=options.data_dir if dataset != "digits" else None,
        )
        self.seeds = range(options.seeds)
        self.clean = prepare(Task(**task))
        self.noisy = prepare(Task(**task, validation="noisy"))
        self.train = self.noisy.train(self.seeds)
        report = estimate_noise(
            self.train[0], self.train[1][:, 0], self.noisy.num_classes
        )
        self.estimated = report.transition_matrix
        self.matrices = {
            "plain": None,
            "true": self.noisy.matrix,
            "estimated": self.estimated,
        }

    def trainer(self, loss):
        """A compiled trainer of one loss."""
        return Trainer(
            self.noisy.network,
            learning_rates.family_of_one(loss),
            self.train,
            self.noisy.validation,
            label_draws=True,
            epochs=self.epochs,
        )

    def run(self, trainer, model, rate, seed):
        """Accuracies per epoch of one training, by every judge."""
        found = {name: [] for name in ("test", "clean", *self.matrices)}
        changes, before, progress = [], None, trainer.begin(seed)
        (validation, noisy), (test, labels) = self.noisy.validation, self.noisy.test
        for _ in range(self.epochs):
            progress = trainer.advance(
                progress, [], trainer.steps_per_epoch, rate, self.noisy.draw(seed)
            )
            if progress.diverged:
                return None
            model.set_weights(trainer.weights(progress))
            found["test"].append(np.mean(classes(model, test) == labels))
            predicted = classes(model, validation)
            found["clean"].append(np.mean(predicted == self.clean.validation[1]))
            for name, matrix in self.matrices.items():
                found[name].append(judged(noisy, predicted, matrix))
            now = classes(model, self.train[0])
            changes.append(len(now) if before is None else np.sum(now != before))
            before = now
        found["label_wave_epoch"] = label_wave(changes)
        return {
            name: np.asarray(value, float).round(5).tolist()
            if isinstance(value, list)
            else value
            for name, value in found.items()
        }


def judged(labels, predicted, matrix):
    """Estimated accuracy; plain where the matrix makes classes too much alike."""
    try:
        return estimated_accuracy(labels, predicted, matrix)[0]
    except ValueError:
        return estimated_accuracy(labels, predicted)[0]


def classes(model, inputs):
    """Predicted class ids."""
    return np.concatenate(
        [
            np.argmax(model.predict_on_batch(inputs[begin : begin + 5000]), axis=-1)
            for begin in range(0, len(inputs), 5000)
        ]
    )


def label_wave(changes):
    """The epoch that `training.LabelWave` keeps, from the changes of each epoch."""
    best, lowest = 0, np.inf
    for epoch in range(WINDOW, len(changes)):
        mean = np.mean(changes[epoch - WINDOW + 1 : epoch + 1])
        if mean < lowest:
            best, lowest = epoch, mean
        elif epoch - best >= PATIENCE:
            break
    return best


def stopped(run, judge):
    """Epoch at which a judge stops a training, from its smoothed accuracies."""
    if judge == "label_wave":
        return run["label_wave_epoch"]
    return selection.best_epoch(np.asarray(run[judge])[:, np.newaxis])


def smoothed_best(run, judge):
    """The score of a training by a judge, which chooses learning rates."""
    return max(noisy_accuracy.smoothed(run[judge], selection.WINDOW))


def measure(cell, name):
    """One loss in one cell: what its last, stopped and best epochs are worth."""
    begin = time.perf_counter()
    trainer = cell.trainer(LOSSES[name](cell.estimated))
    model = cell.noisy.network(0)
    tried = {rate: cell.run(trainer, model, rate, 0) for rate in cell.rates}
    tried = {rate: run for rate, run in tried.items() if run is not None}
    if not tried:
        return {"diverged": True}
    by_judge = {
        judge: max(
            tried, key=lambda rate, judge=judge: smoothed_best(tried[rate], judge)
        )
        for judge in ("plain", "clean")
    }
    runs = {
        rate: [
            tried[rate],
            *(cell.run(trainer, model, rate, s) for s in cell.seeds[1:]),
        ]
        for rate in set(by_judge.values())
    }
    runs = {rate: [run for run in each if run] for rate, each in runs.items()}
    chosen = runs[by_judge["plain"]]
    result = {
        "rate": by_judge["plain"],
        "rate_by_clean": by_judge["clean"],
        "last": [run["test"][-1] for run in chosen],
        "best": [max(run["test"]) for run in chosen],
        "seeds": len(chosen),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    for judge in STOPS:
        epochs = [stopped(run, judge) for run in chosen]
        result[judge] = [run["test"][e] for run, e in zip(chosen, epochs, strict=True)]
        result[f"{judge}_epochs"] = epochs
    result["stopped_at_rate_by_clean"] = [
        run["test"][stopped(run, "plain")] for run in runs[by_judge["clean"]]
    ]
    return result


def search(dataset, noise, options):
    """The same search judged by noisy labels and by clean ones, on fresh seeds."""
    found = {}
    size, held_out, *_ = SETTINGS[dataset]
    epochs, generations, population = 100, 30, 12
    if options.smoke:
        size, held_out, epochs, generations, population = 100, 60, 1, 1, 3
    for judge, count in (("noisy", held_out), ("clean", min(2000, held_out))):
        task = Task(
            dataset,
            noise=noise,
            train_size=size,
            validation_size=count,
            data_dir=options.data_dir if dataset != "digits" else None,
            validation=judge,
            validation_matrix="noise" if judge == "noisy" else None,
        )
        journal = options.work / f"{dataset}-{noise.replace(':', '')}-{judge}.jsonl"
        engine = TaylorLossSearch(
            task,
            generations=generations,
            population_size=population,
            epochs=epochs,
            journal=journal,
        )
        engine.run()
        theta = engine.best()["theta"]
        engine.close()
        accuracy = learning_rates.score_losses(
            task,
            [losses.TaylorLoss(theta, from_logits=True)],
            seeds=[700_000 + i for i in range(options.seeds)],
            learning_rates=[0.1],
            split="test",
            epochs=epochs,
        )
        found[judge] = {
            "theta": theta,
            "validation_size": count,
            "accuracy": accuracy[0, 0].round(5).tolist(),
        }
    return found


def table(results):
    """Text of the cells of part one, and the shares of the gap that stops close."""
    names = ("last", *STOPS, "best")
    lines = ["| data | noise | loss | " + " | ".join(names) + " |"]
    lines.append("|---" * (3 + len(names)) + "|")
    for key, one in results.items():
        if key.startswith("search") or one.get("diverged"):
            continue
        cells = [f"{100 * np.mean(one[name]):.1f}" for name in names]
        lines.append("| " + " | ".join([*key.split(" "), *cells]) + " |")
    return "\n".join(lines)


def summary(results):
    """The figures that the bars are about."""
    closed = {judge: {"symmetric": [], "other": []} for judge in STOPS}
    costs = []
    for key, one in results.items():
        if key.startswith("search") or one.get("diverged"):
            continue
        kind = (
            "symmetric" if "symmetric" in key.split(" ")[1].split(":")[0] else "other"
        )
        kind = "other" if key.split(" ")[1].startswith("asym") else kind
        last, best = np.mean(one["last"]), np.mean(one["best"])
        costs.append(np.mean(one["stopped_at_rate_by_clean"]) - np.mean(one["plain"]))
        if best - last >= 0.03:
            for judge in STOPS:
                share = (np.mean(one[judge]) - last) / (best - last)
                closed[judge][kind].append(share)
    found = {
        judge: {
            kind: {"cells": len(shares), "closed": round(float(np.mean(shares)), 3)}
            for kind, shares in kinds.items()
            if shares
        }
        for judge, kinds in closed.items()
    }
    cost = round(100 * float(np.mean(costs)), 2) if costs else None
    return {"gap_closed": found, "points_lost_by_noisy_choice_of_rate": cost}


def main():
    """Runs the cells that are missing and prints all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data-dir", default=None)
    add("--datasets", default="digits,mnist,kmnist_10k")
    add("--noises", default=",".join(NOISES))
    add("--losses", default=",".join(LOSSES))
    add("--parts", default="stop,search", help="stop, search, or both")
    add("--seeds", type=int, default=5)
    add("--json", default="benchmarks/results/no_clean_labels.json")
    add("--work", default="no_clean_labels.work", help="folder of the journals")
    add("--smoke", action="store_true", help="digits, a few epochs, nothing written")
    options = parser.parse_args()
    options.work = Path(options.work)
    results = {}
    if options.smoke:
        options.datasets, options.noises = "digits", "symmetric:0.6"
        options.losses, options.seeds, options.json = "cross_entropy", 1, None
        options.parts = "stop"
    elif os.path.exists(options.json):
        results = json.loads(Path(options.json).read_text())["results"]
    keep = {
        "seeds": options.seeds,
        "settings": {k: str(v) for k, v in SETTINGS.items()},
    }
    for dataset in options.datasets.split(","):
        for noise in options.noises.split(","):
            if noise.startswith("asym") and dataset == "kmnist_10k":
                continue  # it has no published map of similar classes
            cell = None
            for name in options.losses.split(","):
                key = f"{dataset} {noise} {name}"
                if "stop" not in options.parts or key in results:
                    continue
                cell = cell or Cell(dataset, noise, options)
                results[key] = measure(cell, name)
                record.write(options.json, "no_clean_labels", keep, results)
                print(f"{key}: {results[key].get('seconds')} s", flush=True)
    if "search" in options.parts:
        options.work.mkdir(exist_ok=True)
        for noise in ("symmetric:0.6", "pair:0.35"):
            key = f"search mnist {noise}"
            if key not in results:
                results[key] = search("mnist", noise, options)
                record.write(options.json, "no_clean_labels", keep, results)
            found = {k: 100 * np.mean(v["accuracy"]) for k, v in results[key].items()}
            print(key, {name: round(value, 2) for name, value in found.items()})
    print(table(results))
    print(json.dumps(summary(results), indent=1))


if __name__ == "__main__":
    main()
