"""Stuck is not idle: a server or a link that says nothing is told within half a minute, and left
for another as soon as one can be had. Beside each an idle replication stays ready. Each takes the
half minute, so all are nightly."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.scenario.dialects import ERRORS, server_of
from tests.scenario.faults.proxied import proxied
from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, Side
from tests.scenario.running import kill, until
from tests.scenario.scraped import METRICS, Gauges
from tests.servers.mysql import MysqlDatabase
from tests.servers.proxy import FaultProxy

TOLD_SECONDS = 30.0

MARGIN_SECONDS = 4.0
"""For a scrape, and the seconds at which the process looks."""

PAIRS = [
    pytest.param(("15", "18"), id="postgres"),
    pytest.param(("mariadb-10.11", "mysql-9"), id="mariadb"),
    pytest.param(("mysql-9", "mariadb-10.11"), id="mysql"),
]

TABLES = ("t", "t1", "t2")

pytestmark = pytest.mark.nightly


@pytest.fixture(params=PAIRS)
def sides(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    for table in TABLES:
        source.execute(f"CREATE TABLE {SCHEMA}.{table} (id int PRIMARY KEY)")
    yield source, target
    source.drop()
    target.drop()


Replicate = Callable[..., PairReplication]


@pytest.fixture
def replicate(sides: tuple[Side, Side], tmp_path_factory: pytest.TempPathFactory) -> Replicate:
    def make(name: str, table: str = "t", **sections: object) -> PairReplication:
        folder = tmp_path_factory.mktemp(name)
        sections["mapping"] = {"include": [f"{SCHEMA}.{table}"]}
        return PairReplication.between(folder, f"{name}-{os.getpid()}", *sides, **sections)  # type: ignore[arg-type]

    return make


def _through(side: Side, port: int) -> str:
    database = side.database
    if isinstance(database, MysqlDatabase):
        return database.server.url(port=port)
    return database.cluster.dsn(database.name, port=port)


def _told(gauges: Gauges, stage: str, began: float) -> None:
    """In the metric, in `/readyz` and in the log, in time."""
    gauges.until(lambda g: g.stuck(stage), f"{stage} to be stuck")
    assert time.monotonic() - began <= TOLD_SECONDS + MARGIN_SECONDS
    answer = gauges.readiness()
    assert answer["ok"] is False
    gauges.until(lambda g: not g.readiness()["ok"], "readiness to be refused")


def _flows(source: Side, target: Side, gauges: Gauges, key: int, table: str = "t") -> None:
    """What is committed arrives, and nothing is stuck."""
    source.execute(f"INSERT INTO {SCHEMA}.{table} VALUES ({key})")
    found = f"SELECT count(*) FROM {SCHEMA}.{table} WHERE id = {key}"
    until(lambda: target.execute(found)[0][0] == 1, "the row", run=gauges.run)
    gauges.until(lambda g: g.readiness()["ok"], "readiness")
    gauges.scrape()
    assert not any(gauges.stuck(stage) for stage in ("source", "target", "loop"))


def test_a_source_and_a_target_that_say_nothing(
    replicate: Replicate, sides: tuple[Side, Side]
) -> None:
    """Both at once, over two replications, and a third one that is idle."""
    source, target = sides
    with proxied(server_of(source.database)) as left, proxied(server_of(target.database)) as right:
        runs = [
            replicate("source-silent", source={"url": _through(source, left.port)}).run(METRICS),
            replicate("target-silent", "t1", target={"url": _through(target, right.port)}).run(
                METRICS
            ),
            replicate("idle", "t2").run(METRICS),
        ]
        with runs[0], runs[1], runs[2]:
            for run in runs:
                run.state("streaming")
            gauges = [Gauges.of(run, SCHEMA) for run in runs]
            for each, table in zip(gauges, TABLES, strict=True):
                _flows(source, target, each, 1, table)
            began, marks = time.monotonic(), [run.mark for run in runs]
            for proxy in (left, right):
                proxy.do(FaultProxy.black_hole)
            for table in TABLES[:2]:
                source.execute(f"INSERT INTO {SCHEMA}.{table} VALUES (2)")
            _told(gauges[0], "source", began)
            _told(gauges[1], "target", began)
            late = gauges[0].scrape().value("cdc_latency_source_seconds")
            assert late is not None
            assert abs(late - (time.monotonic() - began)) <= 8
            assert gauges[2].readiness()["ok"]
            runs[0].says("a stage is stuck")
            for run, mark in zip(runs[:2], marks, strict=False):
                run.state("retrying", after=mark)
            for proxy in (left, right):
                proxy.do(FaultProxy.cut)  # as the network that forgot these connections does
                proxy.do(FaultProxy.resume)
            for each, table in zip(gauges, TABLES, strict=True):
                _flows(source, target, each, 3, table)
            for run in runs:
                assert run.stop() == 0, run.story()
                assert not [e for e in run.events if e["event"] == "restarting"], run.story()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_is_frozen(replicate: Replicate, sides: tuple[Side, Side], side: str) -> None:
    source, target = sides
    server = server_of((source if side == "source" else target).database)
    if server is server_of((target if side == "source" else source).database):
        pytest.skip("both are databases of one server")
    with replicate(f"{side}-frozen").run(METRICS) as run:
        run.state("streaming")
        gauges = Gauges.of(run, SCHEMA)
        _flows(source, target, gauges, 1)
        began = time.monotonic()
        if side == "target":
            source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2)")
        server.sigstop()
        try:
            _told(gauges, side, began)
        finally:
            server.sigcont()
        _flows(source, target, gauges, 3)
        assert run.stop() == 0, run.story()


ASKED = {
    "tables": ("ownership.claimed", "SELECT count(*) FROM penstock.owner WHERE replication = '{}'"),
    "chunks": (
        "load.planned",
        "SELECT count(*) FROM penstock.table_state WHERE replication = '{}' AND state = 'loading'",
    ),
}
"""What a source is asked next when the process comes to a crash point, and how the target shows
that it has come there."""


@pytest.mark.parametrize("asked", ASKED)
def test_a_source_that_is_frozen_before_it_streams(
    replicate: Replicate, sides: tuple[Side, Side], asked: str
) -> None:
    """While its tables are described, and while chunks are planned; the process sleeps just before,
    so that it is frozen in time."""
    source, target = sides
    server = server_of(source.database)
    if server is server_of(target.database):
        pytest.skip("both are databases of one server")
    point, there = ASKED[asked]
    replication = replicate(f"{asked}-frozen", "%")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1)")
    with replication.run(METRICS, PENSTOCK_FAILPOINT=f"{point}:1:sleep") as run:
        gauges = Gauges.of(run, SCHEMA)
        until(lambda: _found(target, there.format(replication.id)), "the crash point", run=run)
        server.sigstop()
        began = time.monotonic()
        try:
            gauges.until(lambda g: g.stuck("source"), "the source to be stuck", patience=60.0)
            assert time.monotonic() - began <= TOLD_SECONDS + MARGIN_SECONDS
            assert gauges.readiness()["ok"] is False
            run.says("it was asked for ")
        finally:
            server.sigcont()
        run.state("streaming", patience=90.0)
        _flows(source, target, gauges, 3)
        assert run.stop() == 0, run.story()


def _found(side: Side, question: str) -> bool:
    """Whether there is a row yet, or even the table."""
    try:
        return bool(side.execute(question)[0][0])
    except ERRORS:
        return False


# --- one session of PostgreSQL --------------------------------------------------------------------


@pytest.fixture
def servers(ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source("15"), ends.target("18")
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    yield source, target
    source.drop()
    target.drop()


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


def test_a_walsender_that_stands_still_while_its_server_goes_on(
    servers: tuple[Side, Side], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The head moves and nothing is read. The slot stays taken until it goes on or is ended."""
    source, target = servers
    replication = PairReplication.between(
        tmp_path_factory.mktemp("walsender"), "walsender", source, target
    )
    with replication.run(METRICS) as run:
        run.state("streaming")
        gauges = Gauges.of(run, SCHEMA)
        _flows(source, target, gauges, 1)
        found = source.execute("SELECT active_pid FROM pg_replication_slots WHERE active")
        began = time.monotonic()
        with _stopped([int(found[0][0])]):
            source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2)")
            _told(gauges, "source", began)
            assert "nothing of it was read" in gauges.readiness()["reason"]
        _flows(source, target, gauges, 3)
        assert run.stop() == 0, run.story()


