"""Texts and rows of `tfrobustloss audit`: terminal, settings, code, suspects."""

import argparse
import dataclasses
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfrobustloss._core import provenance
from tfrobustloss.cli import console, cross_validation, own_data

_MOST_ROWS = 12  # of the table that is printed, and of a matrix in code
_CELLS = 12


def introduction(own: Any, arguments: argparse.Namespace) -> str:
    """Lines that name the data and the settings of an audit."""
    shape = " x ".join(map(str, own.input_shape))
    classes = "class" if own.num_classes == 1 else "classes"
    what = "features" if own.kind == "features" else f"{shape} pixels"
    what = f"{shape} {what}" if own.kind == "features" else what
    lines = [
        f"{plain(own.source)}: {len(own)} examples of {own.num_classes} {classes}, "
        f"{what}"
    ]
    if own.num_corrected or own.num_dropped:
        dropped = f", {own.num_dropped} left out" if own.num_dropped else ""
        lines.append(f"{own.num_corrected} labels corrected{dropped}")
    lines += [f"Note: {plain(note)}" for note in own.notes]
    if arguments.probabilities is not None:
        lines.append(f"Probabilities of {plain(arguments.probabilities)}")
    else:
        lines.append(cross_validation.description(arguments))
    return "\n".join([*lines, ""])


def split_trusted(report: Any, own: Any) -> tuple[Any, tuple[int, int] | None]:
    """The report without suspects among the trusted examples, whose labels are right.

    Args:
        report: `data.estimate.Report`.
        own: `LabelledData`.

    Returns:
        Report, and the numbers of trusted examples that were suspects and of all
        trusted examples; None without trusted ones.
    """
    if own.trusted is None or not len(own.trusted):
        return report, None
    found = report.wrong_labels
    kept = ~np.isin(found.indices, own.trusted)
    columns = {
        field.name: getattr(found, field.name)[kept]
        for field in dataclasses.fields(found)
    }
    without = dataclasses.replace(found, **columns)
    report = dataclasses.replace(report, wrong_labels=without)
    return report, (int((~kept).sum()), len(own.trusted))


def findings(report: Any, own: Any) -> Iterator[Any]:
    """The suspects for the page, in the order in which they get a place there.

    Args:
        report: `data.estimate.Report`.
        own: `LabelledData`.

    Yields:
        `plots.Finding`, with a thumbnail or the cells of the example.
    """
    from tfrobustloss import plots

    found = report.wrong_labels
    for place in plots.priority(found.labels):
        index = int(found.indices[place])
        picture, cells = None, own.row(index)
        if own.kind == "images":
            picture = plots.thumbnail(own.inputs[index])
        elif not cells:
            values = np.asarray(own.inputs[index])[:_CELLS].tolist()
            names = own.feature_names or [f"feature {i}" for i in range(len(values))]
            cells = dict(zip(names, values, strict=False))
        yield plots.Finding(
            str(own.ids[index]),
            int(found.labels[place]),
            int(found.suggested[place]),
            float(found.probability[place]),
            picture,
            cells,
        )


def facts(own: Any, trusted: tuple[int, int] | None) -> dict[str, str]:
    """Further lines of the summary of the page."""
    lines = {}
    if own.num_corrected:
        lines["Labels corrected before"] = str(own.num_corrected)
    if own.num_dropped:
        lines["Examples left out"] = str(own.num_dropped)
    if trusted is not None:
        lines["False alarms"] = _false_alarms(trusted)
    return lines


def _false_alarms(trusted: tuple[int, int]) -> str:
    alarms, total = trusted
    return (
        f"{alarms} of {total} trusted labels looked wrong "
        f"({console.percent(alarms / total)}); they are not listed"
    )


def settings(own: Any, arguments: argparse.Namespace, seconds: float) -> dict[str, str]:
    """Settings of the run, with versions, as texts."""
    found = {"data": arguments.data}
    reading = own_data.reading_options("audit", arguments)
    found |= {name: str(value) for name, value in reading.items()}
    if own.test is not None:
        found["test"] = f"{len(own.test)} examples, which are not audited"
    names = ["method", "resamples", "seed"]
    if arguments.probabilities is None:
        names += cross_validation.NAMES
    else:
        names += ["probabilities"]
    if arguments.annotations is not None:
        names += ["annotations"]
    found |= {name: str(getattr(arguments, name)) for name in names}
    found["digest of the data"] = own.digest
    found["seconds"] = f"{seconds:.0f}"
    versions = provenance.versions().items()
    found["versions"] = ", ".join(f"{name} {version}" for name, version in versions)
    return found


def next_step(arguments: argparse.Namespace) -> str:
    """The command that reads the corrected labels."""
    if arguments.csv is None:
        return "Next: run it again with --csv wrong.csv for a list that can be edited."
    words = ["tfrobustloss", "compare", "--data", arguments.data]
    reading = own_data.reading_options("audit", arguments)
    for name in reading:
        words.append(f"--{name.replace('_', '-')}")
        if name != "drop_unlabelled":
            words.append(str(getattr(arguments, name)))
    if "corrections" in reading:
        words[words.index("--corrections") + 1] = arguments.csv
    else:
        words += ["--corrections", arguments.csv]
    return (
        f"Next: edit {arguments.csv} (the right label, or (drop), in its column "
        f"`label`), then {shlex.join(words)}"
    )


