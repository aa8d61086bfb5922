"""Forward and backward time of every loss, relative to Keras' cross-entropy.

    python benchmarks/loss_speed.py --json benchmarks/results/loss_speed.json

All losses see the same logits. The baseline is
`keras.losses.CategoricalCrossentropy(from_logits=True)` on one-hot labels; each of
our losses is timed on one-hot labels and on class ids. Repeats are interleaved: every
round times each program once, in a new order, and ratios are medians of the ratios
within a round. On JAX (`KERAS_BACKEND=jax`) everything is compiled.

One unit for two classes has a table of its own: 100,000 logits, against
`keras.losses.BinaryCrossentropy(from_logits=True)`.
"""

import argparse
import inspect
import statistics
import sys
import time

import keras
import numpy as np
import record

from tfrobustloss import losses
from tfrobustloss.data import noise

BASELINE = "keras CategoricalCrossentropy"
UNIT_BASELINE = "keras BinaryCrossentropy"
UNIT_BATCH = 100_000
BAR, BAR_TEMPERED = 1.5, 4.0  # at 1000 classes, compiled by XLA
# A compiled program cannot tell one-hot rows from soft ones, so these do for every
# class what class ids need for one class a row. No bar on one-hot rows, because:
EXCEPTIONS = {
    # cross-entropy takes one exponential a class, forward; the power of p is a second,
    # or its logarithm and exponential (Adma: two exponentials more)
    "GeneralizedCrossEntropy": "one exponential more a class",
    "Focal": "one exponential more a class",
    "Adma": "two exponentials more a class",
    "SymmetricCrossEntropy": "one logarithm (of the label) more a class",
    "TaylorCrossEntropy": "one exponential more a class",
    "PolyCrossEntropy": "one exponential more a class",
    "EpsilonSoftmaxCrossEntropy": "one exponential and one logarithm more a class",
    "TruncatedGeneralizedCrossEntropy": "one exponential more a class",
    "Baikal": "one exponential more a class",
    "MeanSquaredError": "one pass over the classes more",
    "SquaredHinge": "one pass over the classes more",
    "ReverseCrossEntropy": "one logarithm (of the label) more a class",
    "ActivePassive": "one logarithm (of the label) and one pass more a class",
    "AsymmetricGeneralizedCrossEntropy": "six exponentials or logarithms a class",
    "AsymmetricUnhinged": "four exponentials or logarithms a class",
    "AsymmetricExponential": "two exponentials more a class",
    "ActiveNegativeCrossEntropy": "two passes over the classes more",
    "PartiallyHuberizedGeneralizedCrossEntropy": "two exponentials more a class",
    "JensenShannon": "four exponentials or logarithms a class",
    "NormalizedGeneralizedCrossEntropy": "one exponential and one pass more a class",
    "JointAsymmetric": "two passes over the classes more",
    "LogitClip": "a maximum, a norm and a product: three passes more",
    "LogitBias": "one product more a class",
    # products of (1024, 1000) and (1000, 1000) matrices: 2.0e9 operations each, against
    # about 1e7 of cross-entropy
    "ForwardCorrection": "two matrix products, 4.1e9 operations",
    "BackwardCorrection": "one matrix product, 2.0e9 operations",
}
# No bar on class ids either: what these do for every class does not depend on labels.
SLOW_BY_NATURE = {
    "LabelDistributionallyRobust": "softplus: an exponential and a logarithm a class",
    "SparseRegularized": "a norm, one pass, and its power, one exponential a class",
    "NormalizedFocal": "a square root, its slope and two passes a class",
    "ActiveNegativeFocal": "a square root, its slope and three passes a class",
    "NegativeLearning": "log(1 - p): an exponential and a logarithm a class",
}
# Temperatures without a bar, beside the default one that has it: powers that are no
# multiple of 1/2 take a logarithm and an exponential a class and Newton step.
OTHER_TEMPERATURES = {"BiTemperedLogistic .5 4", "BiTemperedLogistic .7 1.3"}
SQUARED = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
GENERAL = [0.1, 0.2, 1, -2, 3, -4, 0.5, -0.6, 0.7, -0.8, 0.9, -1]


