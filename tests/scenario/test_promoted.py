"""A standby of the source takes over: what the target holds decides whether it can be read on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import need
from tests.scenario.conftest import Majors, each_of
from tests.scenario.faults.proxied import Proxied, proxied
from tests.scenario.running import Replication, Run, until
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import PAIRS

PHYSICAL = "to_standby"
SYNCHRONIZED_FROM = 17
"""Major version whose standbys hold copies of logical slots."""

SYNCED = (
    "SELECT bool_or(synced AND NOT temporary AND invalidation_reason IS NULL)"
    " FROM pg_replication_slots WHERE slot_name = %s"
)


class Source:
    """A primary with one database, its standby, and the address that both are reached by."""

    def __init__(self, primary: Cluster, standby: Cluster, address: Proxied) -> None:
        self.primary = primary
        self.standby = standby
        self.address = address
        self.before = Database(primary, "shop")
        self.after = Database(standby, "shop")

    @property
    def dsn(self) -> str:
        return self.primary.dsn("shop", port=self.address.port)

    def await_standby(self) -> None:
        """Wait until the standby has all there is."""
        head = self.primary.execute("SELECT pg_current_wal_flush_lsn()")[0][0]
        until(
            lambda: bool(
                self.standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", head)[0][0]
            ),
            "the standby to have everything",
        )

    def await_slot(self, name: str) -> None:
        def there() -> bool:
            self.primary.execute("SELECT pg_log_standby_snapshot()")  # else every 15 s only
            return bool(self.standby.execute(SYNCED, name)[0][0])

        until(there, f"{name} to be on the standby")

    def fail_over(self) -> None:
        """The primary is gone, the standby has its address."""
        self.primary.kill9()
        self.address.do(lambda proxy: proxy.cut())
        self.standby.promote()
        self.address.do(lambda proxy: proxy.lead_to(self.standby.host, self.standby.port))


@contextmanager
def _source(major: str) -> Iterator[Source]:
    with need(major, lambda: Cluster(major)) as primary:
        primary.create_database("shop")
        primary.execute("SELECT pg_create_physical_replication_slot(%s)", PHYSICAL)
        settings: dict[str, object] = {"primary_slot_name": PHYSICAL}
        if int(major) >= SYNCHRONIZED_FROM:
            settings["sync_replication_slots"] = "on"
        standby = primary.standby(**settings)
        try:
            with proxied(primary) as address:
                yield Source(primary, standby, address)
        finally:
            standby.destroy()


@pytest.fixture
def source(majors: Majors) -> Iterator[Source]:
    with _source(majors[0]) as source:
        yield source


def _from(versions: Callable[[int], bool]) -> pytest.MarkDecorator:
    pairs = [pair for pair in PAIRS if versions(int(pair[0]))]
    return pytest.mark.parametrize("majors", each_of(pairs), indirect=True)


WITHOUT_THE_SLOT = _from(lambda major: major < SYNCHRONIZED_FROM)
WITH_THE_SLOT = _from(lambda major: major >= SYNCHRONIZED_FROM)


Make = Callable[[Source], Replication]


@pytest.fixture
def make(target: Database, tmp_path: Path) -> Make:
    def make(source: Source) -> Replication:
        keys: dict[str, object] = {"failover_slot": int(source.primary.major) >= SYNCHRONIZED_FROM}
        return Replication.between(
            tmp_path, "promoted", source.before, target, source_dsn=source.dsn, source=keys
        )

    return make


def _streaming(replication: Replication) -> Run:
    run = replication.run()
    run.state("streaming")
    return run


@contextmanager
def _after(run: Run, replication: Replication, living: bool) -> Iterator[Run]:
    """The run after the fail-over: the same when it lives, else a new one."""
    if living:
        yield run
    else:
        with replication.run() as new:
            yield new


RUNNING_OR_STOPPED = pytest.mark.parametrize(
    "living", [True, pytest.param(False, marks=pytest.mark.nightly)]
)


@WITHOUT_THE_SLOT
@RUNNING_OR_STOPPED
def test_a_standby_without_the_slot_ends_with_exit_3(
    source: Source, make: Make, living: bool
) -> None:
    source.before.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = make(source)
    with _streaming(replication) as run:
        source.before.execute("INSERT INTO t VALUES (1)")
        replication.await_applied(run)
        source.await_standby()
        if not living:
            assert run.stop() == 0
        source.fail_over()
        if living:
            assert run.wait() == 3
    with replication.run() as run:
        assert run.wait() == 3
        assert "replication slot penstock_promoted does not exist any more" in run.ending
        assert "penstock cleanup, then penstock run" in run.ending


@WITH_THE_SLOT
@RUNNING_OR_STOPPED
def test_a_standby_with_the_slot_is_read_on_without_loss(
    source: Source, make: Make, living: bool
) -> None:
    source.primary.configure(synchronized_standby_slots=PHYSICAL)
    source.primary.reload()
    create(source.before)
    replication = make(source)
    with _streaming(replication) as run:
        with Writers(source.before) as writers:
            source.await_slot(replication.slot)
            writers.stop()
        source.await_standby()
        if not living:
            assert run.stop() == 0
        source.fail_over()
        later = replace(replication, source=source.after)
        with Writers(source.after) as writers, _after(run, replication, living) as going_on:
            if living:
                run.says("the source went on to timeline 2")
            going_on.state("streaming")
            writers.stop()
            later.await_applied(going_on)
            assert going_on.stop() == 0
    assert later.differences() == []
    assert broken_rules(later.target) == []


@WITH_THE_SLOT
@pytest.mark.parametrize("living", [True, False])
def test_a_standby_that_lacks_what_was_applied_ends_with_exit_3(
    source: Source, make: Make, living: bool
) -> None:
    """Also when its log has grown past the stored position: the number means other changes."""
    source.before.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = make(source)
    with _streaming(replication) as run:
        source.before.execute("INSERT INTO t VALUES (1)")
        replication.await_applied(run)
        source.await_slot(replication.slot)
        source.standby.sigstop()
        source.before.execute("INSERT INTO t SELECT generate_series(2, 2000)")
        replication.await_applied(run)
        if not living:
            assert run.stop() == 0
        source.primary.kill9()
        source.standby.sigcont()
        source.address.do(lambda proxy: proxy.cut())
        source.standby.promote()
        source.after.execute("INSERT INTO t SELECT generate_series(10001, 20000)")
        source.after.execute("SELECT pg_switch_wal()")
        source.address.do(lambda proxy: proxy.lead_to(source.standby.host, source.standby.port))
        with _after(run, replication, living) as last:
            assert last.wait() == 3
            assert "a standby took over at " in last.ending
            assert "the target holds changes that the source has lost" in last.ending
