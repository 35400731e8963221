"""How long `dora validate` takes for every broken file of the tests, for hello world and for two hundred nodes.

    python benchmarks/validate_runs.py [ROUNDS]

Prints the fastest of ROUNDS (5) starts of the whole command for each file: elapsed, and CPU time, which other work on
the machine disturbs less.  The budgets are 150 ms, and 500 ms for two hundred nodes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Time(NamedTuple):
    """Milliseconds of one start."""

    elapsed: float
    cpu: float


def files() -> list[Path]:
    """What is validated."""
    broken = sorted((ROOT / "tests" / "dataflow" / "broken").glob("*.yml"))
    good = [
        ROOT / "examples" / "hello-world" / "dataflow.yml",
        ROOT / "benchmarks" / "dataflows" / "robot" / "dataflow.yml",
    ]
    return [*good, *broken]


def validate(file: Path) -> Time:
    """One start of the command."""
    started, before = time.perf_counter(), _cpu_s()
    command = [sys.executable, "-m", "dora", "validate", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        process.wait()  # without a timeout: with one, Python looks only every 50 ms
    return Time((time.perf_counter() - started) * 1000, (_cpu_s() - before) * 1000)


def _cpu_s() -> float:
    """Of all commands so far, in microseconds' steps."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure all files and print a line for each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'file':48} {'elapsed ms':>10} {'CPU ms':>8}")
    for file in files():
        times = [validate(file) for _ in range(rounds)]
        elapsed, cpu = min(each.elapsed for each in times), min(each.cpu for each in times)
        print(f"{file.parent.name + '/' + file.name:48} {elapsed:10.0f} {cpu:8.0f}", flush=True)


if __name__ == "__main__":
    main()
