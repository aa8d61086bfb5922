"""What a search shows while it runs and at its end."""

import contextlib
import sys

import numpy as np


def introduction(search):
    """A few lines on what is about to run."""
    settings, lines = search.settings, []
    for task in search.tasks:
        one = task.description
        wrong = 100 * task.realized_rate(search.seeds["first"])
        lines.append(
            f"{one['dataset']}: {one['train_size']} training images, {wrong:.1f} % of "
            f"their labels wrong ({one['noise']}); {one['validation_size']} clean "
            f"validation images; {one['architecture']}"
        )
    rates = ", ".join(f"{rate:g}" for rate in settings["learning_rates"])
    lines.append(
        f"sgd at learning rate {rates}, momentum {settings['momentum']:g}, batches of "
        f"{settings['batch_size']}, {_count(settings['epochs'], 'epoch')}"
    )
    lines.append(
        f"{_count(search.generations, 'generation')} of {settings['population_size']} "
        f"candidates, {_count(settings['seeds_per_candidate'], 'seed')} each, from "
        f"{search.seeds['first']} on: none below, as compare uses"
    )
    if search.generation:
        lines.append(
            f"Going on after {_count(search.generation, 'generation')} in "
            f"{search.journal}"
        )
    return "\n".join([*lines, ""])


def found(search, best, output):
    """The loss that was found, as a formula, and where it is."""
    numbers = best["coefficients"]
    labelled = _polynomial([numbers[key] for key in ("a1", "a2", "a3", "c")], 1)
    others = _polynomial([numbers[key] for key in ("b2", "b3", "c")], 2)
    return "\n".join(
        [
            "",
            f"Found ({best['chosen']}): {100 * best['accuracy']:.1f} % on the clean "
            f"validation data, mean over {_count(len(best['seeds']), 'fresh seed')}",
            f"  loss = {labelled} for the label's probability p",
            f"       + {others} for that of each other class",
            f"Written to {output}; keras-ready: "
            f"tfrobustloss.presets.load_preset({output!r})",
        ]
    )


def table(task, rows, search):
    """Accuracies of the loss that was found and of others, as text."""
    rate = search.settings["learning_rates"][0]
    split = "validation data" if task.test is None else "test set"
    count = _count(len(rows[0]["given"]), "fresh seed")
    one = task.description
    cells = [("loss", f"rate {rate:g}", "own best rate", "which")]
    for row in sorted(rows, key=lambda row: -row["own"].mean()):
        own = f"{row['rate']:g}"
        cells.append((row["loss"], _percent(row["given"]), _percent(row["own"]), own))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    lines = []
    for name, *numbers in cells:
        pairs = zip(numbers, widths[1:], strict=True)
        right = [number.rjust(width) for number, width in pairs]
        lines.append("  ".join([name.ljust(widths[0]), *right]))
    title = (
        f"{one['dataset']}, {one['architecture']}: accuracy on the clean {split} in %, "
        f"mean ± sd over {count}"
    )
    note = "The best learning rates are chosen on the validation data."
    return "\n".join(["", title, "", *lines, "", note])


def use(search, theta, data_dir):
    """The command that compares the loss that was found with all others."""
    settings = search.settings
    one = settings["tasks"][0]
    numbers = ",".join(f"{value:.6g}" for value in theta)
    folder = "" if data_dir is None else f" --data-dir {data_dir}"
    return (
        "\nTo compare it with all others, on seeds that were not in the search:\n"
        f"tfrobustloss compare --dataset {one['dataset']}{folder} --noise "
        f"{one['noise']} --model {one['architecture']} --epochs {settings['epochs']} "
        f"--batch-size {settings['batch_size']} --optimizer sgd --learning-rate "
        f"{settings['learning_rates'][0]:g} --momentum {settings['momentum']:g} "
        f"--losses 'all,taylor_loss:theta=[{numbers}]'"
    )


def interrupted(search, journal):
    """What is kept after Ctrl-C."""
    return (
        f"Interrupted after {_count(search.generation, 'generation')}. Every candidate "
        f"that was known is in {journal}: the same command goes on."
    )


@contextlib.contextmanager
def progress(search):
    """A live bar on a terminal that has rich, a line a generation anywhere else."""
    try:
        from rich.progress import Progress
    except ImportError:
        Progress = None
    if Progress is None or not sys.stdout.isatty():
        yield _Lines()
        return
    from tfrobustloss.cli._report import _columns

    with Progress(*_columns(), transient=True) as bar:
        yield _Bar(search, bar)


class _Lines:
    """One line a generation."""

    def on_candidate(self, done, total):
        pass

    def on_generation(self, progress):
        self._print(_line(progress))

    def _print(self, text):
        print(text, flush=True)


class _Bar(_Lines):
    """A bar over all candidates, below the lines."""

    def __init__(self, search, bar):
        self._bar = bar
        total = search.generations * search.settings["population_size"]
        self._task = bar.add_task("compiling", total=total)

    def on_candidate(self, done, total):
        text = f"candidate {done} of {total}"
        self._bar.update(self._task, completed=done, description=text)

    def _print(self, text):
        self._bar.console.print(text, markup=False, highlight=False)


def _line(progress):
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


def _share(accuracy):
    return "none" if accuracy is None else f"{100 * accuracy:.1f} %"


def _percent(accuracy):
    mean, sd = 100 * np.mean(accuracy), 100 * np.std(accuracy, ddof=1)
    return f"{mean:.1f} ± {sd:4.1f}"


def _polynomial(coefficients, first):
    """Text such as `-1.5 p + 2 p^2`."""
    terms = []
    for power, value in enumerate(coefficients, first):
        name = "p" if power == 1 else f"p^{power}"
        sign = "-" if value < 0 else "+"
        terms.append(f"{sign} {abs(value):.3g} {name}")
    return " ".join(terms).removeprefix("+ ")


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