def test_an_appliers_session_that_answers_nothing_is_cut(
    servers: tuple[Side, Side], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its server answers, and says that it waits for us: what we sent it never came there."""
    source, target = servers
    replication = PairReplication.between(
        tmp_path_factory.mktemp("applier"), "applier", source, target
    )
    with replication.run(METRICS) as run:
        run.state("streaming")
        gauges = Gauges.of(run, SCHEMA)
        _flows(source, target, gauges, 1)
        mark = run.mark
        with _stopped(_sessions(target, "applier")):
            source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2)")
            run.state("retrying", after=mark)
            run.says("and the answer has not come here")
        _flows(source, target, gauges, 3)
        assert run.stop() == 0, run.story()


def _sessions(target: Side, replication: str) -> list[int]:
    """Those of its server for a replication."""
    found = target.execute(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = 'penstock/{replication}'"
    )
    return [int(pid) for (pid,) in found]


def test_a_process_that_is_frozen_is_replaced(
    servers: tuple[Side, Side], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, target = servers
    replication = PairReplication.between(
        tmp_path_factory.mktemp("process"), "process", source, target
    )
    with replication.run(METRICS) as run:
        run.state("streaming")
        _flows(source, target, Gauges.of(run, SCHEMA), 1)
        frozen, mark = run.worker, run.mark
        kill(frozen, signal.SIGSTOP)
        run.await_event(lambda e: e["event"] == "restarting", "another worker", after=mark)
        run.state("streaming", after=mark)
        assert run.worker != frozen
        _flows(source, target, Gauges.of(run, SCHEMA), 2)
        assert run.stop() == 0, run.story()
