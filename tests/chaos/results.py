"""What ran, kept: one JSON file per run, which the reliability card adds up."""

import json
import os
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

from tests.chaos.curves import curves
from tests.chaos.suite import Failure, Outcome

ROOT: Final = Path(__file__).resolve().parents[2]

FOLDER: Final = ROOT / "docs" / "reliability"

PACKAGES: Final = ("penstock", "asyncpg", "psycopg")

KEPT: Final = (":!docs/reliability", ":!docs/reliability.md")
"""What runs write themselves is no change of what they ran on."""

BUSY: Final = 1.0
"""Threads of others that want a core from which on times say more of them than of us."""

LOOKS: Final = 20
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Record:
    """One run of one or more suites. `part`: the share of the tier's size that was run; `changed`:
    the working tree held what the commit does not; `others`: threads of other work that
    wanted a core as it began or ended, on average."""

    date: str
    commit: str
    changed: bool
    tier: str
    part: float
    seed: int
    machine: str
    versions: Mapping[str, str]
    suites: Mapping[str, Outcome]
    others: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether the machine had other work: what was measured is kept, and not shown."""
        return self.others >= BUSY

    @classmethod
    def now(
        cls, tier: str, part: float, seed: int, suites: Mapping[str, Outcome], others: float
    ) -> Self:
        """A record of what has just been run here. `others`: from `others_at_work`, before."""
        versions = {package: version(package) for package in PACKAGES}
        return cls(
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            _git("rev-parse", "HEAD"),
            bool(_git("status", "--porcelain", "--", ".", *KEPT)),
            tier,
            part,
            seed,
            _machine(),
            {"python": platform.python_version(), **versions},
            suites,
            round(others, 1),
        )

    def store(self, folder: Path) -> Path:
        """Write it into the folder, and beside it the curves of what was measured; where it is."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = self.date.replace("-", "").replace(":", "")
        path = folder / f"{stamp}-{self.tier}-{self.commit[:8]}.json"
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["suites"] = {name: _plain(outcome) for name, outcome in self.suites.items()}
        path.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n")
        for name, outcome in self.suites.items():
            if outcome.measured:
                path.with_suffix(f".{name}.svg").write_text(curves(outcome.measured))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        plain: dict[str, Any] = json.loads(path.read_text())
        suites = {name: _outcome(found) for name, found in plain.pop("suites").items()}
        return cls(**plain, suites=suites)


def stored(folder: Path = FOLDER) -> Sequence[Record]:
    """Every record, oldest first."""
    return [Record.read(path) for path in sorted(folder.glob("*.json"))]


def _plain(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "trials": dict(outcome.trials),
        "failures": [asdict(failure) for failure in outcome.failures],
        "reached": dict(outcome.reached),
        "seconds": round(outcome.seconds, 1),
        "measured": {name: [round(v, 4) for v in vs] for name, vs in outcome.measured.items()},
    }


def _outcome(plain: Mapping[str, Any]) -> Outcome:
    return Outcome(
        Counter(plain["trials"]),
        [Failure(**failure) for failure in plain["failures"]],
        Counter(plain["reached"]),
        plain["seconds"],
        plain["measured"],
    )


def others_at_work() -> float:
    """Threads that want a core now beside our own, on average over a second; 0 where the system
    does not tell. Source: proc_loadavg(5)."""
    told = Path("/proc/loadavg")
    if not told.exists():
        return 0.0
    wanting = 0
    for _ in range(LOOKS):
        time.sleep(LOOK_SECONDS)
        wanting += int(told.read_text().split()[3].partition("/")[0]) - 1
    return wanting / LOOKS


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
