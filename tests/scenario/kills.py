"""kill -9 at random moments while writers run, then every table compared whole.

    python -m tests.scenario.kills --count 200 [--seed N] [--mode key-parallel] [--load]
    python -m tests.scenario.kills --source mariadb-10.11 --target 18 --count 50 --servers

A third of the kills ends the supervisor, and the worker must die with it; the others end the worker
alone, and the supervisor starts the next. Half of them come while a worker starts, a quarter when
it streams, a quarter after its first durable progress, whose time from the start of its process is
measured: which it is to be is chosen before, so a slow start is measured like any other. No start
is given a flag. With `--servers` every fifth kill ends the source's or the target's server, which
is started again; the worker has to go on by itself.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.scenario.dialects import AnyDatabase, AnyServer, Session, connect, server_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import side
from tests.scenario.running import PATIENCE_SECONDS, Run, wall
from tests.scenario.workload import LOAD_SCHEMA, TABLES, broken_rules, create
from tests.scenario.writers import Writers, audited
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import Cluster

START_SECONDS: Final = 0.8
"""A worker's start takes about this long: kills fall anywhere in it."""

EARLY_MAX: Final = 3
"""Kills in a row that may come before a worker streams: a supervisor whose workers never get that
far gives up after five, as it should."""

STREAM_SECONDS: Final = 0.6
"""How far into streaming, or behind the first progress, a kill may fall."""

PROGRESS: Final = "SELECT coalesce(sum(seq), 0) FROM penstock.checkpoint WHERE replication = '{}'"
"""Grows with every transaction of a replication that is durable on the target."""

PROGRESS_LOOK_SECONDS: Final = 0.01

KILLS_PER_SERVER_KILL: Final = 5
"""Where servers are killed too: one in so many kills, and one at least."""

SERVERS: Final = ("source server", "target server")

POSTGRES_WHOLE_PAGES: Final[Mapping[str, object]] = {"full_page_writes": "on"}

MYSQL_WHOLE_PAGES: Final[Mapping[str, object]] = {"innodb_doublewrite": True}
"""A killed server has written part of a page at times. What it has acknowledged is in the kernel:
`innodb_flush_log_at_trx_commit = 2`, and the binary log is handed over at each commit whatever
`sync_binlog` says."""


class Replicated(Protocol):
    """What is killed: `tests.scenario.running.Replication` or a pair's."""

    id: str

    @property
    def ends(self) -> tuple[AnyDatabase, AnyDatabase]: ...

    def run(self, *arguments: str, **environment: str) -> Run: ...

    def catch_up(self) -> None: ...

    def differences(self, tables: Sequence[str] = ()) -> Sequence[str]: ...


