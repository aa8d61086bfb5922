"""One sigmoid unit on breast cancer data with 30 % wrong labels.

    python benchmarks/binary.py --json benchmarks/results/binary.json

The most usual binary classifier of Keras: a small network that ends in one unit,
trained by `compile` and `fit` on labels of which three in ten are flipped. Each loss
has the same network, optimizer, noise and split of a seed. Of one training, two
accuracies on the clean test set are reported: that of the last epoch, and that of the
epoch which `StopOnNoisyValidation` keeps, by labels that are as wrong as those of the
training.
"""

import argparse
import time

import keras
import numpy as np
import record
from sklearn.datasets import load_breast_cancer

from tfrobustloss import layers, losses
from tfrobustloss.data import noise, split_validation
from tfrobustloss.training import StopOnNoisyValidation

FLIPPED = 0.3
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.25
T1, T2 = 0.5, 1.5
LOSSES = {
    "cross_entropy": losses.CrossEntropy,
    "generalized_cross_entropy": losses.GeneralizedCrossEntropy,
    "symmetric_cross_entropy": losses.SymmetricCrossEntropy,
    "bi_tempered_logistic": lambda: losses.BiTemperedLogistic(T1, T2),
    "mean_absolute_error": losses.MeanAbsoluteError,
}


class Accuracy(keras.callbacks.Callback):
    """Accuracy on the test set after the last epoch, before a best one is restored."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.last = x, y, None

    def now(self):
        """Share of right answers."""
        p = self.model.predict_on_batch(self.x)[:, 0]
        return float(np.mean((p > 0.5) == self.y))

    def on_train_end(self, logs=None):
        """Measures."""
        self.last = self.now()


def network(name, width):
    """A network with a probability of class 1; tempered for the bi-tempered loss."""
    last = keras.layers.Activation("sigmoid")
    if name == "bi_tempered_logistic":
        last = layers.TemperedSoftmax(T2)
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((30,)), *hidden, keras.layers.Dense(1), last])


def split(seed):
    """`(train, validation, test)`; labels of the test alone are right."""
    data = load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(data.target))
    test, rest = np.split(order, [round(TEST_SHARE * len(order))])
    labels = noise.corrupt(data.target, noise.symmetric(2, FLIPPED), seed)
    kept, held_out = split_validation(labels[rest], VALIDATION_SHARE, seed)
    kept, held_out = rest[kept], rest[held_out]
    x = data.data
    x = (x - x[kept].mean(axis=0)) / x[kept].std(axis=0)
    parts = ((kept, labels), (held_out, labels), (test, data.target))
    return [(x[rows].astype("float32"), y[rows]) for rows, y in parts]


def run(name, seed, options):
    """Accuracy of the last and of the stopped epoch of one training."""
    train, validation, test = split(seed)
    keras.utils.set_random_seed(seed)
    model = network(name, options.width)
    model.compile(
        keras.optimizers.Adam(options.rate), LOSSES[name](), jit_compile=False
    )
    accuracy, stop = Accuracy(*test), StopOnNoisyValidation()
    model.fit(
        *train,
        batch_size=32,
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[accuracy, stop],  # the first looks before the second restores
        verbose=0,
    )
    return accuracy.last, accuracy.now(), stop.best_epoch + 1


def measure(name, options):
    """One row of the results."""
    begin = time.perf_counter()
    found = [run(name, seed, options) for seed in range(options.seeds)]
    last, stopped, epochs = zip(*found, strict=True)
    row = {"loss": name, "epochs": list(epochs)}
    for what, values in (("last", last), ("stopped", stopped)):
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        row[what] = {"mean": float(np.mean(values)), "sd": float(spread)}
        row[what]["values"] = values
    return {**row, "seconds": round(time.perf_counter() - begin, 1)}


def cell(found):
    """Mean and standard deviation in percent."""
    return f"{100 * found['mean']:.1f} ± {100 * found['sd']:.1f}"


def main(argv=None):
    """Trains every loss and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.001, help="of Adam")
    options = parser.parse_args(argv)
    if options.smoke:
        options.seeds, options.epochs, options.width = 1, 2, 8
    names = list(LOSSES)[3:] if options.smoke else LOSSES
    print("| loss | last epoch | stopped | epoch |\n|---|---|---|---|")
    rows = []
    for name in names:
        row = measure(name, options)
        rows.append(row)
        epoch = round(np.median(row["epochs"]))
        cells = f"| `{name}` | {cell(row['last'])} | {cell(row['stopped'])} | {epoch} |"
        print(cells, flush=True)
    settings = {"flipped": FLIPPED, "test_share": TEST_SHARE, "t1": T1, "t2": T2}
    settings |= {"validation_share": VALIDATION_SHARE}
    settings |= {k: getattr(options, k) for k in ("seeds", "epochs", "width", "rate")}
    record.write(options.json, "binary", settings, rows)


if __name__ == "__main__":
    main()
