"""What the metrics say of lag, against what the script knows: when it committed, and how much.

One run goes through every state in turn. `LATE_SECONDS` is what the guide promises, and what a
scrape and a statement take on a busy machine beside it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from engine.observe.lag import FRESH_SECONDS
from tests.scenario.dialects import server_of
from tests.scenario.faults.proxied import Proxied, proxied
from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, Side
from tests.scenario.running import until
from tests.scenario.scraped import METRICS, Gauges
from tests.servers.mysql import MysqlDatabase
from tests.servers.proxy import FaultProxy

LATE_SECONDS: Final = 3.0
"""Of what was read: a gauge is a second old, MariaDB tells whole seconds of a commit."""

UNREAD_SECONDS: Final = 8.0
"""Of what was not read: the head is asked for every five seconds."""

ROWS: Final = 40
WIDTH: Final = 1_000
"""Rows that wait, and the bytes of one."""

LARGE_ROWS: Final = 1_500
LARGE_WIDTH: Final = 20_000
"""30 MB, more than the queue of a process with 128 MiB."""

PAIRS: Final = [
    pytest.param(("15", "18"), id="postgres"),
    pytest.param(("mariadb-10.11", "18"), id="mariadb", marks=pytest.mark.nightly),
    pytest.param(("mysql-9", "mariadb-10.11"), id="mysql", marks=pytest.mark.nightly),
]


class Script:
    """A run, both its servers behind proxies, and what is known of it."""

    def __init__(
        self, replication: PairReplication, source_proxy: Proxied, target_proxy: Proxied
    ) -> None:
        self.replication = replication
        self.source, self.target = replication.source, replication.target
        self.source_proxy, self.target_proxy = source_proxy, target_proxy
        self.next = 1

    def commit(self, table: str = "held", rows: int = 1) -> float:
        """A transaction of so many rows; when it was committed."""
        first, self.next = self.next, self.next + rows
        values = ", ".join(f"({n}, '{'x' * WIDTH}')" for n in range(first, first + rows))
        self.source.execute(f"INSERT INTO {SCHEMA}.{table} VALUES {values}")
        return time.time()

    def arrived(self, table: str) -> bool:
        count = f"SELECT count(*) FROM {SCHEMA}.{table}"
        return self.source.execute(count) == self.target.execute(count)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody on the target holds a row that every change waits for: it is changed first."""
        session = self.target.session()
        try:
            session.execute(f"UPDATE {SCHEMA}.held SET body = 'mine' WHERE id = 0")
            other = f"'theirs {self.next}'"  # a row that stays as it is, MySQL does not log
            self.source.execute(f"UPDATE {SCHEMA}.held SET body = {other} WHERE id = 0")
            yield
        finally:
            session.rollback()
            session.close()


def _through(side: Side, proxy: Proxied) -> str:
    database = side.database
    if isinstance(database, MysqlDatabase):
        return database.server.url(port=proxy.port)
    return database.cluster.dsn(database.name, port=proxy.port)


@pytest.fixture(params=PAIRS)
def script(
    request: pytest.FixtureRequest, ends: Ends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Script]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    for table in ("held", "free"):
        source.execute(f"CREATE TABLE {SCHEMA}.{table} (id int PRIMARY KEY, body text)")
    source.execute(f"INSERT INTO {SCHEMA}.held VALUES (0, 'first')")
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(proxied(server_of(side.database))) for side in (source, target)
        ]
        replication = PairReplication.between(
            tmp_path_factory.mktemp("lag"),
            f"lag-{request.param[0].replace('.', '-')}",
            source,
            target,
            source={"url": _through(source, proxies[0])},
            target={"url": _through(target, proxies[1])},
            apply={"mend_interval": "2s"},
        )
        yield Script(replication, *proxies)
    source.drop()
    target.drop()


def _caught_up(gauges: Gauges) -> bool:
    shown = [gauges.value(f"cdc_latency_{side}_seconds") for side in ("source", "target")]
    shown += [gauges.table("held", unit) for unit in ("seconds", "bytes", "rows")]
    return [*shown, gauges.value("cdc_incoming_changes")] == [0.0] * 6


