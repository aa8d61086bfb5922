"""`tfrobustloss search`: options, progress, the loss that was found, files."""

import argparse
import dataclasses
import json
import os
from typing import Any

from tfrobustloss._core import noisy_accuracy
from tfrobustloss.cli import console, own_data

_RATE_FACTORS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4)
_CHOOSING_SEEDS = range(600_000, 600_003)
_TEST_SEEDS = range(700_000, 700_005)


def add_parser(commands: Any) -> None:
    """Adds the subcommand and its options to the subparsers `commands`."""
    parser = commands.add_parser(
        "search",
        help="look for a loss of your own that resists wrong labels",
        description="Looks by CMA-ES for the Taylor loss with which a network learns "
        "best from wrong labels, judged by examples split from the train split, whose "
        "labels may be as wrong as the others (--validation noisy, and --data); a test "
        "split is used at the end only, to report. Every candidate is on disk "
        "once it is known: after Ctrl-C, the same command goes on. Seeds below 1000, "
        "which `compare` uses, are never used here.",
        allow_abbrev=False,
    )

    option = console.adder(parser)
    count: dict[str, Any] = {"type": int, "metavar": "N"}
    own_data.add_options(parser, option)
    option("dataset", "digits", "digits or image sets of TFDS, comma-separated")
    option("data_dir", None, "folder of prepared TFDS data", metavar="DIR")
    text = "none, symmetric:R, pair:R or asymmetric:R, R in [0, 1]"
    option("noise", None, f"{text} (default: symmetric:0.6; none with --data)")
    option("model", "mlp2", "mlp2, mlp3, cnn4, comma-separated")
    option("generations", 30, "generations of candidates", **count)
    option("population_size", 12, "candidates a generation", **count)
    text = "first standard deviation of the candidates"
    option("sigma0", 0.7, text, type=float, metavar="S")
    text = "canonical (6 numbers), 12 or 16, the forms of the paper"
    option("form", "canonical", text)
    text = "gce, mae, ce, zeros, a preset or comma-separated numbers"
    option("start", "gce", text)
    text = (
        "length of a training; has to be long enough for cross-entropy to memorise "
        "the wrong labels"
    )
    option("epochs", 100, text, **count)
    option("batch_size", 128, "images a step", **count)
    text = "of SGD; comma-separated for candidates trained with each"
    option("learning_rate", "0.1", text, metavar="RATE")
    option("momentum", 0.9, "of SGD", type=float, metavar="RATE")
    text = "initial weights that each candidate is trained from"
    option("seeds", 2, text, **count)
    option("train_size", None, "number of training images (default: the rest)", **count)
    text = (
        "number of examples split from the train split to judge by (default: a quarter "
        "of it, at most 2000 with clean labels and 20,000 with noisy ones)"
    )
    option("validation_size", None, text, **count)
    text = (
        "labels to judge by: clean, or noisy for as wrong as the others (default: "
        "clean; noisy with --data, unless --trusted names clean ones)"
    )
    option("validation", None, text)
    text = (
        "noise matrix that corrects accuracy on noisy labels: estimated, none, or a "
        ".json file with `transition_matrix` (default: estimated with --data)"
    )
    option("matrix", None, text, metavar="MATRIX")
    option("seed", 0, "of the candidates", **count)
    text = "write the loss there (default: named after dataset, noise and model)"
    option("output", None, text, metavar="FILE.json")
    text = "keep every candidate there (default: beside the output)"
    option("journal", None, text, metavar="FILE.jsonl")
    option("plot", None, "draw progress and loss there", metavar="FILE.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Searches, or continues a search; Ctrl-C loses no candidate that was scored.

    Args:
        arguments: Parsed options.

    Returns:
        Exit code: 0, or 130 after Ctrl-C.
    """
    from tfrobustloss import plots
    from tfrobustloss._core import files
    from tfrobustloss.cli import search_report
    from tfrobustloss.search.taylor import record
    from tfrobustloss.search.tuner import roles

    output, journal = _paths(arguments)
    console.check_outputs(
        "search",
        {"output": output, "journal": journal, "plot": arguments.plot},
        [
            ("the settings of the journal", record.settings_path(journal)),
            ("that of --start", _file(arguments.start)),
            *own_data.paths(arguments),
        ],
    )
    search = _prepare(arguments, journal)
    if roles.role() == "worker":
        search.run()
        print("The search is over; the chief has what was found.")
        return 0
    print(search_report.introduction(search), flush=True)
    try:
        candidates = search_report.candidates(search)
        with console.progress(candidates, "compiling") as progress:
            reporter = search_report.Reporter(progress)
            search.run(reporter.on_generation, reporter.on_candidate)
        print("Scoring the best candidates with fresh seeds ...", flush=True)
        found = search.best()
        search.save_preset(output)
        if arguments.plot is not None:
            classes = search.tasks[0].num_classes
            picture = plots.search_progress(
                search.history(), found["theta"], classes, arguments.plot
            )
            files.write(arguments.plot, picture)
        print(search_report.found(found, output), flush=True)
        for task in search.tasks:
            rows = beside_others(task, found["theta"], search)
            print(search_report.table(task, rows, search), flush=True)
    except KeyboardInterrupt:
        print(search_report.interrupted(search, journal), flush=True)
        return 130
    finally:
        search.close()
    print(search_report.use(search, found["theta"], arguments), flush=True)
    return 0


def _prepare(arguments: argparse.Namespace, journal: str) -> Any:
    from tfrobustloss.experiments import make_tasks
    from tfrobustloss.search import TaylorLossSearch

    own = own_data.read("search", arguments)
    validation = arguments.validation
    if validation is None:
        noisy = own is not None and own.trusted is None
        validation = "noisy" if noisy else "clean"
    tasks = make_tasks(
        _list(arguments.dataset) if own is None else own,
        _list(arguments.model),
        noise=_noise(arguments),
        data_dir=arguments.data_dir,
        train_size=arguments.train_size,
        validation_size=arguments.validation_size,
        validation=validation,
    )
    matrix = own_data.matrix("search", arguments.matrix)
    if matrix is None and own is not None and validation == "noisy":
        matrix = "estimated"
    if matrix not in (None, "none"):
        known = _recorded_matrices(journal) if matrix == "estimated" else None
        if known is not None and len(known) == len(tasks):
            tasks = [
                dataclasses.replace(task, validation_matrix=one)
                for task, one in zip(tasks, known, strict=True)
            ]
        else:
            tasks = [_judged_by(task, matrix) for task in tasks]
    return TaylorLossSearch(
        tasks,
        generations=arguments.generations,
        form=arguments.form,
        start=_start(arguments.start),
        sigma0=arguments.sigma0,
        population_size=arguments.population_size,
        seeds_per_candidate=arguments.seeds,
        learning_rates=_numbers("learning_rate", arguments.learning_rate),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        momentum=arguments.momentum,
        seed=arguments.seed,
        journal=journal,
    )


def _noise(arguments: argparse.Namespace) -> str:
    if arguments.noise is not None:
        return arguments.noise
    return "none" if arguments.data else "symmetric:0.6"


def _recorded_matrices(journal: str) -> list[Any] | None:
    """The matrices of the search that a journal is of; None for a new journal.

    Estimated again, they could differ in their last digits, and so from the settings
    that the journal was begun with.
    """
    from tfrobustloss.search.taylor import record

    try:
        with open(record.settings_path(journal), encoding="utf-8") as file:
            return [task.get("validation_matrix") for task in json.load(file)["tasks"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # `TaylorLossSearch` says what is wrong with them


def _judged_by(task: Any, matrix: Any) -> Any:
    """A task with a matrix given or estimated, plain where it cannot be inverted."""
    from tfrobustloss.experiments import estimate_noise, prepare

    if isinstance(matrix, str):
        prepared = prepare(dataclasses.replace(task, validation_size=0))
        inputs, labels = prepared.train([0])
        print("Estimating the noise by cross-validation ...", flush=True)
        report = estimate_noise(
            inputs, labels[:, 0], prepared.num_classes, task.architecture
        )
        matrix = report.transition_matrix
        try:
            noisy_accuracy.values_of_pairs("search", matrix)
        except ValueError as error:
            print(f"Judged by plain noisy accuracy: {error}", flush=True)
            return task
    return dataclasses.replace(task, validation_matrix=matrix)


def beside_others(task: Any, theta: Any, search: Any) -> list[dict[str, Any]]:
    """Test accuracy of the loss that was found, and of CE, GCE and MAE.

    All use fresh seeds. Each loss is trained to the last epoch, at the learning rate of
    the search and at the one of several that is best on the validation data; and it is
    stopped by noisy labels, which also choose its rate.

    Args:
        task: A prepared task of the search.
        theta: Parameters of the `TaylorLoss` that was found.
        search: A `TaylorLossSearch`.

    Returns:
        List of a dict per loss: `loss`, `rate`, and `given` and `own`, arrays of the
        accuracy per seed at the last epoch; `stopped`, an `experiments.Stopped`; and
        `against`, its `selection.Verdict` next to cross-entropy, stopped.
    """
    from tfrobustloss import losses
    from tfrobustloss.cli.search_report import BASELINE
    from tfrobustloss.experiments import learning_rates, selection, stopped_losses

    rivals = {
        "found": losses.TaylorLoss(theta, from_logits=True),
        BASELINE: losses.CrossEntropy(from_logits=True),
        "generalized_cross_entropy": losses.GeneralizedCrossEntropy(from_logits=True),
        "mean_absolute_error": losses.MeanAbsoluteError(from_logits=True),
    }
    entrants, given = list(rivals.values()), search.settings["learning_rates"][0]
    rates = [given * factor for factor in _RATE_FACTORS]
    chosen = learning_rates.best_rates(
        learning_rates.score_losses(
            task, entrants, _CHOOSING_SEEDS, rates, **search.training
        ),
        rates,
    )
    split = "validation" if task.test is None else "test"
    accuracy = learning_rates.score_losses(
        task,
        entrants,
        _TEST_SEEDS,
        [[given, rate] for rate in chosen],
        split,
        **search.training,
    )
    stopped = stopped_losses(task, rivals, _TEST_SEEDS, rates, **search.training)
    verdicts = selection.compare_to_best(
        {name: one.worth for name, one in stopped.items()}, BASELINE
    )
    return [
        {
            "loss": name,
            "rate": rate,
            "given": both[0],
            "own": both[1],
            "stopped": stopped[name],
            "against": verdicts[name],
        }
        for name, rate, both in zip(rivals, chosen, accuracy, strict=True)
    ]


def _paths(arguments: argparse.Namespace) -> tuple[str, str]:
    """Paths of the preset and of the journal."""
    output = arguments.output
    if output is None:
        source = arguments.dataset
        if arguments.data is not None:
            source = os.path.basename(os.path.normpath(arguments.data))
        parts = [source, _noise(arguments), arguments.model]
        name = "-".join(["taylor", *parts])
        output = "".join(c if c.isalnum() or c in ".-_" else "-" for c in name)
        output += ".json"
    journal = arguments.journal or f"{os.path.splitext(output)[0]}.jsonl"
    return output, journal


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _start(text: str) -> list[float] | str:
    """The numbers of a start that is a vector, else the text."""
    try:
        return [float(part) for part in text.strip("[]").split(",")]
    except ValueError:
        return text


def _file(text: str) -> str | None:
    """The text if it is the path of a file, else None."""
    return text if os.path.isfile(text) else None


def _numbers(name: str, text: str) -> list[float]:
    from tfrobustloss._core.validation import ParameterError

    try:
        numbers = [float(part) for part in _list(text)]
    except ValueError:
        numbers = []
    if not numbers:
        constraint = "a number, or several with commas between"
        raise ParameterError("search", name, text, constraint)
    return numbers
