"""Helpers of the subcommands: options, output files, tables, progress, wording."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any


def adder(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """Returns a function `(name, default, text, **options)` that adds an option.

    Args:
        parser: Parser of a subcommand; `options` are those of its `add_argument`. The
            help text ends with the default, if there is one.
    """

    def option(name: str, default: Any, text: str, **options: Any) -> None:
        shown = "" if default is None else f" (default: {default})"
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, default=default, help=text + shown, **options)

    return option


def check_outputs(
    command: str,
    outputs: Mapping[str, str | None],
    others: Iterable[tuple[str, str | None]] = (),
) -> None:
    """Raises, before any work, if an output file cannot be written.

    Args:
        command: Name of the subcommand.
        outputs: Dict of options to the path that each writes, or None; the file format
            of `plot` is checked too.
        others: Pairs of a description and a path, or None, of files that must not be
            overwritten.

    Raises:
        ValueError: A path cannot be written, or two of all files are the same.
        ImportError: There is a plot, and Matplotlib is not installed.
    """
    from tfrobustloss import plots
    from tfrobustloss._core import files
    from tfrobustloss._core.validation import ParameterError

    taken = {os.path.realpath(path): text for text, path in others if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        files.check_writable(command, name, path)
        text = taken.setdefault(os.path.realpath(path), f"--{name}")
        if text != f"--{name}":
            constraint = f"another file than {text}"
            hint = "One would overwrite the other."
            raise ParameterError(command, name, path, constraint, hint)
    plot = outputs.get("plot")
    if plot is not None:
        plots.check_format(plot)


class Progress:
    """Progress as lines of text, for files and pipes."""

    def line(self, text: str) -> None:
        """Prints a line."""
        print(text, flush=True)

    def update(self, completed: int, text: str) -> None:
        """Reports the number of steps that are done, and a description of the last."""


class _Bar(Progress):
    """A live bar, below the lines."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def line(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def update(self, completed: int, text: str) -> None:
        self._bar.update(self._task, completed=completed, description=text)


@contextlib.contextmanager
def progress(total: int, text: str = "starting") -> Iterator[Progress]:
    """A live bar and lines on a terminal, lines alone anywhere else.

    Args:
        total: Number of steps.
        text: Description before the first step is done.
    """
    if not sys.stdout.isatty():
        yield Progress()
        return
    from rich import progress as rich

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("left:"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, transient=True) as bar:
        yield _Bar(bar, bar.add_task(text, total=total))


def table(title: str, rows: Sequence[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Rows of texts as an aligned table.

    Args:
        title: Line above the table.
        rows: The header and the rows; the first column is aligned left, the others
            right.
        notes: Lines below the table.
    """
    from rich.cells import cell_len  # characters of Chinese and such take two columns

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    header, *others = rows
    lines = []
    for row in [header, ["-" * width for width in widths], *others]:
        gaps = [
            " " * (width - cell_len(cell))
            for cell, width in zip(row, widths, strict=True)
        ]
        right = [gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True)]
        lines.append("  ".join([row[0] + gaps[0], *right]))
    return "\n".join(["", title, "", *lines, "", *notes])


def count(number: int, noun: str) -> str:
    """A number and its noun, such as `1 seed` or `3 seeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, such as `98.7 %`."""
    return f"{100 * share:.1f} %"


def mean_and_sd(mean: float, sd: float) -> str:
    """Mean and standard deviation of shares, in percent and without its sign."""
    return f"{100 * mean:.1f} ± {100 * sd:4.1f}"
