"""Options that name a user's own data: `--data PATH` and how to read it."""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

from tfrobustloss._core.validation import ParameterError

_READING = ("label", "image", "id", "trusted", "test", "corrections")
_LISTS = ("ignore", "words")


def add_options(parser: argparse.ArgumentParser, add: Callable[..., None]) -> None:
    """Adds `--data` and the options of `tfrobustloss.data.read` to a parser.

    Args:
        parser: Parser of a subcommand.
        add: `console.adder(parser)`.
    """
    text = (
        "your own data, whose labels may be wrong: a folder with one folder of images "
        "a class, a .csv, .tsv or .parquet table, or an .npz file"
    )
    add("data", None, text, metavar="PATH")
    text = "--data: column of the labels (default: label, target, class or y)"
    add("label", None, text, metavar="COLUMN")
    add("image", None, "--data: column of image paths", metavar="COLUMN")
    add("id", None, "--data: column of ids (default: id)", metavar="COLUMN")
    text = "--data: columns that are no features, comma-separated"
    add("ignore", None, text, metavar="COLUMNS")
    text = "--data: columns of words that look like numbers, comma-separated"
    add("words", None, text, metavar="COLUMNS")
    flag = "--drop-unlabelled"
    text = "--data: leave rows without a label out"
    parser.add_argument(flag, action="store_true", help=text)
    text = "--data: size to which images are stretched, such as 32x32"
    add("image_size", None, text, metavar="HxW")
    text = "--data: file with the ids of examples whose labels are right, if there are"
    add("trusted", None, text, metavar="FILE")
    text = "--data: the same kind of data with right labels, if there is any"
    add("test", None, text, metavar="PATH")
    text = "--data: labels corrected by hand, as `tfrobustloss audit` writes them"
    add("corrections", None, text, metavar="FILE.csv")


def read(command: str, arguments: argparse.Namespace) -> Any:
    """The `LabelledData` of `--data`, or None without it.

    Args:
        command: Name of the subcommand, for errors.
        arguments: Parsed options.

    Raises:
        ValueError: An option needs `--data`, or the data cannot be read.
    """
    given = _given(arguments)
    if arguments.data is None:
        for name, value in given.items():
            raise ParameterError(command, name, value, "given with `--data`")
        if arguments.drop_unlabelled:
            name = "drop_unlabelled"
            raise ParameterError(command, name, True, "given with `--data`")
        return None
    from tfrobustloss import data

    if not os.path.exists(arguments.data):
        hint = "Image sets of TFDS are named by --dataset."
        constraint = "a folder or file that exists"
        raise ParameterError(command, "data", arguments.data, constraint, hint)
    return data.read(arguments.data, **reading_options(command, arguments))


def reading_options(command: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `data.read` that the options of `--data` say.

    Args:
        command: Name of the subcommand, for errors.
        arguments: Parsed options.

    Raises:
        ValueError: `--image-size` is no size.
    """
    given = _given(arguments)
    for name in set(_LISTS) & set(given):
        given[name] = [part.strip() for part in given[name].split(",")]
    if "image_size" in given:
        given["image_size"] = _size(command, given["image_size"])
    if arguments.drop_unlabelled:
        given["drop_unlabelled"] = True
    return given


def matrix(command: str, text: str | None) -> Any:
    """The value of `--matrix`: None, `"estimated"`, `"none"`, or lists of numbers.

    Args:
        command: Name of the subcommand, for errors.
        text: As given.

    Raises:
        ValueError: The file cannot be read.
    """
    if text in (None, "estimated", "none"):
        return text
    constraint = "estimated, none, or a .json file with `transition_matrix`"
    try:
        with open(str(text), encoding="utf-8") as file:
            return json.load(file)["transition_matrix"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = f"{type(error).__name__}: {error}"
        raise ParameterError(command, "matrix", text, constraint, hint) from None


def paths(arguments: argparse.Namespace) -> list[tuple[str, str | None]]:
    """The files and folders that are read, which no output may replace."""
    names = ("data", "trusted", "test", "corrections")
    return [(f"--{name}", getattr(arguments, name)) for name in names]


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    names = (*_READING, *_LISTS, "image_size")
    given = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _size(command: str, text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        constraint = "height and width, such as 32x32"
        raise ParameterError(command, "image_size", text, constraint)
    return int(height), int(width)