def _agree(shown: float | None, since: float, tolerance: float) -> None:
    known = time.time() - since
    assert shown is not None
    assert abs(shown - known) <= tolerance, f"{shown:.1f} s, known {known:.1f} s"


def test_lag_agrees_with_what_is_known(script: Script) -> None:
    _through_states(script, _stalled, _open_transaction)
    _restarted(script)


@pytest.mark.nightly
def test_lag_agrees_with_what_is_known_in_every_state(script: Script) -> None:
    _through_states(
        script, _idle, _busy, _large, _source_silent, _target_away, _stopped_table, _loading
    )


def _through_states(script: Script, *states: Callable[[Script, Gauges], None]) -> None:
    with script.replication.run(METRICS) as run:
        run.state("streaming")
        gauges = Gauges.of(run, SCHEMA)
        for table in ("held", "free"):  # with the first change comes a description, which counts
            script.commit(table)
        for state in states:
            gauges.until(_caught_up, f"no lag before {state.__name__}")
            state(script, gauges)
        assert run.stop() == 0, run.story()


def _idle(_: Script, gauges: Gauges) -> None:
    """Also after the time for which the source's word is believed."""
    _watch(gauges, 12, _caught_up)


def _busy(script: Script, gauges: Gauges) -> None:
    def near(gauges: Gauges) -> bool:
        script.commit("free")
        sides = [gauges.value(f"cdc_latency_{side}_seconds") or 0.0 for side in SIDES]
        return max(*sides, gauges.table("free", "seconds") or 0.0) <= LATE_SECONDS

    _watch(gauges, 3, near)


SIDES: Final = ("source", "target")


def _stalled(script: Script, gauges: Gauges) -> None:
    with script.locked():
        since = time.time()
        script.commit(rows=ROWS)
        gauges.until(lambda g: g.table("held", "rows") == ROWS + 1, "rows that wait")
        for _ in range(2):
            time.sleep(1.5)
            gauges.scrape()
            _agree(gauges.table("held", "seconds"), since, LATE_SECONDS)
            _agree(gauges.value("cdc_latency_target_seconds"), since, LATE_SECONDS)
            size = gauges.table("held", "bytes")
            assert size is not None
            assert ROWS * WIDTH <= size <= 3 * ROWS * WIDTH
            assert gauges.value("cdc_incoming_changes") == ROWS + 1
            assert gauges.table("free", "rows") == 0
            assert (gauges.table("free", "seconds") or 0.0) <= LATE_SECONDS
            assert (gauges.value("cdc_latency_source_seconds") or 0.0) <= LATE_SECONDS


def _large(script: Script, gauges: Gauges) -> None:
    """A committed transaction that is larger than the queue: read in part, and applied in none."""
    with script.locked():
        since = time.time()
        session = script.source.session()
        rows = [f"({-n - 1000}, '{'y' * LARGE_WIDTH}')" for n in range(LARGE_ROWS)]
        for first in range(0, LARGE_ROWS, 100):
            values = ", ".join(rows[first : first + 100])
            session.execute(f"INSERT INTO {SCHEMA}.held VALUES {values}")
        session.commit()
        session.close()
        committed = time.time()
        gauges.until(lambda g: (g.table("held", "rows") or 0) > 100, "a part of it")
        time.sleep(4)
        gauges.scrape()
        _agree(gauges.table("held", "seconds"), since, LATE_SECONDS)
        _agree(gauges.value("cdc_latency_target_seconds"), since, LATE_SECONDS)
        unread = gauges.value("cdc_latency_source_seconds") or 0.0
        assert unread <= time.time() - committed + LATE_SECONDS
    until(lambda: script.arrived("held"), "the rows", run=gauges.run)


def _source_silent(script: Script, gauges: Gauges) -> None:
    """Commits go on, and nothing of them can be seen."""
    script.source_proxy.do(FaultProxy.black_hole)
    since = script.commit()
    try:
        gauges.until(
            lambda g: (g.value("cdc_latency_source_seconds") or 0.0) > FRESH_SECONDS,
            "a silent source to look late",
        )
        _agree(gauges.value("cdc_latency_source_seconds"), since, UNREAD_SECONDS)
        _agree(gauges.table("held", "seconds"), since, UNREAD_SECONDS)
        assert gauges.value("cdc_latency_target_seconds") == 0
    finally:
        script.source_proxy.do(FaultProxy.cut)
        script.source_proxy.do(FaultProxy.resume)
    until(lambda: script.arrived("held"), "the row", run=gauges.run)


