"""Rare classes and wrong labels together: what weights, adjustments and losses do.

    python benchmarks/rare_and_wrong.py

Digits whose classes shrink from the most frequent to the rarest, 20 to 1, in another
order for each seed, with symmetric noise of rate 0.4. Every method trains the same
network on the same labels; a fifth of these, as noisy and as long-tailed, says where to
stop. The test set is clean, with as many images of each class. Accuracy on it is
`balanced`; `overall` weighs its classes as often as the training set has them, and
`rare` is that of the three rarest classes.

Class weights and logit adjustment count the noisy labels, which is what a user has; the
last two rows are given the shares of the clean ones, which nobody has.
"""

import argparse

import keras
import numpy as np
import record

from tfrobustloss import data, losses, training

NUM_CLASSES = 10
RARE = 3
MEASURES = ("overall", "balanced", "rare")


def cross_entropy():
    """The baseline."""
    return losses.CrossEntropy(from_logits=True)


def generalized():
    """The robust loss, at its default."""
    return losses.GeneralizedCrossEntropy(from_logits=True)


# name -> (loss of shares, whose shares, whether examples are weighted by class)
METHODS = {
    "cross_entropy": (lambda shares: cross_entropy(), "noisy", False),
    "generalized_cross_entropy": (lambda shares: generalized(), "noisy", False),
    "cross_entropy, class_weight": (lambda shares: cross_entropy(), "noisy", True),
    "generalized, class_weight": (lambda shares: generalized(), "noisy", True),
    "LogitAdjusted(cross_entropy)": (
        lambda shares: losses.LogitAdjusted(cross_entropy(), shares),
        "noisy",
        False,
    ),
    "LogitAdjusted(generalized)": (
        lambda shares: losses.LogitAdjusted(generalized(), shares),
        "noisy",
        False,
    ),
    "LogitAdjusted(cross_entropy), clean shares": (
        lambda shares: losses.LogitAdjusted(cross_entropy(), shares),
        "clean",
        False,
    ),
    "LogitAdjusted(generalized), clean shares": (
        lambda shares: losses.LogitAdjusted(generalized(), shares),
        "clean",
        False,
    ),
}


class Draw:
    """Long-tailed training data with wrong labels, of one seed.

    Args:
        seed: Int.
        options: Parsed options.
    """

    def __init__(self, seed, options):
        images = data.load("digits", "train")
        random = np.random.default_rng(seed)
        largest = np.bincount(images.labels).min()
        fall = options.imbalance ** (-np.arange(NUM_CLASSES) / (NUM_CLASSES - 1))
        order = random.permutation(NUM_CLASSES)  # from the most frequent to the rarest
        sizes = dict(zip(order, np.rint(largest * fall).astype(int), strict=True))
        chosen = [
            random.permutation(np.flatnonzero(images.labels == label))[:size]
            for label, size in sizes.items()
        ]
        chosen = random.permutation(np.concatenate(chosen))
        x, clean = flat(images.images[chosen]), images.labels[chosen]
        matrix = data.noise.symmetric(NUM_CLASSES, options.noise)
        noisy = data.noise.corrupt(clean, matrix, seed)
        train, held_out = data.split_validation(noisy, seed=seed)
        self.train = x[train], noisy[train]
        self.validation = x[held_out], noisy[held_out]
        self.rarest = order[-RARE:]
        self.counts = {
            "noisy": np.maximum(np.bincount(noisy[train], minlength=NUM_CLASSES), 1),
            "clean": np.maximum(np.bincount(clean[train], minlength=NUM_CLASSES), 1),
        }
        self.test = test_set()

    def judge(self, model):
        """Accuracies of a model by `MEASURES`."""
        x, labels = self.test
        hits = np.argmax(model.predict_on_batch(x), axis=-1) == labels
        recall = np.array([hits[labels == each].mean() for each in range(NUM_CLASSES)])
        found = np.average(recall, weights=self.counts["clean"]), recall.mean()
        return dict(zip(MEASURES, (*found, recall[self.rarest].mean()), strict=True))


def test_set():
    """Clean images, as many of each class."""
    images = data.load("digits", "test")
    size = np.bincount(images.labels).min()
    each = [
        np.flatnonzero(images.labels == label)[:size] for label in range(NUM_CLASSES)
    ]
    chosen = np.concatenate(each)
    return flat(images.images[chosen]), images.labels[chosen]


def flat(images):
    """Pixels in [0, 1], shape `(images, pixels)`."""
    return images.reshape(len(images), -1).astype("float32") / 255


def measure(draw, name, seed, epochs):
    """Accuracies after the last epoch and at the stopped one, of one training."""
    make, whose, weighted = METHODS[name]
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(256, activation="relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile(keras.optimizers.Adam(1e-3), make(draw.counts[whose]))
    found = {}

    def judge_last(logs=None):
        found["last"] = draw.judge(model)

    # in this order at the end: the last weights are judged, then the best put back
    stop = training.StopOnNoisyValidation()
    callbacks = [keras.callbacks.LambdaCallback(on_train_end=judge_last), stop]
    counts = draw.counts["noisy"]
    weights = counts.sum() / (NUM_CLASSES * counts)
    model.fit(
        *draw.train,
        batch_size=128,
        epochs=epochs,
        validation_data=draw.validation,
        class_weight=dict(enumerate(weights)) if weighted else None,
        callbacks=callbacks,
        verbose=0,
    )
    found["stopped"] = draw.judge(model)
    found["epoch"] = stop.best_epoch
    keras.utils.clear_session()
    return found


def table(results):
    """Text of the results: means over seeds in %, and the sd of the balanced ones."""
    heads = [f"{when}, {what}" for when in ("last", "stopped") for what in MEASURES]
    lines = ["| method | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for name, runs in results.items():
        cells = []
        for when in ("last", "stopped"):
            for what in MEASURES:
                values = 100 * np.array([run[when][what] for run in runs])
                spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
                cells.append(f"{values.mean():.1f}{spread}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Trains every method with every seed and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--imbalance", type=float, default=20.0, help="most frequent to rarest class")
    add("--noise", type=float, default=0.4, help="rate of the symmetric noise")
    add("--epochs", type=int, default=150)
    add("--seeds", type=int, default=5)
    add("--json", default="benchmarks/results/rare_and_wrong.json")
    add("--smoke", action="store_true", help="one seed, two epochs, nothing written")
    options = parser.parse_args()
    if options.smoke:
        options.seeds, options.epochs, options.json = 1, 2, None
    results = {name: [] for name in METHODS}
    sizes = []
    for seed in range(options.seeds):
        draw = Draw(seed, options)
        sizes.append({name: each.tolist() for name, each in draw.counts.items()})
        for name, runs in results.items():
            runs.append(measure(draw, name, seed, options.epochs))
        print(f"seed {seed} is done", flush=True)
    names = ("imbalance", "noise", "epochs", "seeds")
    keep = {name: getattr(options, name) for name in names}
    record.write(options.json, "rare_and_wrong", {**keep, "counts": sizes}, results)
    print(table(results))


if __name__ == "__main__":
    main()
