"""`tfrobustloss compare`: options, progress, table, files."""

import argparse
import dataclasses
from typing import Any

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.cli import console, own_data


def add_parser(commands: Any) -> None:
    """Adds the subcommand and its options to the subparsers `commands`."""
    from tfrobustloss.experiments import Settings

    parser = commands.add_parser(
        "compare",
        help="find the loss that suits wrong labels, without clean ones",
        description="Trains a small network per loss and seed on wrong labels: your "
        "own, or a dataset's with added noise. At a seed, every loss gets the same "
        "initial weights, wrong labels and order of batches. Learning rates and epochs "
        "are chosen on noisy labels that are held out; a clean test set is looked at "
        "for the table alone.",
        allow_abbrev=False,
    )
    defaults = Settings()

    add = console.adder(parser)

    def option(name: str, text: str, **options: Any) -> None:
        add(name, getattr(defaults, name, None), text, **options)

    own_data.add_options(parser, add)
    option("dataset", "digits, mnist, kmnist_10k, cifar10 or another image set of TFDS")
    option("data_dir", "folder of prepared TFDS data", metavar="DIR")
    text = "none, symmetric:R, pair:R or asymmetric:R, R in [0, 1]"
    add("noise", None, f"{text} (default: {defaults.noise}; none with --data)")
    option("losses", "comma-separated name or name:key=value:key=value; or all")
    option("model", "mlp2, mlp3 or cnn4")
    option("epochs", "times every training image is seen", type=int, metavar="N")
    option("batch_size", "images a step", type=int, metavar="N")
    option("optimizer", "name of a Keras optimizer, such as sgd or adam")
    option(
        "learning_rate",
        "the same for every loss (default: the best of --learning-rates)",
        type=float,
        metavar="RATE",
    )
    text = (
        "comma-separated rates of which each loss gets its best (default: .3, 1 and 3 "
        "times Keras' own, 0.001 for adam, 0.01 for sgd)"
    )
    add("learning_rates", None, text, metavar="RATES")
    option("momentum", "default: 0.9 for sgd", type=float, metavar="RATE")
    option("seeds", "how many times each loss is trained", type=int, metavar="N")
    option(
        "train_size", "number of training images (default: all)", type=int, metavar="N"
    )
    text = "share of the training examples held out to choose by their noisy labels"
    option("validation_share", text, type=float, metavar="SHARE")
    text = (
        "noise matrix that corrects accuracy on noisy labels: estimated, none, or a "
        ".json file with `transition_matrix`, as of `tfrobustloss estimate --output` "
        "(default: estimated with --data, else none)"
    )
    add("matrix", None, text, metavar="MATRIX")
    option("output", "write everything there as JSON", metavar="FILE.json")
    option("plot", "draw the accuracy per epoch there", metavar="FILE.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compares the losses; prints and writes the results so far even after Ctrl-C.

    Args:
        arguments: Parsed options.

    Returns:
        Exit code: 0, or 130 after Ctrl-C.
    """
    from tfrobustloss.cli import compare_report
    from tfrobustloss.experiments import comparison

    outputs = {"output": arguments.output, "plot": arguments.plot}
    console.check_outputs("compare", outputs, own_data.paths(arguments))
    names = [field.name for field in dataclasses.fields(comparison.Settings)]
    values = {name: getattr(arguments, name) for name in names}
    own = own_data.read("compare", arguments)
    values["dataset"] = arguments.dataset if own is None else own
    if values["noise"] is None:
        values["noise"] = "none" if own is not None else comparison.Settings().noise
    values["learning_rates"] = _rates(arguments.learning_rates)
    values["matrix"] = own_data.matrix("compare", arguments.matrix)
    settings = comparison.Settings(**values)
    prepared = comparison.Comparison(settings)
    print(compare_report.introduction(prepared.record), flush=True)
    try:
        with console.progress(compare_report.steps(prepared)) as progress:
            reporter = compare_report.Reporter(prepared, progress)
            prepared.run(reporter.on_epoch, reporter.on_result)
    finally:  # an error does not lose the results so far
        _finish(arguments, prepared.record)
    return 130 if prepared.record["interrupted"] else 0


def _rates(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        constraint = "numbers, comma-separated"
        raise ParameterError("compare", "learning_rates", text, constraint) from None


def _finish(arguments: argparse.Namespace, record: dict[str, Any]) -> None:
    from tfrobustloss import plots
    from tfrobustloss._core import files
    from tfrobustloss.cli import compare_report
    from tfrobustloss.experiments import comparison

    try:
        if arguments.output is not None:
            comparison.write(record, arguments.output)
        if arguments.plot is not None and record["results"]:
            files.write(arguments.plot, plots.accuracy_curves(record, arguments.plot))
    finally:  # a full disk must not cost the table
        print(compare_report.table(record), flush=True)
        if record["own_data"] is not None:
            print(compare_report.recommendation(record), flush=True)
