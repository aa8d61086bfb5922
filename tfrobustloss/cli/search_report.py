"""Texts that `tfrobustloss search` prints."""

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrobustloss.cli import console

BASELINE = "cross_entropy"


def introduction(search: Any) -> str:
    """The data, the training and the search that follow."""
    settings, lines = search.settings, []
    for task in search.tasks:
        one = task.description
        wrong = ""
        if task.matrix is not None:
            rate = console.percent(task.realized_rate(search.seeds["first"]))
            wrong = f", {rate} of their labels wrong ({one['noise']})"
        lines.append(
            f"{one['dataset']}: {one['train_size']} training examples{wrong}; "
            f"{one['validation_size']} validation examples with "
            f"{_judge(task)}; {one['architecture']}"
        )
    rates = ", ".join(f"{rate:g}" for rate in settings["learning_rates"])
    lines.append(
        f"sgd at learning rate {rates}, momentum {settings['momentum']:g}, batches of "
        f"{settings['batch_size']}, {console.count(settings['epochs'], 'epoch')}"
    )
    generations = console.count(search.generations, "generation")
    seeds = console.count(settings["seeds_per_candidate"], "seed")
    first = search.seeds["first"]
    lines.append(
        f"{generations} of {settings['population_size']} candidates, {seeds} each, "
        f"from {first} on; compare uses seeds below {first}"
    )
    if search.generation:
        lines.append(
            f"Going on after {console.count(search.generation, 'generation')} in "
            f"{search.journal}"
        )
    return "\n".join([*lines, ""])


def _judge(task: Any) -> str:
    if task.description.get("validation") != "noisy":
        return "clean labels"
    if task.validation_matrix is None:
        return "noisy labels"
    return "noisy labels, corrected by a noise matrix"


def found(best: dict[str, Any], output: str) -> str:
    """The loss that was found, as a formula, and the file that holds it."""
    numbers = best["coefficients"]
    labelled = _polynomial([numbers[key] for key in ("a1", "a2", "a3", "c")], 1)
    others = _polynomial([numbers[key] for key in ("b2", "b3", "c")], 2)
    accuracy = console.percent(best["accuracy"])
    seeds = console.count(len(best["seeds"]), "fresh seed")
    return "\n".join(
        [
            "",
            f"Found ({best['chosen']}): {accuracy} on the validation data, mean over "
            f"{seeds}",
            f"  loss = {labelled} for the label's probability p",
            f"       + {others} for that of each other class",
            f"Written to {output}; keras-ready: "
            f"tfrobustloss.presets.load_preset({output!r})",
        ]
    )


def table(task: Any, rows: Sequence[dict[str, Any]], search: Any) -> str:
    """Accuracies of the loss that was found and of others, at the end and stopped."""
    rate = search.settings["learning_rates"][0]
    split = "clean test set"
    if task.test is None:
        split = f"validation data with {_judge(task)}"
    count = console.count(len(rows[0]["given"]), "fresh seed")
    one = task.description
    head = ("loss", f"last, rate {rate:g}", "last, own rate", "which")
    cells = [(*head, "stopped", "rate", "epoch")]
    for row in sorted(rows, key=lambda row: -_of_stopped(row)):
        given, own = _accuracy(row["given"]), _accuracy(row["own"])
        stopped = row["stopped"]
        epochs = sorted({min(stopped.epochs), max(stopped.epochs)})
        cells.append(
            (
                row["loss"],
                given,
                own,
                f"{row['rate']:g}",
                _stopped(stopped),
                f"{stopped.learning_rate:g}",
                "-".join(map(str, epochs)),
            )
        )
    title = (
        f"{one['dataset']}, {one['architecture']}: accuracy on the {split} in %, "
        f"mean ± sd over {count}"
    )
    return console.table(title, cells, _notes(task, rows))


def _of_stopped(row: dict[str, Any]) -> float:
    """Accuracy of a stopped loss, estimated where there is no test set."""
    stopped = row["stopped"]
    if stopped.accuracy is None:
        return stopped.estimate()[0]
    return float(np.mean(stopped.accuracy))


def _stopped(stopped: Any) -> str:
    if stopped.accuracy is not None:
        return _accuracy(stopped.accuracy)
    estimate, low, high = (100 * value for value in stopped.estimate())
    return f"{estimate:.1f} ({low:.0f}-{high:.0f})"


