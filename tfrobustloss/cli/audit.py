"""`tfrobustloss audit`: a page and a CSV file on the wrong labels of a user's data."""

import argparse
import datetime
import json
import os
import time
import warnings
from typing import Any

import numpy as np

from tfrobustloss._core.validation import ParameterError
from tfrobustloss.cli import console, cross_validation, own_data

_PAIRS = 20  # shown on the page
_OUTPUTS = ("output", "csv", "json")


def add_parser(commands: Any) -> None:
    """Adds the subcommand and its options to the subparsers `commands`."""
    parser = commands.add_parser(
        "audit",
        help="list the likely wrong labels of your data on a page and in a CSV file",
        description="Reads your own data, predicts each label by networks that never "
        "saw it, and writes one HTML page: how many labels are wrong, in which "
        "classes, which ones, and which losses suit. The CSV file of suspects can be "
        "edited and goes back in by --corrections.",
        allow_abbrev=False,
    )
    option = console.adder(parser)
    count: dict[str, Any] = {"type": int, "metavar": "N"}
    own_data.add_options(parser, option)
    option("output", "audit.html", "write the page there", metavar="FILE.html")
    text = "write all suspects there, to be edited and read by --corrections"
    option("csv", None, text, metavar="FILE.csv")
    text = "write rates, matrix and settings there"
    option("json", None, text, metavar="FILE.json")
    text = (
        "probabilities of your own model, which never saw these labels: an .npz file "
        "of `probabilities`, `ids` and `class_names`, or a table with a column id and "
        "one a class, matched by id or file name; or an .npy file in the order of "
        "`ids` and `class_names` of tfrobustloss.data.read(PATH) (default: by "
        "cross-validation)"
    )
    option("probabilities", None, text, metavar="FILE")
    text = (
        "labels of several annotators: a .csv, .tsv or .parquet table with the columns "
        "example (ids of the data), annotator and label; the page tells who is at odds "
        "with the rest"
    )
    option("annotations", None, text, metavar="TABLE")
    option("method", "likelihood", "likelihood, confident, anchor or percentile")
    cross_validation.add_options(option)
    option("resamples", 100, "resampled sets behind the intervals", **count)
    option("seed", 0, "of folds, weights and resampling", **count)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Reads, estimates, and writes the files; nothing is written after Ctrl-C.

    Args:
        arguments: Parsed options.

    Returns:
        Exit code 0.
    """
    from tfrobustloss import data, plots
    from tfrobustloss._core import files
    from tfrobustloss.cli import audit_annotators, audit_report

    start = time.perf_counter()
    if arguments.data is None:
        hint = "For labels in .npy files there is `tfrobustloss estimate`."
        raise ParameterError("audit", "data", None, "given", hint)
    _check_outputs(arguments)
    options = {"resamples": arguments.resamples, "seed": arguments.seed}
    options["top"] = _PAIRS
    data.estimate.check_options("audit", arguments.method, **options)
    with warnings.catch_warnings():  # the notes are printed below and on the page
        warnings.filterwarnings("ignore", "read: ", UserWarning)
        own = own_data.read("audit", arguments)
    _check_folds(own, arguments)
    annotators = audit_annotators.read(own, arguments)
    probabilities = None
    if arguments.probabilities is not None:
        probabilities = data.read_probabilities(arguments.probabilities, own)
    print(audit_report.introduction(own, arguments), flush=True)
    if probabilities is None:
        probabilities = cross_validation.probabilities(
            own.inputs, own.labels, own.num_classes, arguments
        )
    names = own.class_names
    report = data.estimate.report(
        own.labels, probabilities, arguments.method, class_names=names, **options
    )
    suspects, trusted = audit_report.split_trusted(report, own)
    if arguments.csv is not None:
        data.write_corrections(
            arguments.csv, *audit_report.corrections(suspects, own, arguments)
        )
    seconds = time.perf_counter() - start
    settings = audit_report.settings(own, arguments, seconds)
    created = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    page = plots.audit_page(
        suspects,
        names,
        audit_report.findings(suspects, own),
        source=own.source,
        created=created,
        facts=audit_report.facts(own, trusted) | annotators.facts(),
        notes=own.notes,
        next_steps=audit_report.next_step(arguments),
        code=audit_report.code(suspects, own, arguments),
        annotators=annotators.reports,
        settings=settings,
    )
    files.write(arguments.output, page.encode())
    if arguments.json is not None:
        record = json.loads(suspects.to_json())
        record |= {"class_names": list(names), "created": created}
        record |= {"data": own.description(), "settings": settings}
        if annotators.reports:
            record["annotators"] = annotators.records()
        text = json.dumps(record, indent=1, allow_nan=False) + "\n"
        files.write(arguments.json, text.encode())
    print(audit_report.summary(suspects, own, trusted), flush=True)
    print(annotators.summary(), end="", flush=True)
    for name in _OUTPUTS:
        path = getattr(arguments, name)
        if path is not None:
            print(f"Wrote {path} ({os.path.getsize(path) / 1e6:.2f} MB)")
    print(audit_report.next_step(arguments))
    return 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raises if an output cannot be written, or would overwrite what is precious."""
    outputs = {name: getattr(arguments, name) for name in _OUTPUTS}
    others = ("probabilities", "annotations")
    read = own_data.paths(arguments)
    read += [(f"--{name}", getattr(arguments, name)) for name in others]
    console.check_outputs("audit", outputs, read)
    folder = os.path.realpath(arguments.data)
    for name, path in outputs.items():
        inside = path and os.path.realpath(path).startswith(folder + os.sep)
        if inside:
            constraint = f"outside {arguments.data}, into which nothing is written"
            raise ParameterError("audit", name, path, constraint)
    if arguments.csv is None or not os.path.isfile(arguments.csv):
        return
    from tfrobustloss import data

    try:
        edited = len(data.read_corrections(arguments.csv))
    except (ValueError, OSError):  # no file of corrections, so none that was edited
        return
    if edited:
        constraint = f"another file: this one holds {edited} labels put in by hand"
        hint = "Apply them by --corrections and write the new list elsewhere."
        raise ParameterError("audit", "csv", arguments.csv, constraint, hint)


def _check_folds(own: Any, arguments: argparse.Namespace) -> None:
    """Raises if no other part of the cross-validation has a class of a part."""
    if arguments.probabilities is not None:
        return
    counts = np.bincount(own.labels, minlength=own.num_classes)
    alone = np.flatnonzero(counts == 1)
    if alone.size:
        name = own.class_names[alone[0]]
        constraint = f"of classes with two labels or more; {name!r} has one"
        hint = (
            "The network that judges it has never seen the class. Merge such classes, "
            "or leave them out."
        )
        raise ParameterError("audit", "data", arguments.data, constraint, hint)
