"""Try a guard: the project without it, in a folder of its own, and the tests that hold it."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.mutants.guard import Guard

ROOT: Final = Path(__file__).parents[2]

COPIED: Final = ("engine", "connectors", "tests", "docs", "pyproject.toml", "README.md")
"""What the tests read. Servers are linked, so nothing is fetched again."""

LIMIT_SECONDS: Final = 120.0
"""Code without its guard may wait for ever for what it has lost: that is noticed, too."""

TESTS_FAILED: Final = 1
"""pytest's exit code when tests ran and some failed; other codes say that they did not run."""


class Outcome(StrEnum):
    HELD = "held"
    HUNG = "hung"
    MISSED = "missed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Trial:
    """`told` is the first failed test, or the last line where nothing failed as it should."""

    guard: Guard
    outcome: Outcome
    seconds: float
    told: str

    @property
    def good(self) -> bool:
        """A test failed, or waited for what will not come."""
        return self.outcome in (Outcome.HELD, Outcome.HUNG)


def copy_project(folder: Path) -> None:
    """The project as it stands here, to be changed in `folder`."""
    folder.chmod(0o755)  # servers run as another user than root
    for name in COPIED:
        here = ROOT / name
        if here.is_dir():
            shutil.copytree(here, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(here, folder / name)
    (folder / ".cache").mkdir()
    servers = ROOT / ".cache" / "servers"
    if servers.exists():
        (folder / ".cache" / "servers").symlink_to(servers.resolve())


def place(folder: Path, guard: Guard) -> int:
    """How often the guard's code stands in its file: once, or the guard is out of date."""
    return (folder / guard.file).read_text(encoding="utf-8").count(guard.code)


def attempt(folder: Path, guard: Guard) -> Trial:
    """Take the guard out of the copy in `folder`, run its tests, and put it back."""
    file = folder / guard.file
    whole = file.read_text(encoding="utf-8")
    started = time.monotonic()
    if whole.count(guard.code) != 1:
        return Trial(guard, Outcome.BROKEN, 0.0, f"its code does not stand once in {guard.file}")
    file.write_text(whole.replace(guard.code, guard.without), encoding="utf-8")
    try:
        outcome, told = _run(folder, guard)
    finally:
        file.write_text(whole, encoding="utf-8")
    return Trial(guard, outcome, time.monotonic() - started, told)


def _run(folder: Path, guard: Guard) -> tuple[Outcome, str]:
    try:
        done = run_tests(folder, guard.held_by, LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome.HUNG, f"no end within {LIMIT_SECONDS:.0f} s"
    lines = done.stdout.strip().splitlines() or ["nothing was printed"]
    if done.returncode == TESTS_FAILED:
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        return Outcome.HELD, (failed or lines)[0]
    return (Outcome.MISSED if done.returncode == 0 else Outcome.BROKEN), lines[-1]


def run_tests(
    folder: Path, tests: tuple[str, ...], limit_seconds: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """pytest in the copy; the first failure ends it. Raises subprocess.TimeoutExpired."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-rfE", "--no-header", *tests]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=limit_seconds
    )
