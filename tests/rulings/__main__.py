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


def pytest(root: Path, tests: list[str]) -> tuple[int, str]:
    """Run tests in a copy of the project, and end what they leave behind; exit code and last line."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={_LIMIT_S}", *tests]
    try:
        ended = subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT_S * (1 + len(tests)),
        )
        outcome = ended.returncode, (ended.stdout.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired:
        outcome = -1, "does not end"
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("PYTHONPATH") == environment["PYTHONPATH"]:
            process.kill()
    kill_descendants()  # what has lost that variable is a child of this process now
    return outcome


def copy_project(root: Path) -> None:
    """What the tests need."""
    for name in _COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, root)


def unnoticed(root: Path, rule: Rule) -> list[str]:
    """The tests of a rule that do not fail when it is broken in that copy, which is mended again."""
    broken = root / rule.file
    text = broken.read_text()
    rule.break_in(root)
    outcomes = {test: pytest(root, [test]) for test in rule.tests}
    broken.write_text(text)
    return [f"{test}: {said}" for test, (code, said) in outcomes.items() if code != _FAILED]


def main() -> int:
    """Try the rules that were asked for."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    texts = sys.argv[1:]
    wanted = [rule for rule in rules() if not texts or any(t == f"11.{rule.ruling}" or t in rule.says for t in texts)]
    if not wanted:
        print(f"no rule is called {' or '.join(texts)}: expected a number such as 11.3 or words of tests/rulings/*.yml")
        return 1
    missed = 0
    with tempfile.TemporaryDirectory(prefix="dora-ruling-") as folder:
        root = Path(folder)
        copy_project(root)
        code, said = pytest(root, sorted({test for rule in wanted for test in rule.tests}))
        if code:
            print(f"the tests do not pass as they are: {said}")
            return 1
        for rule in wanted:
            found = unnoticed(root, rule)
            missed += bool(found)
            verdict = "NOT NOTICED" if found else "noticed"
            print(f"11.{rule.ruling} {rule.says}: {verdict}", *found, sep="\n    ", flush=True)
    print(f"{len(wanted) - missed} of {len(wanted)} rules are held by their tests")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
