"""Our losses beside public implementations that you have on your machine.

    python benchmarks/against_references.py --bi-tempered PATH
    KERAS_BACKEND=torch python benchmarks/against_references.py --active-passive PATH

PATH is your checkout of github.com/google/bi-tempered-loss (needs TensorFlow) or of
github.com/HanxunH/Active-Passive-Losses (needs PyTorch as Keras' backend). Its code is
imported, so look at it first. Values and gradients on random logits, largest
difference of each; the bi-tempered reference with `--iterations` steps of its
normaliser, since its default of 5 is not enough for every temperature. Without a path
there is nothing to compare.
"""

import argparse
import importlib.util
import itertools
import pathlib
import sys
import types

import keras
import numpy as np
import record

from tfrobustloss import losses

TEMPERATURES = ((0.9, 1.1), (0.8, 1.2), (0.7, 1.4), (0.5, 2.0), (0.2, 4.0), (1.0, 1.0))
TOLERANCE = 2e-4  # of the largest value: both compute in float32
CLASSES, ROWS = 10, 256


def load(folder, file):
    """A module from a file of a checkout."""
    path = pathlib.Path(folder, file)
    if not path.is_file():
        sys.exit(f"against_references: there is no {path}; give the checkout's folder")
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def batch(spread):
    """Logits and class ids."""
    random = np.random.default_rng(0)
    logits = random.normal(0, spread, (ROWS, CLASSES)).astype("float32")
    return logits, random.integers(0, CLASSES, ROWS)


def difference(name, ours, theirs):
    """A row of the table: how far value and gradient are from the reference's."""
    row = {"loss": name}
    for what, one, other in zip(("value", "gradient"), ours, theirs, strict=True):
        scale = max(1e-12, float(np.abs(other).max()))
        row[what] = float(np.abs(one - other).max()) / scale
    row["same"] = max(row["value"], row["gradient"]) < TOLERANCE
    return row


def bi_tempered(folder, iterations):
    """Rows for each pair of temperatures and two widths of the logits."""
    if keras.backend.backend() != "tensorflow":
        sys.exit("against_references: --bi-tempered needs KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    reference = load(folder, "tensorflow/loss.py")

    def both(function, logits):
        logits = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = function(logits)
        return value.numpy(), tape.gradient(value, logits).numpy()

    for spread, t, smoothing in itertools.product((1, 5), TEMPERATURES, (0.0, 0.1)):
        if t == (1.0, 1.0) and smoothing:
            continue  # theirs leaves out the labels' entropy there, and only there
        yield difference(
            f"t1={t[0]} t2={t[1]} smoothing={smoothing} logits sd {spread}",
            *_both_bi_tempered(reference, both, spread, *t, smoothing, iterations),
        )


def _both_bi_tempered(reference, both, spread, t1, t2, smoothing, iterations):
    logits, ids = batch(spread)
    rows = np.eye(CLASSES, dtype="float32")[ids]
    # theirs spreads the mass over the other classes, ours, as Keras does, over all
    own_smoothing = smoothing * CLASSES / (CLASSES - 1)
    loss = losses.BiTemperedLogistic(
        t1, t2, own_smoothing, from_logits=True, reduction=None
    )
    theirs = reference.bi_tempered_logistic_loss
    return (
        both(lambda z: loss(rows, z), logits),
        both(lambda z: theirs(z, rows, t1, t2, smoothing, iterations), logits),
    )


def active_passive(folder):
    """Rows for the losses that both have; means over the batch."""
    if keras.backend.backend() != "torch":
        sys.exit("against_references: --active-passive needs KERAS_BACKEND=torch")
    import torch

    # what the file wants of a configuration library is a decorator
    registry = types.SimpleNamespace(register=lambda cls: cls)
    sys.modules.setdefault("mlconfig", registry)
    theirs = load(folder, "loss.py")
    on_logits = {"from_logits": True}
    absolute = losses.MeanAbsoluteError(**on_logits)
    normalized = losses.NormalizedCrossEntropy(**on_logits)
    reverse = losses.ReverseCrossEntropy(**on_logits)
    generalized = losses.NormalizedGeneralizedCrossEntropy(0.7, **on_logits)

    def pair(active, passive, beta=1.0):
        return losses.ActivePassive(active, passive, 1.0, beta)

    pairs = {
        "GeneralizedCrossEntropy": (
            losses.GeneralizedCrossEntropy(0.7, **on_logits),
            theirs.GeneralizedCrossEntropy(CLASSES),
        ),
        "NormalizedCrossEntropy": (normalized, theirs.NormalizedCrossEntropy(CLASSES)),
        "NormalizedGeneralizedCrossEntropy": (
            generalized,
            theirs.NormalizedGeneralizedCrossEntropy(CLASSES),
        ),
        "ReverseCrossEntropy": (reverse, theirs.ReverseCrossEntropy(CLASSES)),
        "SymmetricCrossEntropy": (
            losses.SymmetricCrossEntropy(0.1, 1.0, **on_logits),
            theirs.SCELoss(0.1, 1.0, CLASSES),
        ),
        "ActivePassive, NCE and RCE": (
            pair(normalized, reverse),
            theirs.NCEandRCE(1.0, 1.0, CLASSES),
        ),
        "ActivePassive, NGCE and RCE": (
            pair(generalized, reverse),
            theirs.NGCEandRCE(1.0, 1.0, CLASSES),
        ),
        # theirs is half of the sum over classes
        "ActivePassive, NCE and MAE": (
            pair(normalized, absolute, beta=0.5),
            theirs.NCEandMAE(1.0, 1.0, CLASSES),
        ),
    }
    logits, ids = batch(2.0)

    def both(function):
        z = torch.tensor(logits, requires_grad=True)
        value = function(z)
        value.backward()
        return value.detach().numpy(), z.grad.numpy()

    ids = torch.tensor(ids)
    for name, (own, other) in pairs.items():
        yield difference(
            name,
            both(lambda z, loss=own: loss(ids, z)),
            both(lambda z, loss=other: loss(z, ids)),
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bi-tempered", help="checkout of google/bi-tempered-loss")
    parser.add_argument("--active-passive", help="checkout of Active-Passive-Losses")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument(
        "--smoke", action="store_true", help="nothing to be quick about"
    )
    options = parser.parse_args(argv)
    rows = []
    if options.bi_tempered:
        rows += bi_tempered(options.bi_tempered, options.iterations)
    if options.active_passive:
        rows += active_passive(options.active_passive)
    if not rows:
        print("against_references: no checkout was given, so nothing is compared")
        return 0
    print(f"{'largest difference / largest value':58s}{'value':>10s}{'gradient':>10s}")
    for row in rows:
        mark = "" if row["same"] else "  differs"
        print(f"{row['loss']:58s}{row['value']:10.1e}{row['gradient']:10.1e}{mark}")
    settings = {"iterations": options.iterations, "tolerance": TOLERANCE}
    record.write(options.json, "against_references", settings, rows)
    return 0 if all(row["same"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