def corrections(
    report: Any, own: Any, arguments: argparse.Namespace
) -> tuple[list[str], list[str], list[str], list[float], list[str]]:
    """The columns of the CSV file: suspects, and corrections made before.

    The file replaces that of `--corrections`, since only one can be given. So the
    labels put in there are in the new file too, next to the labels of the data.

    Args:
        report: `data.estimate.Report`.
        own: `LabelledData`.
        arguments: Parsed options.

    Returns:
        Lists of ids, given labels, likelier labels, confidences and labels.
    """
    from tfrobustloss import data

    found = report.wrong_labels
    ids = own.ids[found.indices].tolist()
    given = own.names_of(found.labels).tolist()
    likelier = own.names_of(found.suggested).tolist()
    confidence = found.probability.tolist()
    labels = [""] * len(ids)
    if arguments.corrections is not None:
        places = {id: place for place, id in enumerate(ids)}
        for one in data.read_corrections(arguments.corrections):
            place = places.get(one.id)
            if place is None:
                ids.append(one.id)
                given.append(one.given)
                likelier.append("")
                confidence.append(0.0)
                labels.append(one.label)
            else:
                given[place], labels[place] = one.given, one.label
    return ids, given, likelier, confidence, labels


def code(report: Any, own: Any, arguments: argparse.Namespace) -> str:
    """Python code that trains with the first recommended loss and stops.

    Args:
        report: `data.estimate.Report`.
        own: `LabelledData`.
        arguments: Parsed options.
    """
    chosen = report.recommendations[0]
    reading = own_data.reading_options("audit", arguments)
    reading.pop("test", None)
    options = "".join(f", {name}={value!r}" for name, value in reading.items())
    matrix = _stochastic(report.transition_matrix)
    corrects = not report.warnings and _invertible(matrix)
    needed = corrects or "transition_matrix" in chosen["settings"]
    lines = [
        "import json" if needed and len(matrix) > _MOST_ROWS else "",
        "import keras",
        "from tfrobustloss import data, losses, training",
        "",
        f"own = data.read({arguments.data!r}{options})",
        "inputs = own.inputs",
    ]
    if own.kind == "images":
        lines[-1] = 'inputs = own.inputs.astype("float32") / 255  # as your model wants'
    lines.append("train, validation = data.split_validation(own.labels)")
    if needed:
        lines += _matrix_code(matrix, arguments)
    settings = [
        f"{name}={'matrix' if name == 'transition_matrix' else repr(value)}"
        for name, value in chosen["settings"].items()
    ]
    arguments_of_loss = ", ".join([*settings, "from_logits=True"])
    lines += [
        f"loss = losses.{chosen['loss']}({arguments_of_loss})",
        "model.compile(keras.optimizers.Adam(), loss)  # a model that ends in logits",
        "stop = training.StopOnNoisyValidation(" + ("matrix)" if corrects else ")"),
        "model.fit(",
        "    inputs[train], own.labels[train], epochs=50,",
        "    validation_data=(inputs[validation], own.labels[validation]),",
        "    callbacks=[stop],",
        ")",
    ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _matrix_code(matrix: np.ndarray, arguments: argparse.Namespace) -> list[str]:
    if len(matrix) > _MOST_ROWS:
        path = arguments.json or "audit.json"
        lines = [f"with open({path!r}) as file:  # written by --json {path}"]
        return [*lines, '    matrix = json.load(file)["transition_matrix"]']
    rows = [", ".join(f"{value:.4f}" for value in row) for row in matrix]
    return ["matrix = [", *(f"    [{row}]," for row in rows), "]"]


def _stochastic(matrix: np.ndarray) -> np.ndarray:
    """The matrix in four digits, its rows summing to 1."""
    rounded = matrix.round(4)
    largest = rounded.argmax(axis=1)
    rounded[np.arange(len(matrix)), largest] += 1 - rounded.sum(axis=1)
    return rounded.round(4)


def _invertible(matrix: np.ndarray) -> bool:
    from tfrobustloss import training

    try:
        training.StopOnNoisyValidation(matrix)
    except ValueError:
        return False
    return True


def summary(report: Any, own: Any, trusted: tuple[int, int] | None) -> str:
    """The rate, the labels with the most wrong ones, confused pairs and losses."""
    rate = report.noise_rate
    names = [plain(name) for name in own.class_names]
    suspects = np.bincount(report.wrong_labels.labels, minlength=len(names))
    by_number = sorted(report.class_rates, key=lambda one: -one.count * one.wrong.rate)
    rows = [("label", "examples", "wrong, %", "interval", "suspects", "mostly")]
    for one in by_number[:_MOST_ROWS]:
        mine = report.wrong_labels.labels == one.label
        likelier = np.bincount(report.wrong_labels.suggested[mine], minlength=1)
        interval = f"{100 * one.wrong.low:.1f} to {100 * one.wrong.high:.1f}"
        rows.append(
            (
                names[one.label],
                str(one.count),
                f"{100 * one.wrong.rate:.1f}",
                interval,
                str(suspects[one.label]),
                names[likelier.argmax()] if likelier.any() else "-",
            )
        )
    title = (
        f"Wrong labels: {console.percent(rate.rate)}, {100 * rate.confidence:g} % "
        f"interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %"
    )
    left = len(by_number) - _MOST_ROWS
    notes = [f"{console.count(left, 'further label')} with fewer"] if left > 0 else []
    found = len(report.wrong_labels.indices)
    notes.append(f"{found} labels are more likely wrong than right.")
    if trusted is not None:
        notes.append(f"False alarms: {_false_alarms(trusted)}.")
    notes += [f"Note: {plain(warning)}" for warning in report.warnings]
    lines = [console.table(title, rows, notes), "", "Losses that suit:"]
    for one in report.recommendations:
        options = ", ".join(f"{key}={value}" for key, value in one["settings"].items())
        lines.append(f"  {one['loss']}({options})")
    return "\n".join([*lines, ""])


def plain(text: str) -> str:
    """Text of a user without characters that would steer a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
