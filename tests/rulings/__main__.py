"""Proves that a test notices when a ruling does not hold: `python tests/rulings [TEXT ...]`.

Each rule is broken in a copy of the project, and its tests run there.  A test that passes all the same is printed, and
the command ends with 1.  With TEXT only rules of that number (`11.3`), or with that text in their words, are tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from table import ROOT, Rule, rules

from dora.runner.minder import PR_SET_CHILD_SUBREAPER, prctl
from dora.runner.processes import kill_descendants

_LIMIT_S = 120
_FAILED = 1
_COPIED = ("src", "tests", "examples", "docs", "benchmarks")


def pytest(root: Path, test: str) -> tuple[int, str]:
    """Run one test in a copy of the project, and end what it leaves behind; exit code and last line."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={_LIMIT_S}", test]
    try:
        ended = subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * _LIMIT_S,
        )
        outcome = ended.returncode, (ended.stdout.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired:
        outcome = -1, "does not end"
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("PYTHONPATH") == environment["PYTHONPATH"]:
            process.kill()
    kill_descendants()  # what has lost that variable is a child of this process now
    return outcome


def outcomes(root: Path, rule: Rule) -> dict[str, tuple[int, str]]:
    """How its tests end."""
    return {test: pytest(root, test) for test in rule.tests}


def unnoticed(rule: Rule) -> list[str]:
    """The tests of a rule that do not fail, or not only, when it is broken."""
    with tempfile.TemporaryDirectory(prefix="dora-ruling-") as folder:
        root = Path(folder)
        for name in _COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
        for path in ROOT.glob("*.*"):
            if path.is_file():
                shutil.copy(path, root)
        before = outcomes(root, rule)
        found = [f"{test} fails without the change, too: {said}" for test, (code, said) in before.items() if code]
        if not found:
            rule.break_in(root)
            after = outcomes(root, rule)
            found = [f"{test}: {said}" for test, (code, said) in after.items() if code != _FAILED]
    return found


def main() -> int:
    """Try the rules that were asked for."""
    texts = sys.argv[1:] or [""]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wanted = [rule for rule in rules() if any(text in f"11.{rule.ruling} {rule.says}" for text in texts)]
    missed = 0
    for rule in wanted:
        found = unnoticed(rule)
        missed += bool(found)
        print(
            f"11.{rule.ruling} {rule.says}: {'NOT NOTICED' if found else 'noticed'}", *found, sep="\n    ", flush=True
        )
    print(f"{len(wanted) - missed} of {len(wanted)} rules are held by their tests")
    return 1 if missed or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
