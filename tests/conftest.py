"""Every test: warnings are errors, the seed is fixed, there is no network."""

import gc
import os
import signal
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# XLA's own passes, but code for the processor is generated in the way that takes a
# quarter of the time, which changes how results are rounded. `.ci/run` runs the
# mathematics of the battery on JAX without these flags. An XLA that lacks one of them
# names it and stops.
_QUICK_XLA = (
    "--xla_backend_optimization_level=0",  # of LLVM
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("XLA_FLAGS", " ".join(_QUICK_XLA))

import keras  # noqa: E402
import pytest  # noqa: E402

# Warnings of others that we cannot avoid, each with where it comes from.
_KNOWN_WARNINGS = [
    # TensorFlow's tensors, each time Keras makes a numpy array of one
    "__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    # Keras Tuner's `synchronized`, at every call of an oracle
    "currentThread:DeprecationWarning",
    "getName:DeprecationWarning",
]


# JAX and PyTorch run what is marked `numerics`: all tests of these places, but of the
# files below only those that they mark themselves
_NUMERICS = (
    "tests/losses/",
    "tests/training/",
    "tests/test_layers.py",
    "tests/test_metrics.py",
    "tests/experiments/test_comparison.py",
    "tests/experiments/trainer/",
)
_MARK_THEIR_OWN = {
    "test_arguments.py",
    "test_battery_bites.py",
    "test_describe.py",
    "test_every_loss.py",
    "test_fuzz.py",
    "test_interoperability.py",
    "test_task_losses.py",
}


def pytest_collection_modifyitems(items):
    for item in items:
        place = item.nodeid.split("::")[0]
        if place.startswith(_NUMERICS) and item.path.name not in _MARK_THEIR_OWN:
            item.add_marker(pytest.mark.numerics)


def pytest_collection_finish(session):
    """Spares the collector what stays anyway: the modules of TensorFlow and the tests.

    It would walk through half a million objects of theirs each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_configure(config):
    config.addinivalue_line("markers", "numerics: depends on the backend's arithmetic")
    config.addinivalue_line("filterwarnings", "error")
    for known in _KNOWN_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{known}")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # 10 bits of mantissa where the tests expect float32's 23
        tf.config.experimental.enable_tensor_float_32_execution(False)


def pytest_make_parametrize_id(config, val, argname):
    """Names that are the same in every process, which pytest-xdist compares."""
    if " at 0x" in repr(val):
        return getattr(val, "__name__", type(val).__name__)
    return None


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _ctrl_c_works():
    """A job that a script starts in the background ignores it; tests here press it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    connect = socket.socket.connect

    def connect_locally(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"a test wants the network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)