def _open_transaction(script: Script, gauges: Gauges) -> None:
    session = script.source.session()
    session.execute(f"INSERT INTO {SCHEMA}.held VALUES (-1, 'open')")
    since = time.time()
    try:
        gauges.until(_behind, "the open transaction")
        _agree(gauges.value("cdc_latency_source_seconds"), since, LATE_SECONDS)
        assert gauges.value("cdc_latency_target_seconds") == 0
        assert gauges.table("held", "seconds") == 0
        session.commit()
    finally:
        session.close()


def _behind(gauges: Gauges) -> bool:
    return (gauges.value("cdc_latency_source_seconds") or 0.0) > LATE_SECONDS


def _target_away(script: Script, gauges: Gauges) -> None:
    """Nothing is read meanwhile, so what was not late becomes so."""
    script.target_proxy.do(FaultProxy.refuse)
    script.target_proxy.do(FaultProxy.cut)
    since = script.commit()
    time.sleep(5)
    gauges.scrape()
    _agree(gauges.value("cdc_latency_source_seconds"), since, UNREAD_SECONDS)
    assert (gauges.table("held", "seconds") or 0.0) > 1
    script.target_proxy.do(FaultProxy.resume)
    until(lambda: script.arrived("held"), "the row", run=gauges.run)


def _stopped_table(script: Script, gauges: Gauges) -> None:
    script.target.execute(
        f"ALTER TABLE {SCHEMA}.free ADD CONSTRAINT low CHECK (id < {script.next})"
    )
    since = script.commit("free", rows=5)
    gauges.run.table(f"{SCHEMA}.free", "suspended")
    gauges.until(lambda g: g.table("free", "rows") == 5, "what waits for a stopped table")
    _agree(gauges.table("free", "seconds"), since, LATE_SECONDS)
    gauges.until(lambda g: g.value("cdc_incoming_changes") == 0, "the replication's own lag")
    assert gauges.table("held", "rows") == 0
    mark = gauges.run.mark
    script.target.execute(f"ALTER TABLE {SCHEMA}.free DROP CONSTRAINT low")
    gauges.run.table(f"{SCHEMA}.free", "streaming", after=mark)


def _loading(script: Script, gauges: Gauges) -> None:
    """Its rows are copied again, which somebody on the target holds up; changes wait meanwhile."""
    if script.target.engine != "postgres":
        return
    session = script.target.session()
    try:
        session.execute(f"LOCK TABLE {SCHEMA}.free IN ACCESS EXCLUSIVE MODE")
        code, said = script.replication.command("reload", f"{SCHEMA}.free")
        assert code == 0, said
        held_up = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
        until(lambda: bool(script.target.execute(held_up)[0][0]), "the loader", run=gauges.run)
        since = script.commit("free", rows=7)
        gauges.until(lambda g: g.table("free", "rows") == 7, "what waits for a load")
        _agree(gauges.table("free", "seconds"), since, LATE_SECONDS)
        assert gauges.table("held", "rows") == 0
    finally:
        session.rollback()
        session.close()
    until(lambda: script.arrived("free"), "the rows", run=gauges.run)


def _restarted(script: Script) -> None:
    """A backlog of before the start; at no moment does it look like none."""
    with script.locked():
        since = time.time()
        script.commit(rows=ROWS)
        time.sleep(4)
        with script.replication.run(METRICS) as run:
            gauges = Gauges.of(run, SCHEMA)
            shown: list[float] = []

            def all_read(gauges: Gauges) -> bool:
                seconds = gauges.table("held", "seconds")
                shown.extend([] if seconds is None else [seconds - (time.time() - since)])
                return (gauges.table("held", "rows") or 0) > ROWS  # and its description

            gauges.until(all_read, "the backlog")
            assert shown
            assert max(map(abs, shown)) <= LATE_SECONDS, shown
            assert run.stop() == 0, run.story()


def _watch(gauges: Gauges, seconds: float, holds: Callable[[Gauges], bool]) -> None:
    """It holds at every scrape for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert holds(gauges.scrape()), gauges.latest
        time.sleep(0.2)
