"""Random cases for every classification loss, looking for one that breaks it.

    python benchmarks/fuzz_losses.py --examples 20000

A case is a batch of six rows: logits from 1e-38 to 1e4, ties, one class that dominates,
2 to 1000 classes, hard, smoothed and soft labels, every float type, and parameters from
their declared ranges with both ends. Held are: a finite value and gradient, the bounds
that the battery declares, and that neither a row's neighbours nor the order of the
classes matter. A case that fails is made small and printed as the command that runs it
again. `tests/losses/test_fuzz.py` does the work; every process takes its share of the
losses. A thousand cases of one loss take about 20 seconds.
"""

import argparse
import os
import re
import subprocess
import sys
import time

import record

TEST = "tests/losses/test_fuzz.py"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2000, help="cases a loss")
    parser.add_argument("--seed", type=int, default=0, help="0: the same every time")
    parser.add_argument("--loss", help="name of one row of the battery")
    parser.add_argument("--case", help="JSON of one case, as a failure prints it")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    options = parser.parse_args(argv)
    if options.case and not options.loss:
        parser.error("--case needs --loss")
    if options.smoke:
        options.examples, options.processes = 3, 1
    begin = time.perf_counter()
    environment = {
        **os.environ,
        "FUZZ_EXAMPLES": str(options.examples),
        "FUZZ_SEED": str(options.seed),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    command.append(TEST)
    if options.case:
        environment |= {"FUZZ_LOSS": options.loss, "FUZZ_CASE": options.case}
        command += ["-k", "test_one_case"]
    elif options.loss:
        command += ["-k", f"test_fuzz and {options.loss}"]
    else:
        command += ["-k", "test_fuzz and not one_case"]
        if options.processes > 1:
            command += ["-n", str(options.processes)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr[-2000:])
    reproducing = re.findall(
        r"python benchmarks/fuzz_losses.py --loss .*", result.stdout
    )
    for line in dict.fromkeys(reproducing):
        print(f"again: {line}")
    counts = {
        word: int(count)
        for count, word in re.findall(r"(\d+) (passed|failed)", result.stdout)
    }
    row = {"examples": options.examples, "failed": 0, **counts}
    row |= {"seconds": time.perf_counter() - begin, "reproducing": reproducing}
    settings = {"examples": options.examples, "seed": options.seed}
    record.write(options.json, "fuzz_losses", settings, [row])
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