class Killer:
    """Kills `penstock run` again and again; the same seed chooses the same moments."""

    def __init__(
        self,
        replication: Replicated,
        seed: int,
        *,
        measuring: bool = True,
        servers: bool = False,
    ) -> None:
        """`measuring`: the target has positions, and writers run. `servers`: kill them too."""
        self._measuring = measuring
        self._servers = servers
        self._replication = replication
        self._random = random.Random(seed)
        self._early = 0
        self.killed: Counter[str] = Counter()
        """Kills by whom they ended."""
        self.to_progress: list[float] = []
        """Seconds from the start of a worker's process to its first durable progress."""
        self.recovered: list[float] = []
        """Seconds from the start of a killed server to the first durable progress."""

    def run(self, count: int) -> None:
        """Make so many kills; leaves nothing of Penstock running."""
        victims = deque(self._victims(count))
        while victims:
            with self._replication.run() as run:
                self._kill_workers(run, victims)

    def _victims(self, count: int) -> Sequence[str]:
        """Whom the kills end, one after the other."""
        chosen = ["supervisor" if self._random.random() < 1 / 3 else "worker" for _ in range(count)]
        if self._servers and count > 1:
            some = self._random.sample(range(count - 1), max(1, count // KILLS_PER_SERVER_KILL))
            for number, place in enumerate(some, start=self._random.randrange(2)):
                chosen[place] = SERVERS[number % 2]
        return [*chosen[:-1], "supervisor"]

    def _kill_workers(self, run: Run, victims: deque[str]) -> None:
        """Kill workers of this run until the supervisor is killed too."""
        seen, fresh = 0, True
        while True:
            began = run.mark if seen else 0
            run.event("started", after=seen)
            self._await_moment(run, seen, fresh=fresh)
            whom = victims.popleft()
            self.killed[whom] += 1
            match whom:
                case "supervisor":
                    run.kill_supervisor()
                    return
                case "worker":
                    seen, fresh = max(run.mark, began), True
                    run.kill_worker()
                case _:
                    fresh = False
                    self._kill_server(self._replication.ends[SERVERS.index(whom)], run)

    def _kill_server(self, database: AnyDatabase, run: Run) -> None:
        server = server_of(database)
        server.kill9()
        server.start()
        if self._measuring:
            began = time.time()
            self._await_progress(run)
            self.recovered.append(time.time() - began)

    def _await_moment(self, run: Run, seen: int, *, fresh: bool) -> None:
        """`fresh`: the worker has just started."""
        if fresh and self._random.random() < 0.5 and self._early < EARLY_MAX:
            self._early += 1
            time.sleep(self._random.uniform(0, START_SECONDS))
            return
        self._early = 0
        if fresh and self._measuring and self._random.random() < 0.5:
            # Its predecessor's last COMMIT has long come to an end, one way or the other.
            self._await_progress(run)
            self.to_progress.append(time.time() - _process_began(run, seen))
        elif fresh:
            run.state("streaming", after=seen)
        time.sleep(self._random.uniform(0, STREAM_SECONDS))

    def _await_progress(self, run: Run) -> None:
        """Wait for durable progress."""
        session = connect(self._replication.ends[1])
        try:
            before = self._progress(session)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self._progress(session) == before:
                if time.monotonic() > deadline:
                    raise AssertionError(f"no progress in {PATIENCE_SECONDS} s\n{run.story()}")
                time.sleep(PROGRESS_LOOK_SECONDS)
        finally:
            session.close()

    def _progress(self, session: Session) -> int:
        ((found,),) = session.execute(PROGRESS.format(self._replication.id))
        session.rollback()  # the next look sees the next state
        return int(found)


def _process_began(run: Run, seen: int) -> float:
    """When the newest worker's process was started: with its supervisor, or by it."""
    again = [event for event in run.events[seen:] if event["event"] == "restarting"]
    return wall(again[-1]) + float(again[-1]["delay_seconds"]) if again else run.began


def applying(mode: str) -> dict[str, object]:
    """How to apply in a mode: in key-parallel, batches as small as these are divided too."""
    return {"mode": mode, "share_rows_min": 1} if mode == "key-parallel" else {"mode": mode}


def loading(engine: str) -> dict[str, Mapping[str, object]]:
    """What a file says where `LOAD_SCHEMA` is loaded from such a source: chunks of which its tables
    have several, and that inserts alone are carried of one that PostgreSQL logs no old rows of."""
    said: dict[str, Mapping[str, object]] = {"load": {"rows_per_chunk": 1000}}
    if engine == "postgres":
        said["source"] = {"without_identity": "insert-only"}
    return said


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done: so many kills, chosen by this seed. `load`: from the first moment of the load
    on, else in the stream alone. `servers`: kill them too."""

    count: int
    seed: int
    mode: str = "table-parallel"
    load: bool = False
    servers: bool = False

    @property
    def audited(self) -> bool:
        """In transactional mode no reading of the target may show what the source never was."""
        return self.mode == "transactional" and not self.load


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it: transactions written meanwhile, kills by whom they ended, seconds to each
    measured start's first progress and from a server's return to the next."""

    committed: int
    by_victim: Mapping[str, int]
    to_progress: Sequence[float]
    recovered: Sequence[float]


def kill_and_compare(replication: Replicated, plan: Plan, *, tables: Sequence[str] = ()) -> Killed:
    """The whole story, on a source that has the workload's tables. `tables`: what is compared.

    Stop writing, let a last start catch up, compare everything.
    """
    source, target = replication.ends
    killer = Killer(replication, plan.seed, measuring=not plan.load, servers=plan.servers)
    large = set(LOAD_SCHEMA) <= set(tables)
    writers = Writers(source, seed=plan.seed, loading=large, lasting=plan.servers)
    try:
        with writers:
            with _audited(target, plan):
                killer.run(plan.count)
            committed = writers.stop()
        replication.catch_up()
        found = replication.differences(tables)
        assert not found, found
        assert not broken_rules(source)
        assert not broken_rules(target)
    except BaseException as error:
        error.add_note(f"seed {plan.seed}")
        raise
    return Killed(committed, killer.killed, killer.to_progress, killer.recovered)


@contextmanager
def _audited(target: AnyDatabase, plan: Plan) -> Iterator[None]:
    if not plan.audited:
        yield
        return
    with audited(target):
        yield


def prepare(replication: Replicated, *, loaded: bool, loading: bool = False) -> None:
    """The workload's tables; `loaded`: a first run has brought them to the target; `loading`: large
    ones too."""
    create(replication.ends[0], loading=loading)
    if loaded:
        replication.catch_up()


def kill_between(source: AnyServer, target: AnyServer, plan: Plan) -> Killed:
    """The whole story between fresh databases of these servers."""
    name = f"kills_{plan.seed}"
    start = side(source, f"{name}_from", source=True)
    end = side(target, f"{name}_to", source=False)
    sections = {"apply": applying(plan.mode), **(loading(start.engine) if plan.load else {})}
    with tempfile.TemporaryDirectory() as folder:
        replication = PairReplication.between(
            Path(folder), f"kills-{plan.seed}", start, end, **sections
        )
        prepare(replication, loaded=not plan.load, loading=plan.load)
        tables = (*TABLES, *LOAD_SCHEMA) if plan.load else TABLES
        killed = kill_and_compare(replication, plan, tables=tables)
    start.drop()
    end.drop()
    return killed


def kill_on(source: str, target: str, plan: Plan) -> Killed:
    """The whole story between servers of its own, named by version."""
    with server(source) as start, server(target) as end:
        return kill_between(start, end, plan)


def server(name: str) -> AnyServer:
    """`18`, or a name of `tests.servers.mysql_programs.NAMES`; its pages survive a kill."""
    if name.isdecimal():
        return Cluster(name, settings=POSTGRES_WHOLE_PAGES)
    return MysqlServer(name, settings=MYSQL_WHOLE_PAGES)


def command(source: str, target: str, plan: Plan) -> str:
    """What does the same again."""
    flags = f"{' --load' if plan.load else ''}{' --servers' if plan.servers else ''}"
    return (
        f"python -m tests.scenario.kills --source {source} --target {target}"
        f" --count {plan.count} --seed {plan.seed} --mode {plan.mode}{flags}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenario.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--mode", default="table-parallel")
    parser.add_argument("--source", default="15", help="15, mariadb-10.11, mysql-9, ...")
    parser.add_argument("--target", default="18", help="likewise")
    parser.add_argument("--load", action="store_true", help="kill in the full load too")
    parser.add_argument("--servers", action="store_true", help="kill the servers too")
    given = parser.parse_args()
    plan = Plan(given.count, given.seed, given.mode, given.load, given.servers)
    sys.stdout.write(f"{command(given.source, given.target, plan)}\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    killed = kill_on(given.source, given.target, plan)
    took = time.monotonic() - began
    by = ", ".join([f"{count} of a {whom}" for whom, count in killed.by_victim.items()])
    sys.stdout.write(
        f"{given.count} kills ({by}) in {took:.0f} s over {killed.committed} transactions:"
        " 0 differences\n"
    )
    _tell("a start", killed.to_progress)
    _tell("a server's return", killed.recovered)


def _tell(what: str, seconds: Sequence[float]) -> None:
    if seconds:
        shown = " ".join([f"{value:.2f}" for value in sorted(seconds)])
        sys.stdout.write(f"seconds from {what} to the next progress: {shown}\n")


if __name__ == "__main__":
    main()
