"""Output files: checked before the work starts, and written atomically."""

import contextlib
import os

from tfrobustloss._core.validation import ParameterError


def check_writable(owner, name, path):
    """Raises if no file can be written at `path`; leaves nothing behind.

    Args:
        owner: Name of the class or function that took the path, for errors.
        name: Name of its parameter.
        path: Path of the file to be written later.

    Raises:
        ValueError: The folder does not exist or cannot be written to, or the path
            exists and is not a plain file.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not path or (os.path.exists(target) and not os.path.isfile(target)):
        constraint = "the path of a file"
        raise ParameterError(owner, name, path, constraint)
    if not os.path.isdir(folder):
        constraint, hint = "in a folder that exists", f"Make it: mkdir -p {folder}"
        raise ParameterError(owner, name, path, constraint, hint)
    try:
        with _unfinished(target):
            pass
    except OSError as error:
        constraint, hint = "a file that can be written", f"{error.strerror}."
        raise ParameterError(owner, name, path, constraint, hint) from None


def write(path, content):
    """Writes bytes to `path` atomically: readers see the old file or the new one.

    Args:
        path: Path of the file; an existing one is replaced.
        content: Bytes.
    """
    target = os.path.realpath(path)
    with _unfinished(target) as file:
        file.write(content)
        file.flush()
        os.replace(file.name, target)


@contextlib.contextmanager
def _unfinished(target):
    """A new file next to `target`, removed at the end unless it was renamed."""
    path = f"{target}.{os.getpid()}.tmp"
    try:
        with open(path, "wb") as file:
            yield file
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
