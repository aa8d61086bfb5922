"""What a measurement ran on, for the records that have to say so."""

import importlib
import os
import platform

import keras
import numpy as np

import tfrobustloss
from tfrobustloss._core import backend as _backend


def versions():
    """Dict of the versions that a result may depend on."""
    backend = keras.backend.backend()
    return {
        "tfrobustloss": tfrobustloss.__version__,
        "keras": keras.__version__,
        "backend": backend,
        backend: importlib.import_module(backend).__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def hardware():
    """Dict of the processor's name, its number of cores and the backend's devices."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line for line in file if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip()
    except (OSError, IndexError):  # not Linux, or a processor without a name there
        processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "devices": _backend.devices(),
    }
