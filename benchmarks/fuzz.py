"""Feeds random bytes to everything that reads what another process wrote: `python benchmarks/fuzz.py [--minutes N]`.

Strategy: each target of `tests/fuzzing/` runs in a process of its own, so that a crash of the interpreter is a finding
like any other.  The bytes that are being tried stand in a file; a finding is printed with them, and
`--try TARGET HEX` repeats it.  Bytes are random, or mutations of earlier ones that did something new (measured by the
lines of dora's code that they reached), so the search goes on where there is something to find.
The seed is printed; the same seed makes the same first choices.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fuzzing.targets import TARGETS

SIZES: Final = (8, 40, 200, 1000)
CORPUS: Final = 500


class Reached:
    """The lines of dora's code that were reached so far."""

    def __init__(self) -> None:
        self._lines: set[tuple[int, int]] = set()
        self._is_own: dict[int, bool] = {}
        self.is_new = False

    def watch(self, target: Callable[[bytes], None], data: bytes, *, looks: bool) -> None:
        """Run the target; `is_new` tells whether it reached anything new, if it `looks` (which takes its time)."""
        self.is_new = False
        sys.settrace(self._enter if looks else None)
        try:
            target(data)
        finally:
            sys.settrace(None)

    def __len__(self) -> int:
        return len(self._lines)

    def _enter(self, frame: object, event: str, _: object) -> object:
        return self._step if "/src/dora/" in frame.f_code.co_filename else None

    def _step(self, frame: object, event: str, _: object) -> object:
        place = (id(frame.f_code), frame.f_lineno)
        if place not in self._lines:
            self._lines.add(place)
            self.is_new = True
        return self._step


def mutate(chooser: random.Random, corpus: list[bytes]) -> bytes:
    """Bytes to try next."""
    if not corpus or chooser.random() < 0.3:
        return chooser.randbytes(chooser.choice(SIZES))
    data = bytearray(chooser.choice(corpus))
    for _ in range(chooser.randint(1, 5)):
        at = chooser.randint(0, len(data))
        kind = chooser.randrange(4)
        if kind == 0:
            data[at : at + 1] = chooser.randbytes(1)
        elif kind == 1:
            data[at:at] = chooser.randbytes(chooser.randint(1, 16))
        elif kind == 2:
            del data[at : at + chooser.randint(1, 16)]
        else:
            other = chooser.choice(corpus)
            data[at:] = other[min(at, len(other)) :]
    return bytes(data)


def search(name: str, seed: int, until_s: float, file: Path) -> int:
    """Try until it is time or something is found; returns the exit code of this process."""
    faulthandler.enable()
    chooser = random.Random(f"{name} {seed}")
    corpus: list[bytes] = []
    reached, tries = Reached(), 0
    while time.monotonic() < until_s:
        data = mutate(chooser, corpus)
        file.write_bytes(data)
        tries += 1
        try:
            reached.watch(TARGETS[name], data, looks=tries % 4 == 0)
        except BaseException:
            traceback.print_exc()
            return 1
        if reached.is_new and len(corpus) < CORPUS:
            corpus.append(data)
    print(f"{name:<14}{tries:>9,} tries, {len(reached):>6,} lines of dora reached", flush=True)
    return 0


def run(name: str, seed: int, seconds: float) -> bool:
    """One target in a process of its own; whether it held."""
    with tempfile.TemporaryDirectory(prefix="dora-fuzz-") as folder:
        file = Path(folder) / "bytes"
        command = [sys.executable, __file__, "--search", name, "--seed", str(seed), "--file", str(file)]
        environment = os.environ | {"TMPDIR": folder}
        try:
            ended = subprocess.run([*command, "--seconds", str(seconds)], env=environment, timeout=seconds * 2 + 120)
            code: int | str = ended.returncode
        except subprocess.TimeoutExpired:
            code = "none: it hangs"
        if code == 0:
            return True
        found = file.read_bytes().hex() if file.exists() else ""
        print(f"{name}: FOUND, exit code {code}; repeat with\n  python benchmarks/fuzz.py --try {name} {found}")
        return False


def main() -> int:
    """Search in all targets, or repeat a finding."""
    parser = argparse.ArgumentParser(description="Feed random bytes to everything that reads another process's.")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together (10)")
    parser.add_argument("--only", default="", metavar="TARGET", help=f"one of {', '.join(TARGETS)}")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--try", nargs=2, dest="repeat", metavar=("TARGET", "HEX"), help="repeat a finding")
    for name in ("--search", "--file", "--seconds"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeat:
        TARGETS[options.repeat[0]](bytes.fromhex(options.repeat[1]))
        return 0
    if options.search:
        return search(options.search, options.seed, time.monotonic() + float(options.seconds), Path(options.file))
    names = [name for name in TARGETS if options.only in ("", name)]
    print(f"seed {options.seed}, {options.minutes:g} minutes, {len(names)} targets", flush=True)
    held = [run(name, options.seed, options.minutes * 60 / len(names)) for name in names]
    print(f"{sum(held)} of {len(names)} targets held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
