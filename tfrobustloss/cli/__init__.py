"""The command `tfrobustloss`; each subcommand is a module.

A subcommand's module has `add_parser(commands)`, whose parser has the default `run`, a
function from parsed arguments to an exit code. Slow imports are inside `run`; Keras is
loaded before, since `import tfrobustloss` registers the losses.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfrobustloss._core.validation import Described, ParameterTypeError
from tfrobustloss.cli import audit, compare, estimate, export, search

_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
_WRONG_USE = 2
# parameter of a function -> option of the command, for errors
_OPTIONS = {
    "load.name": "dataset",
    "plots.path": "plot",
    "read_annotations.path": "annotations",
    "read_probabilities.path": "probabilities",
    "make_tasks.datasets": "dataset",
    "make_tasks.architectures": "model",
    "Task.architecture": "model",
    "search.seeds_per_candidate": "seeds",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: List of arguments; those of the process by default.

    Returns:
        Exit code: 0, 2 for a mistake in the arguments, 130 after Ctrl-C.
    """
    parser = _Parser(
        prog="tfrobustloss",
        description="Robust losses for Keras, for when the labels are wrong.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    compare.add_parser(commands)
    search.add_parser(commands)
    estimate.add_parser(commands)
    audit.add_parser(commands)
    export.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ValueError, ParameterTypeError, ImportError, OSError) as error:
        return _fail(arguments.command, error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_USE, f"{self.prog}: error: {message}\n")


def _fail(command: str, error: Exception) -> int:
    """Prints an error as one line, naming the option instead of the parameter."""
    text = str(error)
    if isinstance(error, Described):
        # the name of the function that refused the value would puzzle here
        name = _OPTIONS.get(f"{error.owner}.{error.name}", error.name)
        parts = (error.value, error.constraint, error.hint)
        text = str(type(error)(command, name, *parts))
    text = " ".join(text.split()).removeprefix(f"{command}: ")
    print(f"tfrobustloss {command}: error: {text}", file=sys.stderr)
    return _WRONG_USE
