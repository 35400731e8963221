"""How a benchmark node hands over its figures: one JSON file per node, in the folder BENCH_OUT."""

import json
import os
import sys


def write_result(**figures: object) -> None:
    """Write the figures of a node that is named by its first argument."""
    write_figures(sys.argv[1], **figures)


def write_figures(name: str, **figures: object) -> None:
    """Write the figures as BENCH_OUT/<name>.json; the file appears whole or not at all."""
    path = os.path.join(os.environ["BENCH_OUT"], name + ".json")
    with open(path + ".part", "w") as file:
        json.dump(figures, file)
    os.replace(path + ".part", path)
