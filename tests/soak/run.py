"""One process under work and trouble for as long as it is told, and what it holds after each round.

A round: writers as fast as the source takes them, a burst of a large table, a column renamed, a
table loaded again, connections cut on one side, the target restarted; then everything comes to
rest and is counted. The process is the same from the first round to the last.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.scenario.running import Replication, Run
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database
from tests.soak.resting import CENSUS, Figures, figures
from tests.soak.worker import CENSUS_FILE

WORKER: Final = (sys.executable, "-m", "tests.soak.worker")

ROUNDS_MIN: Final = 8
"""Six are left of them after the warm-up, the fewest in which a steady rise is no chance."""

WORK_SECONDS: Final = 0.7
"""Of writing between two troubles."""

OWN_SCHEMA: Final = """
CREATE TABLE burst (id int PRIMARY KEY, value text);
CREATE TABLE renamed (id int PRIMARY KEY, this text);
INSERT INTO renamed SELECT g, 'row' FROM generate_series(1, 100) g;
"""

BURST: Final = (
    "INSERT INTO burst SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 20000) g"
)

CUT: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'penstock%'"
)

TROUBLES_PER_ROUND: Final = 5


@dataclass(slots=True)
class Soaked:
    """`rounds`: what was held at each rest. `differences`: between both servers at the end."""

    rounds: list[Figures] = field(default_factory=list[Figures])
    transactions: int = 0
    differences: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


def soak_between(source: Cluster, target: Cluster, *, seconds: float, seed: int) -> Soaked:
    """Soak between fresh databases of these servers, of which the target is restarted often."""
    ends = Database.create(source, "soak_from"), Database.create(target, "soak_to")
    with tempfile.TemporaryDirectory() as folder:
        soaked = Soak(Replication.between(Path(folder), "soak", *ends), seed).run(seconds)
    for database in ends:
        database.drop()
    return soaked


class Soak:
    """Rounds of one seed between two databases; `work_seconds` of writing before each trouble."""

    def __init__(
        self, replication: Replication, seed: int, work_seconds: float = WORK_SECONDS
    ) -> None:
        self._work_seconds = work_seconds
        self._replication = replication
        self._source = replication.source
        self._target = replication.target
        self._random = random.Random(seed)
        self._seed = seed
        self._column = "this"
        self._number = 0

    def run(self, seconds: float, rounds_min: int = ROUNDS_MIN) -> Soaked:
        """Soak for that long, at least for so many rounds, then compare everything."""
        soaked = Soaked()
        create(self._source)
        self._source.execute(OWN_SCHEMA)
        began = time.monotonic()
        with self._start() as run:
            run.state("streaming")
            while time.monotonic() - began < seconds or len(soaked.rounds) < rounds_min:
                soaked.transactions += self._round(run)
                soaked.rounds.append(figures(self._replication, run))
            assert run.stop() == 0, run.story()
        soaked.seconds = time.monotonic() - began
        soaked.differences = self._replication.differences() + broken_rules(self._target)
        return soaked

    def _start(self) -> Run:
        """The worker alone, without a supervisor that would replace it."""
        folder = self._replication.folder
        words = ["--report=1", "--log-format=json", f"--state-dir={folder / 'state'}", "--"]
        environment = {CENSUS_FILE: str(folder / CENSUS)}
        return Run([*words, str(self._replication.file)], environment, WORKER)

    def _round(self, run: Run) -> int:
        """One round to its rest; the transactions written meanwhile."""
        self._number += 1
        troubles: list[Callable[[Run], None]] = [
            self._burst,
            self._rename,
            self._load_again,
            self._cut,
            self._restart_target,
        ]
        self._random.shuffle(troubles)
        with Writers(self._source, seed=self._seed + self._number, pause_seconds=0.0) as writers:
            for trouble in troubles:
                time.sleep(self._work_seconds)
                trouble(run)
        self._source.execute("TRUNCATE audit, burst")
        self._replication.await_applied(run)
        return writers.committed

    def _burst(self, run: Run) -> None:
        self._source.execute("DELETE FROM burst")
        self._source.execute(BURST)

    def _rename(self, run: Run) -> None:
        """Back and forth: what is remembered of versions must not grow by that."""
        before, self._column = self._column, "that" if self._column == "this" else "this"
        self._source.execute(f"ALTER TABLE renamed RENAME COLUMN {before} TO {self._column}")
        self._source.execute(f"UPDATE renamed SET {self._column} = '{self._number}'")

    def _load_again(self, run: Run) -> None:
        mark = run.mark
        code, said = self._replication.command("reload", "public.moving")
        assert code == 0, said
        run.table("public.moving", "streaming", after=mark)

    def _cut(self, run: Run) -> None:
        """Every connection of ours, on one side."""
        side: Database = self._random.choice((self._source, self._target))
        mark = run.mark
        side.execute(CUT)
        run.state("retrying", after=mark)
        run.state("streaming", after=mark)

    def _restart_target(self, run: Run) -> None:
        mark = run.mark
        self._target.cluster.restart(self._random.choice(("fast", "immediate")))
        run.state("retrying", after=mark)
        run.state("streaming", after=mark)
