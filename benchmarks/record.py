"""What every benchmark writes: its figures, with versions and hardware."""

import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import keras

PACKAGES = ("tfrobustloss", "keras", "tensorflow", "jax", "torch", "numpy")


def versions():
    """Installed versions of what matters, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware():
    """The processor, its cores, and an accelerator if the backend has one."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    record = {"cpu": cpu, "cores": os.cpu_count(), "backend": keras.backend.backend()}
    if keras.backend.backend() == "jax":
        import jax

        record["devices"] = [str(device) for device in jax.devices()]
    return record


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
        "versions": versions(),
        "hardware": hardware(),
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
