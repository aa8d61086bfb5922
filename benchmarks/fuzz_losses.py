"""Random cases for every classification loss, looking for one that breaks it.

    python benchmarks/fuzz_losses.py --examples 20000

A case is a batch of six rows: logits from 1e-38 to 1e4, ties, one class that dominates,
one unit and 2 to 1000 classes, hard, smoothed and soft labels, every float type, and
parameters from their declared ranges, evenly, in powers of ten, and both ends, in every
setting of the battery. Held are: a finite value and gradient, the loss's bounds as a
function of its parameters, that ignored examples have neither, and that neither a row's
neighbours nor the order of the classes matter. A case that fails is made small and
printed as the command that runs it again. `tests/losses/test_fuzz.py` does the work;
every process takes its share of the losses, and each loss is named when it is done. A
thousand cases of one loss take about 10 seconds.
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
    parser.add_argument("--seed", type=int, default=0, help="of the cases")
    parser.add_argument("--loss", help="name of one class, the others left out")
    parser.add_argument("--case", help="JSON of one case, as a failure prints it")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    options = parser.parse_args(argv)
    if options.smoke:
        options.examples, options.processes = 3, 1
    begin = time.perf_counter()
    environment = {
        **os.environ,
        "FUZZ_EXAMPLES": str(options.examples),
        "FUZZ_SEED": str(options.seed),
    }
    if options.case:
        environment["FUZZ_CASE"] = options.case
        tests = f"{TEST}::test_one_case"
    else:
        tests = f"{TEST}::test_fuzz" + (f"[{options.loss}]" if options.loss else "")
    command = [sys.executable, "-m", "pytest", "-vv", "--tb=short"]
    command += ["-p", "no:cacheprovider", tests]
    if options.processes > 1 and not (options.loss or options.case):
        command += ["-n", str(options.processes), "--dist", "worksteal"]
    printed = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    printed = "".join(printed)
    reproducing = re.findall(r"python benchmarks/fuzz_losses.py --case .*", printed)
    for line in dict.fromkeys(reproducing):
        print(f"again: {line}")
    counts = {
        word: int(count)
        for count, word in re.findall(r"(\d+) (passed|failed)", printed)
    }
    row = {"examples": options.examples, "failed": 0, **counts}
    row |= {"seconds": time.perf_counter() - begin, "reproducing": reproducing}
    settings = {"examples": options.examples, "seed": options.seed}
    record.write(options.json, "fuzz_losses", settings, [row])
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
