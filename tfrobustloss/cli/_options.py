"""Options of the subcommands: how they look, and where they may write."""

import os


def adder(parser):
    """A function `(name, default, text, **options)` that adds one option.

    Args:
        parser: Of a subcommand. Options are as in its `add_argument`; the help ends in
            the default, if there is one.
    """

    def option(name, default, text, **options):
        shown = "" if default is None else f" (default: {default})"
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, default=default, help=text + shown, **options)

    return option


def check_outputs(command, outputs, others=()):
    """Raises before any work if the files to be written cannot all be written.

    Args:
        command: Name of the subcommand.
        outputs: Dict of options to the path that each writes, or None; the ending of
            `plot` is looked at too.
        others: Pairs of a text and a path, or None, of files that must stay.

    Raises:
        ValueError: A path cannot be written, or two of all files are one.
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
            constraint, hint = f"another file than {text}", "One would erase the other."
            raise ParameterError(command, name, path, constraint, hint)
    if outputs.get("plot") is not None:
        plots.check_format(outputs["plot"])
