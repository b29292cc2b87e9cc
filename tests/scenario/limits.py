"""One thing at a time limits a replication between real servers; what does it say of that?

    observed = LIMITS["source"].observe(folder, source, target, samples=10)

Everything that can be told of a cause is counted in seconds of the worker's own metrics, from
`SETTLED_SECONDS` after the load has begun.
"""

import itertools
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from engine.capacity.sample import Cause
from tests.scenario.faults.proxied import Proxied, proxied
from tests.scenario.running import Event, Replication, Run, wall
from tests.servers.postgres import Database

SETTLED_SECONDS: Final = 5.0
"""From here on the verdict has to be right."""

TRIP_SECONDS: Final = 0.010
"""Round trip to a target that is far away."""

SLOW_BYTES: Final = 100_000.0
"""What a slow source sends in a second: a thousand rows."""

KEYS: Final = 2_000

VERDICT: Final = re.compile(r'penstock_verdict{cause="\w+",.*} 1\.0$')

_numbers = itertools.count(1)

WORK: Final = """
CREATE PROCEDURE work(count int, tables int, keys int) LANGUAGE plpgsql AS $$ BEGIN
  FOR number IN 1 .. count LOOP
    FOR place IN 1 .. tables LOOP
      EXECUTE format('UPDATE t%s SET value = value + 1 WHERE id BETWEEN $1 AND $1 + 4', place)
        USING 1 + floor(random() * keys)::bigint;
    END LOOP;
    COMMIT;
  END LOOP;
END $$
"""

WIDE_COLUMNS: Final = 40


@dataclass(frozen=True, slots=True)
class Observed:
    """`causes`: the verdict of each second in which it has to be right. `log`: all lines;
    `changes`: those of its size, in words."""

    causes: list[str]
    log: list[str]
    changes: list[str]

    def right(self, cause: Cause) -> float:
        """Part of the samples that say so."""
        return self.causes.count(cause.value) / len(self.causes)

    def tells(self, words: Sequence[str]) -> bool:
        """Whether one line about the verdict has all of them."""
        told = [line for line in self.log if "capacity.verdict" in line]
        return any(all(word in line for word in words) for line in told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`cause` limits. `load` is run on the source again and again, with a pause of so many seconds
    between. `on_target`: statements that make its tables other than those of the source; `words`
    stand in the log line that tells of the cause."""

    cause: Cause
    words: tuple[str, ...]
    tables: int = 8
    keys: int = KEYS
    key: str = "PRIMARY KEY"
    load: str = "CALL work(20, {tables}, {keys})"
    pause: float = 0.0
    on_target: str = ""
    source_command: Callable[[Proxied], None] | None = None
    target_command: Callable[[Proxied], None] | None = None
    blackhole: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def observe(
        self,
        folder: Path,
        source: Database,
        target: Database,
        samples: int,
        **capacity: object,
    ) -> Observed:
        """Run it, with a fixed size unless `capacity` says otherwise."""
        self._prepare(source, target)
        with self._way(source, self.source_command) as from_there, \
                self._way(target, self.target_command) as to_there:  # fmt: skip
            one = self._replication(folder, source, target, from_there, to_there, capacity)
            with one.run("--metrics=127.0.0.1:0", **self.environment) as run:
                run.state("streaming")
                with self._loading(source):
                    causes = _sampled(run, samples)
                run.stop()
        return Observed(causes, list(run.log), changes(run.events))

    def _prepare(self, source: Database, target: Database) -> None:
        source.execute(WORK)
        for database, key in ((source, "PRIMARY KEY"), (target, self.key)):
            for number in range(1, self.tables + 1):
                database.execute(f"CREATE TABLE t{number} (id bigint {key}, value bigint)")
                database.execute(
                    f"INSERT INTO t{number} SELECT g, 0 FROM generate_series(1, {self.keys + 5}) g"
                )
                database.execute(f"ANALYZE t{number}")
            columns = ", ".join(f"c{number} bigint" for number in range(WIDE_COLUMNS))
            database.execute(f"CREATE TABLE wide (id bigserial PRIMARY KEY, {columns})")
        if self.on_target:
            target.execute(self.on_target)

    def _replication(
        self,
        folder: Path,
        source: Database,
        target: Database,
        way: str,
        to: str,
        capacity: Mapping[str, object],
    ) -> Replication:
        sections: dict[str, Any] = {
            "capacity": {"min": 1, "max": 1, "unit_memory": "256MiB", **capacity},
            "apply": {"batch_rows_max": 20},
        }
        if self.blackhole:
            sections["target"] = {"engine": "blackhole"}
        name = f"limit-{os.getpid()}-{next(_numbers)}"
        return Replication.between(
            folder, name, source, target, kind="cdc", source_dsn=way, target_dsn=to, **sections
        )

    @contextmanager
    def _way(self, database: Database, command: Callable[[Proxied], None] | None) -> Iterator[str]:
        """How to get there: an address; empty for the straight way."""
        if command is None:
            yield ""
            return
        with proxied(database.cluster) as proxy:
            command(proxy)
            yield database.cluster.dsn(database.name, port=proxy.port)

    @contextmanager
    def _loading(self, source: Database) -> Iterator[None]:
        """Work on the source until the end of the context."""
        over = threading.Event()
        failed: list[Exception] = []
        sql = self.load.format(tables=self.tables, keys=self.keys)

        def work() -> None:
            try:
                with psycopg.connect(source.dsn, autocommit=True) as connection:
                    while not over.wait(self.pause):
                        connection.execute(sql)
            except Exception as error:  # noqa: BLE001 - shown by the test's thread
                failed.append(error)

        thread = threading.Thread(target=work, name="load")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if failed:
            raise failed[0]


def _sampled(run: Run, samples: int) -> list[str]:
    """What the worker says in so many seconds, once it had time to see."""
    address = run.event("listening")["address"]
    time.sleep(SETTLED_SECONDS)
    found: list[str] = []
    for _ in range(samples):
        time.sleep(1.0)
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
            said = [line for line in answer.read().decode().splitlines() if VERDICT.match(line)]
        found.append(said[0].split('"')[1] if said else "")
    return found


def changes(events: Sequence[Event]) -> list[str]:
    """Changes of size among events of a run, in words: when, from what, to what, by which rule."""
    began = next((wall(event) for event in events), 0.0)
    return [
        f"{wall(event) - began:.0f} s: {event['units_from']} -> {event['units_to']}"
        f" ({event['rule']})"
        for event in events
        if event["event"] == "capacity" and event["units_from"] != event["units_to"]
    ]


def _far(proxy: Proxied) -> None:
    proxy.do(lambda one: one.delay(TRIP_SECONDS / 2))


def _slow(proxy: Proxied) -> None:
    proxy.do(lambda one: one.throttle(SLOW_BYTES))


def dawdling(body: str, tables: int = 8) -> str:
    """Each row takes the target's tables time by a trigger of theirs."""
    made = (
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body}; RETURN NEW; END $$;"
    )
    return made + "".join(
        f"CREATE TRIGGER dawdle BEFORE UPDATE ON t{number} FOR EACH ROW EXECUTE FUNCTION dawdle();"
        for number in range(1, tables + 1)
    )