def programs(num_classes):
    """The losses to time: name -> (loss, kind of labels)."""
    matrix = noise.symmetric(num_classes, 0.4)
    needed = {"TaylorLoss": GENERAL, "ForwardCorrection": matrix}
    needed["BackwardCorrection"] = matrix
    own = {}
    for name in losses.__all__:
        each = getattr(losses, name)
        if not inspect.isclass(each) or not issubclass(each, losses.FunctionLoss):
            continue
        if each is losses.FunctionLoss or issubclass(each, losses.TaskLoss):
            continue
        if each.per_example:  # a loss of the whole batch does another kind of work
            options = {} if hasattr(each, "from_logits") else {"from_logits": True}
            own[name] = each(*([needed[name]] if name in needed else []), **options)
    own["CrossEntropy smoothed"] = losses.CrossEntropy(0.1, from_logits=True)
    for t1, t2, label in ((0.5, 4.0, ".5 4"), (0.7, 1.3, ".7 1.3")):
        loss = losses.BiTemperedLogistic(t1, t2, from_logits=True)
        own[f"BiTemperedLogistic {label}"] = loss
    baseline = keras.losses.CategoricalCrossentropy(from_logits=True)
    result = {(BASELINE, "one-hot"): baseline}
    for name, loss in own.items():
        for labels in ("one-hot", "ids"):
            result[name, labels] = loss
    return result


