"""Losses scored per second by `search.trainer`, beside a Keras model per candidate.

    python benchmarks/search_speed.py --json benchmarks/results/search_speed.json

A candidate is a loss with which a network is trained for 2 epochs on 8,000 images of
28 x 28 (random ones unless `--data-dir` names prepared MNIST; the speed is the same)
and tested on 2,000. The baseline builds, compiles and fits a fresh Keras model per
candidate; `keras_tuner.RandomSearch` does so over the same hypermodel. Every round
times each way once, in a new order, and the machine's matrix products in between;
ratios are medians of the ratios within a round. (CPU seconds, of all cores, are less
sensitive to other work on the machine.) On JAX (`KERAS_BACKEND=jax`)
`--populations` adds candidates trained in chunks of those sizes.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import statistics
import sys
import tempfile
import time

import keras
import numpy as np
import record

from tfrobustloss import architectures
from tfrobustloss.data import datasets
from tfrobustloss.experiments.trainer import trainer
from tfrobustloss.losses import families

SHAPE, CLASSES, EPOCHS, BATCH = (28, 28, 1), 10, 2, 128
STOCK, TUNER = "keras, fresh model", "keras_tuner RandomSearch"
ONE, MANY, ROUGH = "trainer, one by one", "trainer", "trainer, bfloat16"
FIRST, DIVERGING = "first result", "diverging candidate"
# network -> candidates in a row, rounds
NETWORKS = {"mlp2": (12, 5), "mlp3": (12, 5), "cnn4": (2, 2)}
# (network, way, figure) -> bar; the first two figures are times the baseline's
BARS = {
    ("mlp2", MANY, "speed"): (12, "at least"),
    ("mlp3", MANY, "speed"): (10, "at least"),
    ("cnn4", MANY, "speed"): (1.25, "at least"),
    ("cnn4", ROUGH, "speed"): (2, "at least"),
    ("mlp2", MANY, "share"): (0.35, "at least"),
    ("mlp2", FIRST, "seconds"): (1.0, "at most"),
    ("mlp3", FIRST, "seconds"): (1.0, "at most"),
    ("cnn4", FIRST, "seconds"): (1.0, "at most"),
    ("mlp2", DIVERGING, "seconds"): (0.1, "at most"),
    ("mlp3", DIVERGING, "seconds"): (0.1, "at most"),
    ("cnn4", DIVERGING, "seconds"): (0.1, "at most"),
}


def load(num_train, num_validation, data_dir):
    """Images and labels for training and validation."""
    size = num_train + num_validation
    if data_dir is None:
        rng = np.random.default_rng(0)
        images = rng.random((size, *SHAPE), "float32")
        labels = rng.integers(CLASSES, size=size)
    else:
        mnist = datasets.load("mnist", "train", data_dir)
        images = np.divide(mnist.images[:size], 255, dtype="float32")
        labels = mnist.labels[:size]
    return (images[:num_train], labels[:num_train]), (
        images[num_train:],
        labels[num_train:],
    )


def operations(model, num_train, num_validation):
    """Multiplications and additions of a candidate, in layers with weights alone."""
    forward, backward = 0, 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
            positions = np.prod(layer.output.shape[1:-1], dtype=float)
            one = 2 * positions * np.prod(layer.kernel.shape, dtype=float)
            # the first layer needs no gradient of its inputs
            backward += one if forward == 0 else 2 * one
            forward += one
    return EPOCHS * num_train * (forward + backward) + num_validation * forward


def peak(size=2048, repeats=4):
    """Operations a second of a product of float32 matrices, the best of a few."""
    matrix = keras.random.normal((size, size), seed=0)
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])
        times.append(time.perf_counter() - begin)
    return 2 * size**3 / min(times)


def fit(model, loss, train, validation):
    """One candidate by Keras' own means."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(*train, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model.evaluate(*validation, batch_size=1000, verbose=0)


def random_search(build, family, train, validation, trials):
    """Candidates by `keras_tuner.RandomSearch`."""
    import keras_tuner

    def hypermodel(hp):
        vector = [
            hp.Float(name, start - 0.5, start + 0.5)
            for name, start in zip(family.names, family.initial, strict=True)
        ]
        model = build()
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        model.compile(optimizer, family.build(vector), metrics=["accuracy"])
        return model

    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            hypermodel, "val_accuracy", trials, seed=0, directory=folder
        )
        with contextlib.redirect_stdout(io.StringIO()):
            tuner.search(
                *train,
                validation_data=validation,
                batch_size=BATCH,
                epochs=EPOCHS,
                verbose=0,
            )


