"""What a comparison shows while it runs and at its end."""

import contextlib
import sys


def introduction(record):
    """A few lines on what is about to run, and on what was left out."""
    wrong = record["realized_noise_rate"]
    lines = [
        f"{record['dataset']}: {record['train_size']} training images, "
        f"{100 * wrong:.1f} % of their labels wrong ({record['noise']}); "
        f"{record['test_size']} test images with clean labels",
        f"{record['model']}, {_training(record)}",
    ]
    for name, reason in record["left_out"].items():
        lines.append(f"Left out: {name}. {reason}")
    return "\n".join([*lines, ""])


def _training(record):
    momentum = record["momentum"]
    parts = [
        f"{record['optimizer']} at learning rate {record['learning_rate']:g}",
        f"momentum {momentum:g}" if momentum else "",
        f"batches of {record['batch_size']}",
        _count(record["epochs"], "epoch"),
        _count(len(record["seeds"]), "seed"),
    ]
    return ", ".join(part for part in parts if part)


def table(record):
    """The results as text: sorted by last-epoch accuracy, with their footnotes."""
    results = sorted(record["results"], key=lambda one: -one["last"]["mean"])
    if not results:
        return "No training was finished."
    rows = [("loss", "last epoch", "best epoch", "seconds")]
    for one in results:
        runs = len(one["accuracy"])
        last, best = _percent(one["last"], runs), _percent(one["best"], runs)
        rows.append((one["loss"], last, best, f"{one['seconds']:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = []
    for name, *numbers in rows:
        cells = [name.ljust(widths[0])]
        pairs = zip(numbers, widths[1:], strict=True)
        cells += [number.rjust(width) for number, width in pairs]
        lines.append("  ".join(cells))
    seeds = len(record["seeds"])
    spread = f", mean ± sd over {seeds} seeds" if seeds > 1 else ""
    title = f"Accuracy on the clean test set in %{spread}"
    return "\n".join(["", title, "", *lines, "", *_footnotes(record, results)])


def _percent(accuracy, runs):
    mean, sd = 100 * accuracy["mean"], 100 * accuracy["sd"]
    return f"{mean:.1f} ± {sd:4.1f}" if runs > 1 else f"{mean:.1f}"


def _footnotes(record, results):
    notes = [
        "The best epoch is picked on the test set, as nobody can who has only wrong "
        "labels."
    ]
    matrix = [one["loss"] for one in results if "transition_matrix" in one["filled_in"]]
    if matrix:
        notes.append(
            f"Given the true noise matrix, which the others do not know: "
            f"{', '.join(matrix)}."
        )
    for one in results:
        others = {k: v for k, v in one["filled_in"].items() if k != "transition_matrix"}
        for key, value in others.items():
            notes.append(f"{one['loss']}: {key} not given, taken as the {value}.")
        if one["diverged"]:
            seeds = ", ".join(map(str, one["diverged"]))
            notes.append(
                f"{one['loss']}: diverged with seed {seeds}; counted as 0 from then."
            )
        if len(one["accuracy"]) < len(record["seeds"]):
            done = _count(len(one["accuracy"]), "seed")
            notes.append(f"{one['loss']}: interrupted after {done}.")
    if record["interrupted"]:
        notes.append("Interrupted: what was finished is above.")
    return notes


@contextlib.contextmanager
def progress(comparison):
    """A live bar on a terminal that has rich, lines anywhere else."""
    try:
        from rich.progress import Progress
    except ImportError:
        Progress = None
    if Progress is None or not sys.stdout.isatty():
        yield _Lines(comparison)
        return
    with Progress(*_columns(), transient=True) as bar:
        yield _Bar(comparison, bar)


def _columns():
    from rich import progress

    return (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left:"),
        progress.TimeRemainingColumn(),
    )


class _Lines:
    """One line a finished loss."""

    def __init__(self, comparison):
        self._total = len(comparison.losses)
        self._done = 0

    def on_epoch(self, label, seed, accuracy):
        pass

    def on_result(self, result):
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {_line(result)}")

    def _print(self, text):
        print(text, flush=True)


class _Bar(_Lines):
    """A bar over all epochs of all losses, below the lines."""

    def __init__(self, comparison, bar):
        super().__init__(comparison)
        self._bar = bar
        settings = comparison.settings
        self._epochs, self._seeds = settings.epochs, settings.seeds
        total = self._total * self._seeds * self._epochs
        self._task = bar.add_task("starting", total=total)

    def on_epoch(self, label, seed, accuracy):
        trainings = self._done * self._seeds + seed
        self._bar.update(
            self._task,
            completed=trainings * self._epochs + len(accuracy),
            description=f"{label}, seed {seed}: {100 * accuracy[-1]:.1f} %",
        )

    def _print(self, text):
        self._bar.console.print(text, markup=False, highlight=False)


def _line(result):
    last, best = 100 * result["last"]["mean"], 100 * result["best"]["mean"]
    seconds = result["seconds"]
    return f"{result['loss']}: last {last:.1f} %, best {best:.1f} %, {seconds:.1f} s"


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
