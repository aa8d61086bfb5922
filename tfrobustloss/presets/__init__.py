"""Learned losses as JSON files with their provenance.

`mnist-symmetric-0.8-mlp2` was found by `benchmarks/taylor_search_mnist.py`; the table
in `benchmarks/README.md` shows where it is better than hand-made losses and where not.
"""

import json
import os
import pathlib

from tfrobustloss import losses
from tfrobustloss._core.validation import ParameterError, ParameterTypeError

__all__ = ["load_preset", "names"]

_FOLDER = pathlib.Path(__file__).parent

FORMAT = "tfrobustloss.preset/1"


def names():
    """Names of the presets that come with the package, sorted.

    Example:
        >>> names()
        ['mnist-symmetric-0.8-mlp2']
    """
    return sorted(path.name.removesuffix(".json") for path in _FOLDER.glob("*.json"))


def load_preset(path, **options):
    """Loads a preset, or the file that a search saved, as a `TaylorLoss`.

    Args:
        path: Name of a preset of the package, or path of the JSON file.
        **options: Other arguments of `TaylorLoss`, such as `from_logits`.

    Returns:
        A `TaylorLoss`.

    Raises:
        TypeError: `path` is not a path.
        ValueError: There is no such file, or it is not a preset.

    Example:
        >>> import tempfile
        >>> theta = [0, 0, 0, 2, 0, 0, -2, 0, 0, 0, 0, 0]
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     json.dump({"format": FORMAT, "theta": theta}, file)
        ...     file.flush()
        ...     loss = load_preset(file.name, from_logits=True)
        >>> loss.theta[3]
        2.0
    """
    return losses.TaylorLoss(read(path)["theta"], **options)


def read(path):
    """The content of a preset, as a dict.

    Args:
        path: Name of a preset of the package, or path of the JSON file.

    Raises:
        TypeError: `path` is not a path.
        ValueError: There is no such file, or it is not a preset.
    """
    if not isinstance(path, str | os.PathLike):
        constraint = f"a path, or one of {names()}"
        raise ParameterTypeError("load_preset", "path", path, constraint)
    path = os.fspath(path)
    try:
        own = _FOLDER / f"{path}.json"
        with open(own if path in names() else path, encoding="utf-8") as file:
            record = json.load(file)
        reason = None
    except OSError as error:
        reason = f"{error.strerror}."
    except ValueError as error:  # not JSON, or not text
        reason = f"It is not JSON: {error}."
    if reason is None and (
        not isinstance(record, dict) or record.get("format") != FORMAT
    ):
        reason = f"It has no format {FORMAT!r}."
    if reason is not None:
        constraint = f"the file of a preset, or one of {names()}"
        raise ParameterError("load_preset", "path", path, constraint, reason)
    return record
