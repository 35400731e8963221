"""Measures this project beside dora-rs: `python benchmarks/run.py [--peer VENV] [--quick]`.

The same node files run on both, one after the other, in alternating order, for several rounds; floors (one copy, one
pipe wake-up, the least Python programs) are measured in every round too.  Without `--peer` an environment with dora-rs
is made in the user's cache folder.  A whole run writes `docs/performance.{json,md,png}`; a quick or partial one writes
into `out/`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cases
import floors
import least
import page
import plot
import sides

HERE = Path(__file__).parent

Values = dict[str, dict[str, dict[str, list[float]]]]
"""Case -> side ("ours", "peer", "machine") -> figure -> one value per round."""


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure this project beside dora-rs.")
    parser.add_argument("--peer", default=os.environ.get("DORA_RS_VENV"), help="virtual environment with dora-rs")
    parser.add_argument("--ours", help="virtual environment with this project (default: the one that runs this)")
    parser.add_argument("--rounds", type=int, help="how often each case runs on each side (5; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="shorter cases")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with TEXT in their name")
    parser.add_argument("--output", type=Path, help="folder for performance.json, .md and .png")
    parser.add_argument("--from-json", type=Path, help="measure nothing; make page and plot from this file")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    is_whole = not (chosen.quick or chosen.only)
    chosen.output = chosen.output or (HERE.parent / "docs" if is_whole else HERE / "out")
    return chosen


def measure_floors(values: Values, is_quick: bool) -> None:
    """Add one round of what the machine itself can do."""
    for size, rate in cases.RATES_HZ.items():
        copy = floors.memcpy(size, rate, count=5 if is_quick else 20)
        for figure, value in copy._asdict().items():
            values[f"memcpy-{size}"]["machine"][figure].append(value)
    count = 100 if is_quick else 400
    values["pipe"]["machine"]["wake_up_us"].append(floors.pipe_wake_up_us(200, count))
    for rate in least.RATES_HZ:
        values["least"]["machine"][f"at_{rate}_hz_us"].append(least.message_us(rate, count))
    values["least"]["machine"]["chain_us"].append(least.chain_us(100, count))
    values["least"]["machine"]["fan_out_us"].append(least.fan_out_us(200, count))


def measure_case(case: cases.Case, side: sides.Side, values: Values, is_quick: bool) -> str:
    """Add one run of a case; returns what to say about it."""
    try:
        figures = case.measure(side, is_quick)
    except (cases.Failed, subprocess.SubprocessError) as error:
        values[case.name][side.name]["failures"].append(1)
        return f"{side.name} failed: {error}"
    for figure, value in figures.items():
        values[case.name][side.name][figure].append(value)
    return f"{side.name} " + ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())


def measure_all(chosen: argparse.Namespace, both: list[sides.Side]) -> Values:
    """All rounds of all chosen cases."""
    values: Values = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for number in range(chosen.rounds):
        measure_floors(values, chosen.quick)
        for case in cases.CASES:
            if chosen.only in case.name:
                for side in both if number % 2 == 0 else reversed(both):
                    said = measure_case(case, side, values, chosen.quick)
                    print(f"round {number + 1}/{chosen.rounds} {case.name}: {said}", flush=True)
    return values


def machine() -> str:
    """The machine, in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}"


def main() -> None:
    """Measure, write the figures, the page and the plot, print the table."""
    chosen = options()
    if chosen.from_json:
        report: dict[str, Any] = json.loads(chosen.from_json.read_text())
    else:
        both = [sides.ours(chosen.ours), sides.peer(chosen.peer)]
        head = {side.name: side.version() for side in both} | {"machine": machine(), "rounds": chosen.rounds}
        head |= {"load_before": os.getloadavg()[0], "started": time.strftime("%Y-%m-%d")}
        head |= {"is_quick": chosen.quick}
        report = {**head, "values": measure_all(chosen, both), "load_after": os.getloadavg()[0]}
    chosen.output.mkdir(exist_ok=True, parents=True)
    (chosen.output / "performance.json").write_text(json.dumps(report, indent=1) + "\n")
    text = page.page(report)
    (chosen.output / "performance.md").write_text(text)
    if not chosen.only:
        plot.draw(report["values"], chosen.output / "performance.png")
    print(text)


if __name__ == "__main__":
    main()