LIMITS: Final[Mapping[str, Limit]] = {
    "idle": Limit(cause=Cause.IDLE, words=(), load="CALL work(1, {tables}, {keys})", pause=0.2),
    "source": Limit(
        cause=Cause.SOURCE, words=("the source sends changes", "walsender"), source_command=_slow
    ),
    "cpu": Limit(
        cause=Cause.CPU,
        words=("our core is the limit", "most of it for", "split the tables"),
        load="INSERT INTO wide SELECT nextval('wide_id_seq'), "
        + ", ".join(f"g + {number}" for number in range(WIDE_COLUMNS))
        + " FROM generate_series(1, 2000) g",
        blackhole=True,
        environment={"PENSTOCK_PURE_PYTHON": "1"},
    ),
    "appliers": Limit(
        cause=Cause.APPLIERS,
        words=("all 4 appliers are at work", "round trip", "[capacity] max"),
        tables=32,
        target_command=_far,
    ),
    "target-no-index": Limit(
        cause=Cause.TARGET,
        words=("no primary key or index on the target", "public.t1", "not seen: the network"),
        keys=50_000,
        key="",
    ),
    "target-asleep": Limit(
        cause=Cause.TARGET,
        words=("a bottleneck on the target", "has them sleep", "not seen: a missing key or index"),
        on_target=dawdling("PERFORM pg_sleep(0.005)"),
    ),
    "target-starved": Limit(
        cause=Cause.TARGET,
        words=("a bottleneck on the target", "its cores"),
        on_target=dawdling("PERFORM count(*) FROM generate_series(1, 20000)"),
    ),
}
"""What can limit, each alone."""
