"""Images of several digits, of whose labels 30 % of the positives are missing.

    python benchmarks/multi_label.py --json benchmarks/results/multi_label.json

Up to four of scikit-learn's digits on a canvas, ten labels. All labels are given, or
the positives that are missing are negatives, as where nobody marked them, or they are
-1, as where it is known which. A network of one hidden layer, all losses at one
learning rate; mean average precision on complete labels, after the last epoch and in
the best one, which nobody can pick without them. A few minutes on two cores.
"""

import argparse
import functools
import statistics
import sys

import keras
import numpy as np
import record

from tfrobustloss import data, losses
from tfrobustloss.data import noise
from tfrobustloss.training import ParameterScheduler

CELL = 8  # pixels of a digit; a canvas has 2 x 2 of them
BATCH = 128
MISSING = 0.3
TREATMENTS = {
    "complete": {},
    "negative": {"flip_rates": (0, MISSING)},
    "-1": {"missing_rates": (0, MISSING)},
}
FULL = {"train": 2048, "test": 1000, "epochs": 30, "seeds": 3, "warm_up": 5}
SMOKE = {"train": 256, "test": 100, "epochs": 1, "seeds": 1, "warm_up": 0}


def made_losses(warm_up):
    """Dict of names to functions that make a loss and its callbacks."""

    def of(loss_class, *arguments):
        return lambda: (loss_class(*arguments, from_logits=True), [])

    def multi(loss_class):
        return lambda: (losses.MultiLabel(loss_class(from_logits=True)), [])

    def self_paced():
        correction = keras.Variable(0.0, trainable=False)
        loss = losses.SelfPacedCorrection(correction=correction, from_logits=True)
        points = {max(0, warm_up - 1): 0.0, warm_up: 1.0}
        return loss, [ParameterScheduler(correction, points)]

    return {
        "BinaryCrossentropy": multi(losses.CrossEntropy),
        "AsymmetricMultiLabel": of(losses.AsymmetricMultiLabel),
        "Hill": of(losses.Hill),
        "SelfPacedCorrection": self_paced,
        "MultiLabel(GCE)": multi(losses.GeneralizedCrossEntropy),
        "MultiLabel(SCE)": multi(losses.SymmetricCrossEntropy),
    }


@functools.cache
def canvases(split, count, seed):
    """Images of one to four digits, and their ten labels."""
    digits = data.load("digits", split)
    random = np.random.default_rng(seed)
    images = np.zeros((count, 2 * CELL, 2 * CELL, 1), "float32")
    labels = np.zeros((count, 10), "int8")
    for image, row in zip(images, labels, strict=True):
        places = random.permutation(4)[: random.integers(1, 5)]
        for y, x in CELL * np.array(np.unravel_index(places, (2, 2))).T:
            which = random.integers(len(digits.labels))
            image[y : y + CELL, x : x + CELL] = digits.images[which] / 255
            row[digits.labels[which]] = 1
    return images, labels


def network(seed):
    """A network of one hidden layer that ends in ten logits."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((2 * CELL, 2 * CELL, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


class MeanAveragePrecision(keras.callbacks.Callback):
    """Mean average precision on given images after each epoch."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels, self.values = images, labels, []

    def on_epoch_end(self, epoch, logs=None):
        """Adds the value of this epoch."""
        from sklearn.metrics import average_precision_score

        scores = keras.ops.convert_to_numpy(self.model(self.images, training=False))
        self.values.append(float(average_precision_score(self.labels, scores)))


def train(make, treatment, options):
    """Mean average precision after each epoch, a list a seed.

    One compiled program for all seeds: weights and optimizer begin again.
    """
    loss, callbacks = make()
    steps = max(1, options["train"] // BATCH)
    model, optimizer = network(0), keras.optimizers.Adam(1e-3)
    model.compile(optimizer, loss, steps_per_execution=steps)
    optimizer.build(model.trainable_variables)
    begin = [keras.ops.convert_to_numpy(each) for each in optimizer.variables]
    for callback in callbacks:
        if keras.backend.backend() == "jax":  # where a step is handed its variables
            model.switched = callback.variable
    runs = []
    for seed in range(options["seeds"]):
        images, labels = canvases("train", options["train"], seed)
        rates = {"flip_rates": 0.0, **TREATMENTS[treatment]}
        given = noise.corrupt_multi_hot(labels, seed=seed, **rates)
        model.set_weights(network(seed).get_weights()[: len(model.weights)])
        for variable, value in zip(optimizer.variables, begin, strict=True):
            variable.assign(value)
        watch = MeanAveragePrecision(*canvases("test", options["test"], 1000 + seed))
        model.fit(
            images,
            given.astype("float32"),
            batch_size=BATCH,
            epochs=options["epochs"],
            verbose=0,
            callbacks=[*callbacks, watch],
        )
        runs.append(watch.values)
    return runs


def measure(options):
    """A row a loss and treatment."""
    rows = []
    for name, make in made_losses(options["warm_up"]).items():
        for treatment in TREATMENTS:
            runs = train(make, treatment, options)
            last, best = [run[-1] for run in runs], [max(run) for run in runs]
            rows.append(
                {
                    "loss": name,
                    "missing": treatment,
                    "last": statistics.mean(last),
                    "last_sd": statistics.pstdev(last),
                    "best": statistics.mean(best),
                    "best_sd": statistics.pstdev(best),
                    "runs": runs,
                }
            )
            keras.utils.clear_session()
        first = len(rows) == len(TREATMENTS)
        print(table(rows[-len(TREATMENTS) :], heading=first), flush=True)
    return rows


def table(rows, heading):
    """One line a loss: last and best epoch of each treatment, in percent."""
    cells = "".join(
        f"{100 * row['last']:6.1f} ±{100 * row['last_sd']:4.1f}{100 * row['best']:7.1f}"
        for row in rows
    )
    line = f"{rows[0]['loss']:22s}{cells}"
    if not heading:
        return line
    names = "".join(f"{row['missing']:>19s}" for row in rows)
    heads = "".join(f"{'last':>12s}{'best':>7s}" for _ in rows)
    return f"{'missing positives are':22s}{names}\n{'':22s}{heads}\n{line}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--seeds", type=int, help="runs a loss and treatment")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args(argv)
    options = dict(SMOKE if arguments.smoke else FULL)
    if arguments.seeds:
        options["seeds"] = arguments.seeds
    rows = measure(options)
    settings = {**options, "missing_rate": MISSING, "learning_rate": 1e-3}
    record.write(arguments.json, "multi_label", settings, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