def _notes(task: Any, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes under the table: choice of rates and epochs, and the baseline."""
    by_name = {row["loss"]: row for row in rows}
    stopped = by_name[BASELINE]["stopped"]
    corrected = "" if stopped.matrix is None else ", corrected by the noise matrix"
    estimated = ""
    if stopped.accuracy is None:
        estimated = " Its accuracy is estimated by other examples than chose the epoch."
    better = [name for name, row in by_name.items() if row["against"].beats_baseline]
    gain = 100 * (_of_stopped(by_name["found"]) - _of_stopped(by_name[BASELINE]))
    return [
        "Last epoch: own rates are chosen on the validation data, "
        f"with {_judge(task)}.",
        f"Stopped: rate and epoch are chosen by accuracy on {stopped.num_labels} noisy "
        f"labels{corrected}. No clean label was used.{estimated}",
        f"Baseline: cross-entropy, stopped. The loss found is {abs(gain):.1f} points "
        f"{'above' if gain >= 0 else 'below'} it. Better beyond chance, by these noisy "
        f"labels: {', '.join(better) if better else 'none'}.",
    ]


def use(search: Any, theta: Sequence[float], arguments: Any) -> str:
    """The `compare` command that compares the loss that was found with all others."""
    settings = search.settings
    one = settings["tasks"][0]
    numbers = ",".join(f"{value:.6g}" for value in theta)
    what = f"--dataset {one['dataset']} --noise {one['noise']}"
    if arguments.data_dir is not None:
        what += f" --data-dir {arguments.data_dir}"
    if arguments.data is not None:
        names = ("data", "label", "image", "id", "ignore", "words", "image_size")
        names += ("trusted", "test", "corrections")
        given = {name: getattr(arguments, name) for name in names}
        what = " ".join(
            f"--{name.replace('_', '-')} {shlex.quote(value)}"
            for name, value in given.items()
            if value is not None
        )
    training = (
        f"--model {one['architecture']} --epochs {settings['epochs']} "
        f"--batch-size {settings['batch_size']} --optimizer sgd "
        f"--learning-rate {settings['learning_rates'][0]:g} "
        f"--momentum {settings['momentum']:g}"
    )
    return (
        "\nTo compare it with all others, on seeds that were not in the search:\n"
        f"tfrobustloss compare {what} {training} "
        f"--losses 'all,taylor_loss:theta=[{numbers}]'"
    )


def interrupted(search: Any, journal: str) -> str:
    """Message after Ctrl-C: the journal, and the command that continues."""
    return (
        f"Interrupted after {console.count(search.generation, 'generation')}. Every "
        f"candidate that was known is in {journal}: the same command goes on."
    )


class Reporter:
    """Prints a line a generation, and moves the bar with every candidate.

    Args:
        progress: A `console.Progress`.
    """

    def __init__(self, progress: console.Progress) -> None:
        self._progress = progress

    def on_candidate(self, done: int, total: int) -> None:
        """Takes the number of candidates that are scored."""
        self._progress.update(done, f"candidate {done} of {total}")

    def on_generation(self, progress: dict[str, Any]) -> None:
        """Takes the progress that `TaylorLossSearch.run` reports."""
        self._progress.line(_line(progress))


def candidates(search: Any) -> int:
    """Number of candidates of all generations."""
    return search.generations * search.settings["population_size"]


def _line(progress: dict[str, Any]) -> str:
    left = round(progress["seconds_left"])
    diverged = progress["diverged"]
    parts = [
        f"best {_share(progress['best'])}",
        f"median {_share(progress['median'])}",
        f"{diverged} diverged" if diverged else "",
        f"{progress['candidates_per_second']:.3g} candidates/s",
        f"{left // 60}:{left % 60:02d} left",
    ]
    place = f"[{progress['generation']}/{progress['generations']}]"
    return f"{place} {', '.join(part for part in parts if part)}"


def _share(accuracy: float | None) -> str:
    return "none" if accuracy is None else console.percent(accuracy)


def _accuracy(accuracy: np.ndarray) -> str:
    return console.mean_and_sd(
        float(np.mean(accuracy)), float(np.std(accuracy, ddof=1))
    )


def _polynomial(coefficients: Sequence[float], first: int) -> str:
    """Text such as `-1.5 p + 2 p^2`."""
    terms = []
    for power, value in enumerate(coefficients, first):
        name = "p" if power == 1 else f"p^{power}"
        sign = "-" if value < 0 else "+"
        terms.append(f"{sign} {abs(value):.3g} {name}")
    return " ".join(terms).removeprefix("+ ")
