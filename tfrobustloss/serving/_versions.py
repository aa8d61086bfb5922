"""Folders of versions: a new one appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile

from tfrobustloss._core import validation
from tfrobustloss._core.validation import ParameterError, ParameterTypeError, Range

_LIMITS = {"version": Range(low=1, integer=True, optional=True)}
_ATTEMPTS = 100  # versions that others may publish between a look and a rename


def check(owner, path, version):
    """The folder of versions as a full path, checked before any work is done.

    Args:
        owner: Name of the function that asks, for errors.
        path: Folder of versions, there or not.
        version: Int >= 1, or None for the next free number.

    Raises:
        TypeError: `path` is no path or `version` no number.
        ValueError: `path` cannot be a folder, or the version exists.
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterTypeError(owner, "path", path, "a path")
    name = os.fspath(path)
    if not name or "://" in name:
        constraint = "a folder of this machine"
        raise ParameterError(owner, "path", name, constraint)
    validation.check(owner, _LIMITS, version=version)
    folder = os.path.abspath(name)
    if os.path.exists(folder) and not os.path.isdir(folder):
        hint = "There is a file of that name."
        raise ParameterError(owner, "path", name, "a folder", hint)
    if version is not None and os.path.lexists(os.path.join(folder, f"{version:.0f}")):
        raise _exists(owner, folder, int(version))
    return folder


def numbers(folder):
    """The versions in a folder, sorted; [] where there is no folder."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())
    return []


def publish(owner, folder, version, write):
    """Writes a new version and returns its path.

    It is written to a hidden folder beside the versions, which no server reads, and
    renamed. If anything fails, what was written is removed.

    Args:
        owner: Name of the function that asks, for errors.
        folder: Full path of the folder of versions.
        version: Int, or None for the next free number.
        write: Function of a path that does not exist; makes a folder there.

    Returns:
        Path of the version.

    Raises:
        ValueError: The folder cannot be written to, or the version exists.
    """
    made = _missing(folder)
    try:
        unfinished = None
        try:
            os.makedirs(folder, exist_ok=True)
            unfinished = tempfile.mkdtemp(prefix=".unfinished-", dir=folder)
        except OSError as error:
            constraint, hint = "a folder that can be written", f"{error.strerror}."
            raise ParameterError(owner, "path", folder, constraint, hint) from None
        # mkdtemp's folder is for its owner alone; the one inside is for the server too
        inside = os.path.join(unfinished, "version")
        write(inside)
        return _rename(owner, inside, folder, version)
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        for each in made:
            with contextlib.suppress(OSError):  # not empty: it is in use
                os.rmdir(each)


def _rename(owner, source, folder, version):
    for _ in range(_ATTEMPTS):
        number = max([0, *numbers(folder)]) + 1 if version is None else int(version)
        target = os.path.join(folder, str(number))
        try:
            if not os.path.lexists(target):
                os.rename(source, target)
                return target
        except OSError:
            if not os.path.lexists(target):
                raise
        if version is not None:  # another export was faster
            break
    raise _exists(owner, folder, number)


def _exists(owner, folder, version):
    highest = max(numbers(folder), default=0)
    hint = f"{folder} has that version; the next free one is {highest + 1}."
    return ParameterError(owner, "version", version, "a number that is free", hint)


def _missing(folder):
    """The folders that have to be made for `folder`, innermost first."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing
