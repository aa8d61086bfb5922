"""What every benchmark writes: its figures, with versions and hardware."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tfrobustloss._core import provenance


def commit():
    """The commit that was measured, with a mark if files were changed."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return run.stdout.strip() or None


def write(path, name, settings, results):
    """Writes the record of a run to `path` (nothing if that is None)."""
    if path is None:
        return
    record = {
        "benchmark": name,
        "commit": commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "settings": settings,
        "results": results,
    }
    path = Path(path)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.resolve().parent, delete=False, suffix=".tmp"
    ) as file:
        json.dump(record, file, indent=1)
        file.write("\n")
    os.replace(file.name, path)
