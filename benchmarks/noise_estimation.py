"""The noise estimated from noisy labels alone, against the truth and cleanlab.

    python benchmarks/noise_estimation.py --data-dir ../shared/data/tfds \
        --json benchmarks/results/noise_estimation.json

Labels of MNIST and CIFAR-10 are made wrong, a small network gives probabilities out
of fold, and every method sees the same of them. cleanlab is `pip install
"tfrobustloss[bench]"`. Its rate is that of its estimated joint (1 - trace); the share
that `num_label_issues` counts is printed too. `--cache DIR` keeps the probabilities.
"""

import argparse
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import record

from tfrobustloss import data
from tfrobustloss.data import estimate, noise
from tfrobustloss.experiments import cross_validation

NOISES = (("symmetric", 0.2), ("symmetric", 0.5), ("asymmetric", 0.4))
# network, images, folds, epochs: what two cores do in minutes
SETS = {"mnist": ("mlp2", 20_000, 5, 8), "cifar10": ("cnn4", 15_000, 3, 8)}
SMOKE = {"digits": ("mlp2", None, 2, 15)}


def labels_and_probabilities(name, settings, kind, rate, arguments):
    """Clean and noisy labels, and probabilities from networks that saw neither."""
    model, size, folds, epochs = settings
    train = data.load(name, "train", arguments.data_dir)
    order = np.random.default_rng(0).permutation(len(train.labels))
    chosen = np.sort(order[:size])
    clean = train.labels[chosen]
    lookalikes = {"digits": "mnist"}.get(name, name)
    drawn = (
        noise.symmetric(train.num_classes, rate)
        if kind == "symmetric"
        else noise.asymmetric(lookalikes, rate)
    )
    noisy = noise.corrupt(clean, drawn, seed=0)
    path = None
    if arguments.cache:
        parts = name, kind, rate, model, size, folds, epochs
        path = Path(arguments.cache) / f"{'_'.join(map(str, parts))}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as found:
                if np.array_equal(found["noisy"], noisy):
                    return clean, noisy, found["probabilities"]
    probabilities = cross_validation.out_of_fold_probabilities(
        train.images[chosen],
        noisy,
        train.num_classes,
        model=model,
        folds=folds,
        epochs=epochs,
    )
    if path is not None:
        np.savez(path, noisy=noisy, probabilities=probabilities)
    return clean, noisy, probabilities


def ours(method, noisy, probabilities):
    """Matrix, rate and flagged labels of one of our methods."""
    found = estimate.report(noisy, probabilities, method, resamples=20)
    rate = found.noise_rate.rate
    return found.transition_matrix, rate, found.wrong_labels.indices


def cleanlab(noisy, probabilities):
    """The same of cleanlab with its defaults, and its count of issues as a rate."""
    from cleanlab import count, filter

    _, matrix, _, joint = count.estimate_py_and_noise_matrices_from_probabilities(
        noisy, probabilities
    )
    rate = 1 - np.trace(joint) / joint.sum()
    issues = count.num_label_issues(noisy, probabilities) / len(noisy)
    flagged = np.flatnonzero(filter.find_label_issues(noisy, probabilities))
    return matrix.T, rate, flagged, issues


def measure(name, kind, rate, methods, clean, noisy, probabilities):
    """A row a method: errors of matrix and rate, precision and recall."""
    true = noise.realized_matrix(clean, noisy, probabilities.shape[1])
    true_rate, wrong = noise.realized_rate(clean, noisy), clean != noisy
    accuracy = float((probabilities.argmax(axis=1) == clean).mean())
    rows = []
    for method in methods:
        begin = time.perf_counter()
        if method == "cleanlab":
            matrix, found, flagged, issues = cleanlab(noisy, probabilities)
        else:
            matrix, found, flagged = ours(method, noisy, probabilities)
            issues = None
        hits = int(wrong[flagged].sum())
        rows.append(
            {
                "dataset": name,
                "noise": f"{kind}:{rate}",
                "realized_rate": true_rate,
                "accuracy_of_probabilities": accuracy,
                "method": method,
                "matrix_error": float(np.abs(matrix - true).mean()),
                "rate": float(found),
                "rate_error": float(abs(found - true_rate)),
                "issues_rate_error": issues and float(abs(issues - true_rate)),
                "flagged": len(flagged),
                "precision": hits / max(1, len(flagged)),
                "recall": hits / int(wrong.sum()),
                "seconds": round(time.perf_counter() - begin, 2),
            }
        )
    return rows


def missed(rows):
    """The bars that are not met, as sentences."""
    by_method = {(one["dataset"], one["noise"], one["method"]): one for one in rows}
    for (name, kind, method), theirs in by_method.items():
        if method != "cleanlab":
            continue
        own = by_method[name, kind, "likelihood"]
        for key in ("matrix_error", "rate_error"):
            if own[key] > theirs[key]:
                yield f"{name} {kind}: {key} {own[key]:.4f} > {theirs[key]:.4f}"


def table(rows):
    """The rows as text, one block a dataset and noise."""
    lines, last = [], None
    for one in rows:
        place = one["dataset"], one["noise"]
        if place != last:
            accuracy = 100 * one["accuracy_of_probabilities"]
            lines += [
                "",
                f"{place[0]} {place[1]}: {100 * one['realized_rate']:.1f} % wrong, "
                f"probabilities right for {accuracy:.1f} %",
                "method       matrix error  rate error  flagged  precision  recall",
            ]
            last = place
        issues = one["issues_rate_error"]
        lines.append(
            f"{one['method']:<12} {one['matrix_error']:12.4f} {one['rate_error']:11.4f}"
            f" {one['flagged']:8d} {one['precision']:10.3f} {one['recall']:7.3f}"
            + (f"  (num_label_issues: rate error {issues:.4f})" if issues else "")
        )
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", help="folder of prepared TFDS data")
    parser.add_argument("--cache", help="folder to keep the probabilities in")
    parser.add_argument("--smoke", action="store_true", help="digits, in seconds")
    parser.add_argument("--check", action="store_true", help="exit 1 on a missed bar")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args(argv)
    methods, version = estimate.METHODS, None
    try:
        version = metadata.version("cleanlab")
        methods = (*methods, "cleanlab")
    except metadata.PackageNotFoundError:
        print('cleanlab is missing: pip install "tfrobustloss[bench]"')
        if not arguments.smoke:
            return 2
    rows = []
    for name, settings in (SMOKE if arguments.smoke else SETS).items():
        for kind, rate in NOISES[:1] if arguments.smoke else NOISES:
            arrays = labels_and_probabilities(name, settings, kind, rate, arguments)
            rows += measure(name, kind, rate, methods, *arrays)
            print(table(rows[-len(methods) :]), flush=True)
    misses = list(missed(rows))
    for miss in misses:
        print(f"missed: {miss}")
    settings = {"sets": SMOKE if arguments.smoke else SETS, "cleanlab": version}
    record.write(arguments.json, "noise_estimation", settings, rows)
    return 1 if arguments.check and misses else 0


if __name__ == "__main__":
    sys.exit(main())
