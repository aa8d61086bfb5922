"""The command `tfrobustloss`: one module a subcommand, each with its options.

A subcommand's module has `add_parser(commands)`, and in its parser the default `run`,
a function from parsed arguments to an exit code. It imports what needs Keras only
when it runs.
"""

import argparse
import importlib
import os
import re
import sys

from tfrobustloss.cli import compare, estimate, export, search

_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
_WRONG_USE = 2


def main(argv=None):
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
    export.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        _import_keras_quietly()
        return arguments.run(arguments)
    except (ValueError, ImportError, OSError) as error:
        return _fail(arguments.command, error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(_WRONG_USE, f"{self.prog}: error: {message}\n")


def _import_keras_quietly():
    """Imports Keras without the messages of TensorFlow that no setting silences.

    They are written below Python, to the process' standard error. Python's own errors
    are still raised.
    """
    # 3: at 2, a machine without a GPU still gets an error about it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        shown = os.dup(2)
    except OSError:  # standard error is closed: nothing to silence
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        importlib.import_module("tfrobustloss.comparison")
    finally:
        os.dup2(shown, 2)
        os.close(shown)


def _fail(command, error):
    # an error that names the function it is from would puzzle here
    text = re.sub(rf"^({command}: |[\w.]+: (?=`))", "", " ".join(str(error).split()))
    print(f"tfrobustloss {command}: error: {text}", file=sys.stderr)
    return _WRONG_USE
