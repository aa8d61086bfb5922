"""`tfrobustloss estimate`: the noise of labels, and the losses that suit it."""

import argparse
from typing import Any

from tfrobustloss.cli import console, cross_validation, own_data


def add_parser(commands: Any) -> None:
    """Adds the subcommand and its options to the subparsers `commands`."""
    parser = commands.add_parser(
        "estimate",
        help="tell how many labels are wrong, which ones, and which losses suit",
        description="Estimates the noise of labels from the probabilities of a model "
        "that never saw them. Give your own labels with probabilities or with "
        "features, from which a small network makes the probabilities by "
        "cross-validation; with neither, a dataset's labels are made wrong, and the "
        "truth is shown beside the estimate.",
        allow_abbrev=False,
    )

    option = console.adder(parser)
    count: dict[str, Any] = {"type": int, "metavar": "N"}
    array: dict[str, Any] = {"metavar": "FILE.npy"}
    own_data.add_options(parser, option)
    option("labels", None, "class ids or one-hot rows, some of them wrong", **array)
    text = (
        "probabilities of a model that never saw these labels, (examples, classes); "
        "with --data also a file with ids, as for audit"
    )
    option("probabilities", None, text, metavar="FILE")
    option("features", None, "images or rows of numbers, (examples, ...)", **array)
    option("dataset", "digits", "without --labels: digits or an image set of TFDS")
    option("data_dir", None, "folder of prepared TFDS data", metavar="DIR")
    text = "without --labels: none, symmetric:R, pair:R or asymmetric:R, R in [0, 1]"
    option("noise", "symmetric:0.4", text)
    option("train_size", None, "number of the dataset's images (default: all)", **count)
    text = "likelihood, confident, anchor or percentile"
    option("method", "likelihood", text)
    cross_validation.add_options(option)
    option("resamples", 100, "resampled sets behind the interval", **count)
    option("seed", 0, "of wrong labels, folds, weights and resampling", **count)
    option("top", 5, "confused pairs that are shown", **count)
    option("output", None, "write the report there", metavar="FILE.json")
    option("csv", None, "write the likeliest wrong labels there", metavar="FILE.csv")
    option("plot", None, "draw the transition matrix there", metavar="FILE.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Estimates, prints the report, and writes the files.

    Args:
        arguments: Parsed options.

    Returns:
        Exit code 0.
    """
    from tfrobustloss import data, plots
    from tfrobustloss._core import files
    from tfrobustloss.cli import estimate_data, estimate_report

    written = {name: getattr(arguments, name) for name in ("output", "csv", "plot")}
    inputs = ("labels", "probabilities", "features")
    read = [(f"--{name}", getattr(arguments, name)) for name in inputs]
    read += own_data.paths(arguments)
    console.check_outputs("estimate", written, read)
    options = {"resamples": arguments.resamples, "seed": arguments.seed}
    options["top"] = arguments.top
    data.estimate.check_options("estimate", arguments.method, **options)
    given = estimate_data.read(arguments)
    print(estimate_report.introduction(given, arguments), flush=True)
    probabilities = given.probabilities
    if probabilities is None:
        probabilities = cross_validation.probabilities(
            given.features, given.labels, given.num_classes, arguments
        )
    report = data.estimate.report(
        given.labels,
        probabilities,
        arguments.method,
        class_names=given.class_names,
        **options,
    )
    print(estimate_report.text(report, given), flush=True)
    if arguments.output is not None:
        files.write(arguments.output, report.to_json().encode())
    if arguments.csv is not None:
        files.write(arguments.csv, report.wrong_labels.to_csv().encode())
    if arguments.plot is not None:
        picture = plots.transition_matrix(
            report.transition_matrix, given.class_names, arguments.plot
        )
        files.write(arguments.plot, picture)
    return 0