def step(loss, labels, xla):
    """A compiled function from logits to loss and gradient."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(jax.value_and_grad(lambda logits: loss(labels, logits)))
    import tensorflow as tf

    @tf.function(jit_compile=xla)
    def value_and_gradient(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        return value, tape.gradient(value, logits)

    return value_and_gradient


def wait(result):
    """Waits until a result is there, without copying the gradient."""
    value, gradient = result
    if keras.backend.backend() == "jax":
        gradient.block_until_ready()
    return float(value)


def measure(num_classes, batch, xla, rounds, seed=0, every=1):
    """Median milliseconds and median ratio to the baseline, per program.

    `every=8` leaves out all but the baseline and each eighth program after it.
    """
    rng = np.random.default_rng(seed)
    logits = keras.ops.convert_to_tensor(
        (3 * rng.normal(size=(batch, num_classes))).astype("float32")
    )
    ids = rng.integers(num_classes, size=batch)
    labels = {
        "ids": keras.ops.convert_to_tensor(ids.astype("int32")),
        "one-hot": keras.ops.one_hot(ids, num_classes, dtype="float32"),
    }
    steps = {
        key: step(loss, labels[key[1]], xla)
        for key, loss in list(programs(num_classes).items())[::every]
    }
    common = {"classes": num_classes, "xla": xla}
    return timed(steps, logits, rounds, rng, (BASELINE, "one-hot"), common)


def measure_unit(batch, xla, rounds, seed=0):
    """The same of one unit for two classes, relative to binary cross-entropy."""
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(batch, 1))).astype("float32")
    logits = keras.ops.convert_to_tensor(logits)
    ids = rng.integers(2, size=batch)
    labels = {
        "ids": keras.ops.convert_to_tensor(ids.astype("int32")),
        "floats": keras.ops.convert_to_tensor(ids[:, None].astype("float32")),
    }
    baseline = keras.losses.BinaryCrossentropy(from_logits=True)
    steps = {(UNIT_BASELINE, "floats"): step(baseline, labels["floats"], xla)}
    for loss in (
        losses.CrossEntropy(from_logits=True),
        losses.GeneralizedCrossEntropy(from_logits=True),
        losses.SymmetricCrossEntropy(from_logits=True),
    ):
        for kind, given in labels.items():
            steps[type(loss).__name__, kind] = step(loss, given, xla)
    common = {"classes": 1, "xla": xla}
    return timed(steps, logits, rounds, rng, (UNIT_BASELINE, "floats"), common)


def timed(steps, logits, rounds, rng, baseline, common):
    """Rows of the median times, and of ratios to that of `baseline`."""
    for run in steps.values():
        wait(run(logits))
        wait(run(logits))
    times = {key: [] for key in steps}
    keys = list(steps)
    for _ in range(rounds):
        for index in rng.permutation(len(keys)):
            start = time.perf_counter()
            wait(steps[keys[index]](logits))
            times[keys[index]].append(time.perf_counter() - start)
    return [
        {
            "loss": name,
            "labels": kind,
            **common,
            "milliseconds": 1e3 * statistics.median(values),
            "ratio": statistics.median(
                a / b for a, b in zip(values, times[baseline], strict=True)
            ),
        }
        for (name, kind), values in times.items()
    ]


def missed(rows):
    """The bars that are not met, as sentences."""
    for row in rows:
        if not row["xla"] or row["loss"] in (BASELINE, UNIT_BASELINE):
            continue
        if row["classes"] == 1 and row["ratio"] > BAR and row["labels"] == "ids":
            yield (
                f"{row['loss']} of one unit on {row['labels']}, XLA: "
                f"{row['ratio']:.2f}x, bar {BAR}x"
            )
        if row["classes"] != 1000:
            continue
        if row["labels"] == "one-hot" and row["loss"] in EXCEPTIONS:
            continue
        if row["loss"] in OTHER_TEMPERATURES or row["loss"] in SLOW_BY_NATURE:
            continue
        bar = BAR_TEMPERED if "BiTempered" in row["loss"] else BAR
        if row["ratio"] > bar:
            yield (
                f"{row['loss']} on {row['labels']}, 1000 classes, XLA: "
                f"{row['ratio']:.2f}x, bar {bar}x"
            )


def print_table(rows, baseline=BASELINE):
    """One line a loss, one column a setting."""
    settings = sorted({(row["classes"], row["xla"]) for row in rows})
    cells = {
        (row["loss"], row["labels"], row["classes"], row["xla"]): row for row in rows
    }
    names = dict.fromkeys((row["loss"], row["labels"]) for row in rows)
    heads = [f"{c} {'xla' if x else 'graph'}" for c, x in settings]
    print(f"{'x ' + baseline:50s}" + "".join(f"{h:>12s}" for h in heads))
    for name, kind in names:
        line = f"{name + ' (' + kind + ')':50s}"
        for setting in settings:
            row = cells[(name, kind, *setting)]
            text = f"{row['milliseconds']:.2f} ms" if name == baseline else ""
            line += f"{text or format(row['ratio'], '.2f'):>12s}"
        print(line)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--check", action="store_true", help="exit 1 below a bar")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--classes", type=int, nargs="*", default=[10, 100, 1000])
    options = parser.parse_args(argv)
    classes = [10] if options.smoke else options.classes
    batch, rounds = (32, 2) if options.smoke else (1024, options.rounds)
    modes = [True] if keras.backend.backend() == "jax" else [False, True]
    rows = []
    for num_classes in classes:
        for xla in modes:
            every = 8 if options.smoke else 1
            rows += measure(num_classes, batch, xla, rounds, every=every)
    if rows:
        print_table(rows)
    unit_batch = 100 if options.smoke else UNIT_BATCH
    units = []
    for xla in modes:
        units += measure_unit(unit_batch, xla, rounds)
    print_table(units, UNIT_BASELINE)
    rows += units
    settings = {"batch": batch, "rounds": rounds, "classes": classes}
    settings["unit_batch"] = unit_batch
    record.write(options.json, "loss_speed", settings, rows)
    problems = list(missed(rows))
    for problem in problems:
        print("missed:", problem)
    return 1 if options.check and problems else 0


if __name__ == "__main__":
    sys.exit(main())
