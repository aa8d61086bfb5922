"""Lines of JSON that survive a kill: checked, locked, and on disk when written."""

import contextlib
import json
import os
import warnings
import weakref
import zlib
from typing import Any

from tfrobustloss._core.validation import ParameterError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second process out
    fcntl = None  # type: ignore[assignment]

_CHECKSUM = b',"crc":"'
_open_journals: "weakref.WeakSet[Journal]" = weakref.WeakSet()

Path = str | os.PathLike[str]


class JournalInUse(ParameterError, RuntimeError):
    """Another search, here or in another process, has the journal open."""


class Journal:
    """A file of entries, the first of them the header, open for one search alone.

    Every line ends with a checksum of the rest of it. `entries` holds those up to the
    first damaged line; `keep` then says how many of them made sense.

    Args:
        path: Path of the file; it is made if it is not there.
        owner: Name of the search's class, for errors.
        file_format: What the header says of the file: a name, `/` and a version.

    Raises:
        JournalInUse: Another search, here or in another process, has it open.
        ValueError: No file can be written there, or the file is something else.
    """

    def __init__(self, path: Path, owner: str, file_format: str) -> None:
        self.path = os.fspath(path)
        self._owner, self._format = owner, file_format
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor: int | None = os.open(self.path, flags, 0o666)
        except OSError as problem:
            constraint = "the path of a file that can be written"
            raise ParameterError(
                owner, "journal", self.path, constraint, f"{problem.strerror}."
            ) from None
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        try:
            _lock(self._descriptor, self.path, owner)
            self._content = _read(self.path)
            self.entries, self._ends = _intact(
                self._content, self.path, owner, file_format
            )
        except BaseException:
            self.close()
            raise
        self._size = len(self._content)
        _open_journals.add(self)

    def keep(self, count: int) -> None:
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
            os.ftruncate(self._open_file(), end)
            os.fsync(self._open_file())
            self._size = end
        if intact and not intact.endswith(b"\n"):  # all a kill took was the line's end
            self._write(b"\n")
        self._content = b""

    def forget_untold(self) -> bool:
        """Empties the file if it has a header and no entry; returns if it is empty."""
        if self._size and self._ends and self._ends[0] == self._size:
            os.ftruncate(self._open_file(), 0)
            self._size, self.entries, self._ends, self._content = 0, [], [], b""
        return not self._size

    def append(self, entry: dict[str, Any]) -> None:
        """Writes one entry; it is on disk when this returns.

        Args:
            entry: Dict of plain JSON values.

        Raises:
            RuntimeError: The journal is closed.
        """
        body = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()
        self._write(b'%s%s%08x"}\n' % (body[:-1], _CHECKSUM, zlib.crc32(body)))

    def start(self, header: dict[str, Any]) -> None:
        """Writes the header of a new journal."""
        self.append({"format": self._format, **header})
        with contextlib.suppress(OSError):  # the new name too; not on every system
            folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Lets others open the file; nothing can be appended any more."""
        self._descriptor = None
        self._finalizer()

    def _open_file(self) -> int:
        if self._descriptor is None:
            hint = f"Resume the search: {self._owner}.resume(path)."
            error = ParameterError(self._owner, "journal", self.path, "open", hint)
            raise RuntimeError(str(error))
        return self._descriptor

    def _write(self, line: bytes) -> None:
        descriptor = self._open_file()
        try:
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
            self._size += len(line)
        except BaseException:  # a full disk, Ctrl-C: all of the line or nothing
            os.ftruncate(descriptor, self._size)
            raise


def header_of(path: Path, owner: str, file_format: str) -> dict[str, Any]:
    """The header of a journal that another search may have open.

    Args:
        path: Path of the file.
        owner: As in `Journal`.
        file_format: As in `Journal`.

    Returns:
        Dict, as it was given to `Journal.start`.

    Raises:
        ValueError: There is no file, or it has no intact header.
    """
    path = os.fspath(path)
    try:
        first_line = _read(path).partition(b"\n")[0]
    except OSError as problem:
        raise ParameterError(
            owner, "journal", path, "a journal", f"{problem.strerror}."
        ) from None
    entries, _ = _intact(first_line, path, owner, file_format)
    if not entries:
        hint = f"Its first line is damaged: give {owner} the options again."
        raise ParameterError(owner, "journal", path, "a journal with its options", hint)
    return entries[0]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _lock(descriptor: int, path: str, owner: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hint = "Close the other search, or give this one a journal of its own."
        constraint = "a file that no other search has open"
        raise JournalInUse(owner, "journal", path, constraint, hint) from None
    except OSError as problem:
        warnings.warn(
            f"{path}: cannot be locked here ({problem.strerror}); make sure that only "
            "one search writes to it.",
            stacklevel=5,
        )


def _intact(
    content: bytes, path: str, owner: str, file_format: str
) -> tuple[list[dict[str, Any]], list[int]]:
    """The entries up to the first damage, and where each of them ends."""
    entries: list[dict[str, Any]] = []
    ends: list[int] = []
    start = 0
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
    beginning = b'{"format":"%s' % file_format.partition("/")[0].encode()
    if not entries and content[: len(beginning)] != beginning[: len(content)]:
        constraint = f"a journal of {owner}, or new"
        hint = "Nothing was written to it."
        raise ParameterError(owner, "journal", path, constraint, hint)
    if entries and entries[0].get("format") != file_format:
        hint = f"Its format is {entries[0].get('format')!r}, not {file_format!r}."
        constraint = f"a journal of {owner} of this version"
        raise ParameterError(owner, "journal", path, constraint, hint)
    return entries, ends


def _keep_copy(path: str, content: bytes) -> str:
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


def _close_in_child() -> None:
    """A forked worker keeps neither the file nor, after its parent died, the lock."""
    for journal in list(_open_journals):
        journal.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
