"""How a benchmark node hands over its figures: one JSON file per node, in the folder BENCH_OUT."""

import json
import os
import sys


def write_result(**figures: object) -> None:
    """Write the figures as BENCH_OUT/<first argument of the node>.json; the file appears whole or not at all."""
    path = os.path.join(os.environ["BENCH_OUT"], sys.argv[1] + ".json")
    with open(path + ".part", "w") as file:
        json.dump(figures, file)
    os.replace(path + ".part", path)
