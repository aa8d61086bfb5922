"""Lines of JSON that survive a kill: checked, locked, and on disk when written."""

import contextlib
import json
import math
import os
import warnings
import weakref
import zlib

import numpy as np

from tfrobustloss._core.validation import Described, ParameterError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second process out
    fcntl = None

_FORMAT = "tfrobustloss.CmaSearch/1"
_MAGIC = b'{"format":"tfrobustloss.CmaSearch'
_CHECKSUM = b',"crc":"'
_open_journals = weakref.WeakSet()


class InUse(Described, RuntimeError):
    """Another search, here or in another process, has the journal open."""


class Journal:
    """A file of entries, the first of them the header, open for one search alone.

    Every line ends with a checksum of the rest of it. `entries` holds those up to the
    first damaged line; `keep` then says how many of them made sense.

    Args:
        path: Path of the file; it is made if it is not there.

    Raises:
        InUse: Another search, here or in another process, has it open.
        ValueError: No file can be written there, or the file is something else.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as problem:
            constraint = "the path of a file that can be written"
            raise ParameterError(
                "CmaSearch", "journal", self.path, constraint, f"{problem.strerror}."
            ) from None
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        try:
            _lock(self._descriptor, self.path)
            self._content = _read(self.path)
            self.entries, self._ends = _intact(self._content, self.path)
        except BaseException:
            self.close()
            raise
        self._size = len(self._content)
        _open_journals.add(self)

    def keep(self, count):
        """Goes on after the first `count` entries.

        Where the file holds more, it is kept under another name, with a warning.
        """
        end = self._ends[count - 1] if count else 0
        intact, rest = self._content[:end], self._content[end:]
        if rest:
            copy = _keep_copy(self.path, self._content)
            first, last = count + 1, count + rest.rstrip(b"\n").count(b"\n") + 1
            lines = f"line {first}" if first == last else f"lines {first} to {last}"
            warnings.warn(
                f"{self.path}: damage in line {first}. Not used: {lines}. The search "
                f"goes on after the {count} lines before, in a shortened file; the "
                f"file as it was is kept as {copy}.",
                stacklevel=4,
            )
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
            self._size = end
        if intact and not intact.endswith(b"\n"):  # all a kill took was the line's end
            self._write(b"\n")
        self._content = None

    def forget_untold(self):
        """Empties the file if it has a header and no entry; returns if it is empty."""
        if self._size and self._ends and self._ends[0] == self._size:
            os.ftruncate(self._descriptor, 0)
            self._size, self.entries, self._ends, self._content = 0, [], [], b""
        return not self._size

    def append(self, entry):
        """Writes one entry; it is on disk when this returns.

        Args:
            entry: Dict of plain JSON values.

        Raises:
            RuntimeError: The journal is closed.
        """
        body = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()
        self._write(b'%s%s%08x"}\n' % (body[:-1], _CHECKSUM, zlib.crc32(body)))

    def start(self, header):
        """Writes the header of a new journal."""
        self.append({"format": _FORMAT, **header})
        with contextlib.suppress(OSError):  # the new name too; not on every system
            folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self):
        """Lets others open the file; nothing can be appended any more."""
        self._descriptor = None
        self._finalizer()

    def _write(self, line):
        if self._descriptor is None:
            raise RuntimeError(
                str(
                    ParameterError(
                        "CmaSearch",
                        "journal",
                        self.path,
                        "open",
                        "Resume the search: CmaSearch.resume(path).",
                    )
                )
            )
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            os.fsync(self._descriptor)
            self._size += len(line)
        except BaseException:  # a full disk, Ctrl-C: all of the line or nothing
            os.ftruncate(self._descriptor, self._size)
            raise


def header_of(path):
    """The header of a journal that somebody else may have open.

    Args:
        path: Path of the file.

    Returns:
        Dict, as it was given to `Journal.start`.

    Raises:
        ValueError: There is no such file, or it has no intact header.
    """
    path = os.fspath(path)
    try:
        entries, _ = _intact(_read(path).partition(b"\n")[0], path)
    except OSError as problem:
        raise ParameterError(
            "CmaSearch", "journal", path, "a journal", f"{problem.strerror}."
        ) from None
    if not entries:
        hint = "Its first line is damaged: give CmaSearch the options again."
        raise ParameterError(
            "CmaSearch", "journal", path, "a journal with its options", hint
        )
    return entries[0]


def entry_of(candidate, value):
    """The entry for the value of a candidate."""
    return {
        "generation": candidate.generation,
        "id": candidate.id,
        "x": candidate.x.tolist(),
        "value": value if math.isfinite(value) else str(value),
    }


def told(entry):
    """The point and the value of an entry."""
    return np.array(entry["x"], dtype=float), float(entry["value"])


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _lock(descriptor, path):
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "Close the other search, or give this one a journal of its own."
        constraint = "a file that no other search has open"
        raise InUse("CmaSearch", "journal", path, constraint, hint) from None
    except OSError as problem:
        warnings.warn(
            f"{path}: cannot be locked here ({problem.strerror}); see to it that "
            "one search alone writes to it.",
            stacklevel=5,
        )


def _intact(content, path):
    """The entries up to the first damage, and where each of them ends."""
    entries, ends, start = [], [], 0
    while start < len(content):
        stop = content.find(b"\n", start)
        stop = len(content) if stop < 0 else stop
        body, found, checksum = content[start:stop].rpartition(_CHECKSUM)
        body += b"}"
        if not found or checksum != b'%08x"}' % zlib.crc32(body):
            break
        entries.append(json.loads(body))
        start = min(stop + 1, len(content))
        ends.append(start)
    if not entries and content[: len(_MAGIC)] != _MAGIC[: len(content)]:
        hint = "Nothing was written to it."
        raise ParameterError(
            "CmaSearch", "journal", path, "a journal of CmaSearch, or new", hint
        )
    if entries and entries[0].get("format") != _FORMAT:
        hint = f"Its format is {entries[0].get('format')!r}, not {_FORMAT!r}."
        raise ParameterError(
            "CmaSearch", "journal", path, "a journal of this version", hint
        )
    return entries, ends


def _keep_copy(path, content):
    number = 1
    while True:
        copy = f"{path}.damaged-{number}"
        try:
            with open(copy, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return copy
        except FileExistsError:
            number += 1


def _close_in_child():
    """A forked worker keeps neither the file nor, after its parent died, the lock."""
    for journal in list(_open_journals):
        journal.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
