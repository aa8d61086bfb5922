"""Settings file of a journal, and the preset that a search saves."""

import contextlib
import datetime
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfrobustloss import presets
from tfrobustloss._core import files, provenance
from tfrobustloss._core.validation import ParameterError
from tfrobustloss.search.cmaes import CmaSearch

Path = str | os.PathLike[str]


def settings_path(journal: Path) -> str:
    """Path of the settings of a journal."""
    return f"{os.fspath(journal)}.settings.json"


def check_or_write_settings(journal: Path, settings: dict[str, Any]) -> None:
    """Writes the settings of a new journal; raises if an old one has others.

    A journal without the value of any candidate counts as new.

    Args:
        journal: Path of the journal.
        settings: Dict of plain JSON values.

    Raises:
        RuntimeError: Another search has the journal open.
        ValueError: The journal is of a search with other settings, or its settings
            are missing.
    """
    path = settings_path(journal)
    settings = json.loads(json.dumps(settings))
    with contextlib.closing(CmaSearch.open_journal(journal)) as opened:
        if opened.forget_untold():
            files.write(path, f"{json.dumps(settings, indent=1)}\n".encode())
            return
    try:
        with open(path, encoding="utf-8") as file:
            recorded = json.load(file)
    except (OSError, ValueError) as problem:
        constraint = f"a journal with its settings in {path}"
        raise ParameterError(
            "search", "journal", journal, constraint, f"{problem}."
        ) from None
    for name in dict.fromkeys([*settings, *recorded]):
        if settings.get(name) != recorded.get(name):
            constraint = f"new, or of a search with {name}={settings.get(name)!r}"
            hint = (
                f"That one has {name}={recorded.get(name)!r}. Give the same options "
                "to go on with it, or another journal to start again."
            )
            raise ParameterError("search", "journal", journal, constraint, hint)


def open_search(
    journal: Path | None, settings: dict[str, Any], *arguments: Any, **options: Any
) -> CmaSearch:
    """A `CmaSearch` with a journal of these settings.

    Args:
        journal: Path of the journal, or None.
        settings: Dict of plain JSON values that the values of candidates depend on.
        *arguments: Of `CmaSearch`.
        **options: Of `CmaSearch`.

    Raises:
        ValueError: The journal is of a search with other settings.
    """
    if journal is not None:
        files.check_writable("search", "journal", journal)
        check_or_write_settings(journal, settings)
    return CmaSearch(*arguments, journal=journal, **options)


def check_apart(
    owner: str, name: str, path: Path, others: Mapping[str, Path | None]
) -> None:
    """Raises if a file to be written is one of others, perhaps by another path.

    Args:
        owner: Name of what was called, for errors.
        name: Name of the argument that the path came from.
        path: Path of the file to be written.
        others: Dict of descriptions of files that must stay to their paths or None.

    Raises:
        ValueError: It would replace one of them.
    """
    for text, other in others.items():
        if other is not None and _is_same_file(path, other):
            constraint, hint = f"another file than {text}", "One would erase the other."
            raise ParameterError(owner, name, path, constraint, hint)


def _is_same_file(path: Path, other: Path) -> bool:
    if os.path.exists(path) and os.path.exists(other):
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)


def preset(search: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The record of a search, for `tfrobustloss.presets.load_preset`.

    Args:
        search: A `TaylorLossSearch`.
        found: The result of its `best`.

    Returns:
        Dict of plain JSON values.
    """
    return {
        "format": presets.FORMAT,
        "theta": found["theta"],
        "coefficients": found["coefficients"],
        "fitness": {
            "fresh": found["accuracy"],
            "fresh_by_candidate": found["candidates"],
            "best_in_search": search.history()[-1]["best_so_far"],
        },
        "generations": search.generation,
        "seeds": {**search.seeds, "fresh": found["seeds"]},
        "settings": search.settings,
        "realized_noise_rate": [
            task.realized_rate(search.seeds["first"]) for task in search.tasks
        ],
        "journal": _hash(search.journal),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "written": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    }


def _hash(journal: Path | None) -> dict[str, str] | None:
    if journal is None:
        return None
    with open(journal, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {"file": os.path.basename(journal), "sha256": digest}