def ways(name, data, count, populations):
    """The ways to score candidates: name -> (function, candidates a call)."""
    train, validation = data
    family = families.canonical_taylor(CLASSES)
    rng = np.random.default_rng(0)
    start = np.array(family.initial)
    vectors = start + 0.3 * rng.normal(size=(max([count, *populations]), len(start)))

    def build():
        return getattr(architectures, name)(SHAPE, CLASSES)

    def make(**options):
        return trainer.Trainer(
            build(), family, train, validation, epochs=EPOCHS, **options
        )

    wild = 1e38 * start  # the loss of the first batch overflows

    def make_warm(**options):
        """A trainer whose programs are compiled, by a run that stops at once."""
        made = make(**options)
        made.score_many([wild] * options.get("chunk_size", 1))
        made.accuracy(made.begin())
        return made

    plain = make_warm()
    found = {
        STOCK: (lambda: fit(build(), family.build(start), train, validation), 1),
        FIRST: (lambda: make().score(start), 1),
        MANY: (lambda: plain.score_many(vectors[:count]), count),
        DIVERGING: (lambda: plain.score(wild), 1),
    }
    if name == "cnn4":
        rough = make_warm(compute_dtype="bfloat16")
        found[ROUGH] = (lambda: rough.score_many(vectors[:count]), count)
    else:
        found[ONE] = (
            lambda: [plain.score(vector) for vector in vectors[:count]],
            count,
        )
    if importlib.util.find_spec("keras_tuner"):
        trials = 1 if name == "cnn4" else 2
        found[TUNER] = (
            lambda: random_search(build, family, train, validation, trials),
            trials,
        )
    for size in populations:
        chunked = make_warm(chunk_size=size)
        found[f"trainer, chunks of {size}"] = (
            lambda chunked=chunked, size=size: chunked.score_many(vectors[:size]),
            size,
        )
    return found, operations(build(), len(train[1]), len(validation[1]))


def measure(name, data, count, rounds, populations):
    """One row per way: seconds a candidate, and ratios to the baseline."""
    functions, needed = ways(name, data, count, populations)
    seconds, processor = ({way: [] for way in functions} for _ in range(2))
    peaks, whole = [], ONE if ONE in functions else MANY
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        before = peak()
        for way in rng.permutation(list(functions)):
            function, candidates = functions[way]
            begin = time.perf_counter(), time.process_time()
            function()
            seconds[way].append((time.perf_counter() - begin[0]) / candidates)
            processor[way].append((time.process_time() - begin[1]) / candidates)
        peaks.append(max(before, peak()))

    def median(function, *columns):
        return statistics.median(map(function, *columns))

    return [
        {
            "network": name,
            "way": way,
            "seconds": statistics.median(times),
            "processor_seconds": statistics.median(processor[way]),
            "speed": median(lambda a, b: b / a, times, seconds[STOCK]),
            "share": median(lambda a, p: needed / a / p, times, peaks),
            # a run that stops early is compared with a whole one of the same kind
            "of_whole": median(lambda a, b: a / b, times, seconds[whole]),
            "peak": statistics.median(peaks),
            "operations": needed,
        }
        for way, times in seconds.items()
    ]


def print_table(rows):
    """One line a way: candidates a second, times the baseline, share of the limit."""
    for name in dict.fromkeys(row["network"] for row in rows):
        group = [row for row in rows if row["network"] == name]
        limit = group[0]["peak"]
        print(
            f"\n{name}: {group[0]['operations'] / 1e9:.1f} G operations a candidate; "
            f"matrix products {limit / 1e9:.0f} G/s = "
            f"{limit / group[0]['operations']:.2f} candidates/s"
        )
        print(
            f"{'':28s}{'cand./s':>10s}{'x keras':>9s}{'% of limit':>12s}{'CPU s':>9s}"
        )
        for row in group:
            text = f"{row['way']:28s}"
            if row["way"] in (FIRST, DIVERGING):
                text += f"{1e3 * row['seconds']:7.0f} ms"
                text += f"{1 / row['speed']:8.2f}x keras' time"
                if row["way"] == DIVERGING:
                    text += f", {row['of_whole']:.1%} of a whole candidate"
            else:
                text += f"{1 / row['seconds']:10.2f}{row['speed']:9.2f}"
                text += f"{100 * row['share']:12.0f}"
                text += f"{row['processor_seconds']:9.2f}"
            print(text)


def missed(rows):
    """The bars that are not met, as sentences."""
    table = {(row["network"], row["way"]): row for row in rows}
    for (name, way, figure), (bar, sense) in BARS.items():
        row = table.get((name, way))
        if row is None or (way == ROUGH and not _has_bfloat16()):
            continue
        value = row[figure]
        if figure == "seconds":
            value = row["of_whole"] if way == DIVERGING else 1 / row["speed"]
        if (value < bar) if sense == "at least" else (value > bar):
            yield f"{name}, {way}: {value:.2f}, bar: {sense} {bar}"


def _has_bfloat16():
    """Whether the processor computes in bfloat16; there is no bar elsewhere."""
    try:
        with open("/proc/cpuinfo") as file:
            return "bf16" in file.read()
    except OSError:
        return False


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--check", action="store_true", help="exit 1 below a bar")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--data-dir", help="folder of TFDS data with MNIST")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, help="of every network")
    parser.add_argument("--populations", type=int, nargs="+", default=[])
    options = parser.parse_args(argv)
    load_before = os.getloadavg()[0]
    sizes = (300, 100) if options.smoke else (8000, 2000)
    networks = ["mlp2"] if options.smoke else options.networks
    data = load(*sizes, options.data_dir)
    rows = []
    for name in networks:
        count, rounds = (2, 1) if options.smoke else NETWORKS[name]
        rounds = options.rounds or rounds
        rows += measure(name, data, count, rounds, options.populations)
    print_table(rows)
    settings = {"train": sizes[0], "validation": sizes[1], "epochs": EPOCHS}
    settings |= {"batch": BATCH, "data": "MNIST" if options.data_dir else "random"}
    settings["load_before"] = (
        load_before  # of others: it costs many cores more than one
    )
    print(f"\nprocesses that wanted a core in the minute before: {load_before:.1f}")
    record.write(options.json, "search_speed", settings, rows)
    problems = [] if options.smoke else list(missed(rows))
    for problem in problems:
        print("missed:", problem)
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
