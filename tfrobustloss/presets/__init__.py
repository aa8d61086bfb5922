"""Learned losses as JSON files that say where they come from."""

import json
import os

from tfrobustloss import _limits, losses

__all__ = ["load_preset"]

FORMAT = "tfrobustloss.preset/1"


def load_preset(path, **options):
    """The `TaylorLoss` of a preset that a search saved.

    Args:
        path: Path of the JSON file.
        **options: Other arguments of `TaylorLoss`, such as `from_logits`.

    Returns:
        A `TaylorLoss`.

    Raises:
        ValueError: There is no such file, or it is no preset.

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
    """All that a preset says, as a dict.

    Args:
        path: Path of the JSON file.

    Raises:
        ValueError: There is no such file, or it is no preset.
    """
    path = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
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
        constraint = "the file of a preset"
        raise ValueError(_limits.error("load_preset", "path", constraint, path, reason))
    return record
