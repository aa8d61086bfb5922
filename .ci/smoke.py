"""Runs every example, and every benchmark with `--smoke`, in one process.

    python .ci/smoke.py

One import of TensorFlow instead of one a script. Each script runs as `__main__`, with
its own arguments and folder of modules, and leaves neither environment variables nor
Keras' global settings to the next. The scripts in `ALONE` get a process.
"""

import contextlib
import os
import pathlib
import runpy
import subprocess
import sys
import time

import keras

ROOT = pathlib.Path(__file__).resolve().parent.parent
NO_SCRIPTS = {"record.py"}
ALONE = {"search_faults.py"}  # its child processes import it as their `__main__`


@contextlib.contextmanager
def untouched():
    """Puts back what a script may change for those after it."""
    arguments, modules, environment = sys.argv, sys.path[:], dict(os.environ)
    policy, image_format = keras.config.dtype_policy(), keras.config.image_data_format()
    try:
        yield
    finally:
        sys.argv, sys.path[:] = arguments, modules
        os.environ.clear()
        os.environ.update(environment)
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(image_format)
        keras.utils.clear_session()


def run(path, *arguments):
    """Exit status of a script."""
    if path.name in ALONE:
        return subprocess.run(
            [sys.executable, path, *arguments], check=False
        ).returncode
    with untouched():
        sys.argv = [str(path), *arguments]
        sys.path.insert(0, str(path.parent))
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code)
                return 1
            return end.code or 0
    return 0


def main():
    """Runs all; the number of scripts that failed."""
    scripts = [(path, ()) for path in sorted(ROOT.glob("examples/*.py"))]
    benchmarks = sorted(ROOT.glob("benchmarks/*.py"))
    scripts += [(p, ("--smoke",)) for p in benchmarks if p.name not in NO_SCRIPTS]
    failed = []
    for path, arguments in scripts:
        print("==", path.relative_to(ROOT), *arguments, flush=True)
        begin = time.perf_counter()
        if run(path, *arguments):
            failed.append(path.name)
        print(f"   {time.perf_counter() - begin:.1f} s", flush=True)
    if failed:
        print("failed:", *failed)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
