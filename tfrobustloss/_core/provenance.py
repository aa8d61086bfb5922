"""Versions and hardware, for the records of measurements."""

import importlib
import os
import platform

import keras
import numpy as np

import tfrobustloss
from tfrobustloss._core.backend import devices


def versions() -> dict[str, str]:
    """Versions of the packages that a result may depend on."""
    backend = keras.backend.backend()
    return {
        "tfrobustloss": tfrobustloss.__version__,
        "keras": keras.__version__,
        "backend": backend,
        backend: importlib.import_module(backend).__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def hardware() -> dict[str, object]:
    """Name of the processor, number of cores and devices of the backend."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line for line in file if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip()
    except (OSError, IndexError):  # not Linux, or no name given there
        processor = platform.processor() or platform.machine()
    return {"processor": processor, "cores": os.cpu_count(), "devices": devices()}
