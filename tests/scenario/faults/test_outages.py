"""Servers that go and come back, networks that break: nothing has to be done by anybody."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.scenario.conftest import one_pair
from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.proxied import proxied
from tests.scenario.faults.watched import ROW, Watched
from tests.scenario.running import Run, until
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database
from tests.servers.proxy import FaultProxy

Down = Callable[[Cluster], None]

DOWN: Final = {
    "stopped": lambda cluster: cluster.stop("fast"),
    "crashed": lambda cluster: cluster.stop("immediate"),
    "killed": lambda cluster: cluster.kill9(),
}
"""How a server goes; each leaves another last word on its connections."""

down = pytest.mark.parametrize(
    "go",
    [
        pytest.param(go, id=name, marks=pytest.mark.nightly if name == "crashed" else ())
        for name, go in DOWN.items()
    ],
)

sides = pytest.mark.parametrize(
    "side", ["target", pytest.param("source", marks=pytest.mark.nightly)]
)

CUTS: Final = 10


def _whole(replication: Watched, run: Run) -> None:
    """Everything arrives, once; the run ends cleanly and has never been started again."""
    replication.await_applied(run)
    assert run.stop() == 0, run.story()
    assert replication.differences() == []
    assert broken_rules(replication.target) == []
    assert not [e for e in run.events if e["event"] == "restarting"], run.story()


@down
def test_target_goes_and_comes_back(
    source: Database, target: Database, replicate: Replicate, go: Down
) -> None:
    create(source)
    replication = replicate()
    with replication.run() as run, Writers(source) as writers:
        run.state("streaming")
        mark, count = run.mark, writers.committed
        go(target.cluster)
        run.state("retrying", after=mark)
        until(lambda: writers.committed > count + 200, "writers to go on", run=run)
        target.cluster.start()
        run.state("streaming", after=run.mark)
        writers.stop()
        _whole(replication, run)


@down
def test_source_goes_and_comes_back(source: Database, replicate: Replicate, go: Down) -> None:
    create(source)
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        with Writers(source) as writers:
            until(lambda: writers.committed > 100, "transactions", run=run)
        mark = run.mark
        go(source.cluster)
        run.state("retrying", after=mark)
        source.cluster.start()
        with Writers(source, seed=2) as writers:
            until(lambda: writers.committed > 100, "transactions", run=run)
        _whole(replication, run)


@sides
def test_a_server_killed_during_the_load(
    source: Database, target: Database, replicate: Replicate, side: str
) -> None:
    create(source)
    source.execute(
        "CREATE TABLE big (id int PRIMARY KEY, filler text);"
        f" INSERT INTO big SELECT g, '{ROW}' || repeat('x', 300) FROM generate_series(1, 60000) g"
    )
    replication = replicate(load={"rows_per_chunk": 1000, "parallel_tables": 1})
    with replication.run() as run:
        run.await_event(
            lambda e: e["event"] == "table" and e["table"] == "public.big" and e.get("rows", 0) > 0,
            "the first chunks",
        )
        cluster = (source if side == "source" else target).cluster
        cluster.kill9()
        run.state("retrying")
        cluster.start()
        run.state("streaming", after=run.mark)
        _whole(replication, run)


@one_pair
@pytest.mark.nightly
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_is_down_for_more_than_a_minute(
    source: Database, target: Database, replicate: Replicate, side: str
) -> None:
    create(source)
    replication = replicate()
    cluster = (source if side == "source" else target).cluster
    with replication.run() as run:
        run.state("streaming")
        cluster.stop("fast")
        run.state("retrying")
        time.sleep(75)
        assert run.process.poll() is None
        cluster.start()
        with Writers(source) as writers:
            until(lambda: writers.committed > 100, "transactions", run=run)
        _whole(replication, run)


def test_a_frozen_target_is_waited_for(
    source: Database, target: Database, replicate: Replicate
) -> None:
    create(source)
    replication = replicate()
    with replication.run() as run, Writers(source) as writers:
        run.state("streaming")
        target.cluster.sigstop()
        count = writers.committed
        until(lambda: writers.committed > count + 300, "writers to go on", run=run)
        target.cluster.sigcont()
        writers.stop()
        _whole(replication, run)


# --- the network ----------------------------------------------------------------------------------


def test_the_targets_network_is_cut_anywhere(
    source: Database, target: Database, replicate: Replicate
) -> None:
    """Also after COMMIT was sent and before its answer; `audit` has no key, so twice would show."""
    create(source)
    chosen = random.Random(815)
    with proxied(target.cluster) as proxy:
        replication = replicate(target_dsn=target.cluster.dsn(target.name, port=proxy.port))
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            for number in range(CUTS):
                mark = run.mark
                size = chosen.randrange(20_000)
                if number % 3 == 2:
                    proxy.do(lambda p, size=size: p.cut_after(down=size // 20))  # type: ignore[misc]
                else:
                    proxy.do(lambda p, size=size: p.cut_after(up=size))  # type: ignore[misc]
                run.state("retrying", after=mark)
                run.state("streaming", after=mark)
            writers.stop()
            _whole(replication, run)


def _descriptors(run: Run) -> int:
    return len(list(Path(f"/proc/{run.worker}/fd").iterdir()))


def test_many_cuts_leave_no_open_descriptors(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute("CREATE TABLE item (id int PRIMARY KEY, note text)")
    with proxied(source.cluster) as left, proxied(target.cluster) as right:
        replication = replicate(
            source_dsn=source.cluster.dsn(source.name, port=left.port),
            target_dsn=target.cluster.dsn(target.name, port=right.port),
        )
        with replication.run() as run:
            run.state("streaming")
            counts = []
            for number in range(CUTS):
                mark = run.mark
                (left if number % 2 else right).do(FaultProxy.cut)
                source.execute("INSERT INTO item VALUES (%s, %s)", number, ROW)
                run.state("retrying", after=mark)
                run.state("streaming", after=mark)
                replication.await_applied(run)
                counts.append(_descriptors(run))
            assert max(counts[CUTS // 2 :]) <= max(counts[: CUTS // 2]) + 2, counts
            assert run.stop() == 0


def test_the_sources_network_is_cut_anywhere(source: Database, replicate: Replicate) -> None:
    create(source)
    chosen = random.Random(816)
    with proxied(source.cluster) as proxy:
        replication = replicate(source_dsn=source.cluster.dsn(source.name, port=proxy.port))
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            for _ in range(CUTS):
                mark = run.mark
                size = chosen.randrange(60_000)
                proxy.do(lambda p, size=size: p.cut_after(down=size))  # type: ignore[misc]
                run.state("retrying", after=mark)
                run.state("streaming", after=mark)
            writers.stop()
            _whole(replication, run)


@sides
def test_a_refusing_network_is_tried_again(
    source: Database, target: Database, replicate: Replicate, side: str
) -> None:
    create(source)
    database = source if side == "source" else target
    with proxied(database.cluster) as proxy:
        dsn = database.cluster.dsn(database.name, port=proxy.port)
        replication = replicate(**{f"{side}_dsn": dsn})
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            proxy.do(FaultProxy.refuse)
            proxy.do(FaultProxy.cut)
            tries = proxy.accepted
            until(lambda: proxy.accepted >= tries + 3, "three tries", run=run)
            mark = run.mark
            proxy.do(FaultProxy.resume)
            run.state("streaming", after=mark)
            writers.stop()
            _whole(replication, run)


def test_a_silent_source_is_noticed(source: Database, replicate: Replicate) -> None:
    """A black hole sends no reset: only the missing sign of life tells."""
    create(source)
    source.execute(f"ALTER DATABASE {source.name} SET wal_sender_timeout = '3s'")
    with proxied(source.cluster) as proxy:
        replication = replicate(source_dsn=source.cluster.dsn(source.name, port=proxy.port))
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            replication.await_applied(run)
            mark = run.mark
            proxy.do(FaultProxy.black_hole)
            run.state("retrying", after=mark)
            proxy.do(FaultProxy.cut)
            proxy.do(FaultProxy.resume)
            run.state("streaming", after=mark)
            writers.stop()
            _whole(replication, run)


@pytest.mark.parametrize("cut", [False, True], ids=["goes-on", "is-cut"])
def test_a_silent_target_is_waited_for(
    source: Database, target: Database, replicate: Replicate, cut: bool
) -> None:
    create(source)
    with proxied(target.cluster) as proxy:
        replication = replicate(target_dsn=target.cluster.dsn(target.name, port=proxy.port))
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            proxy.do(FaultProxy.black_hole)
            count = writers.committed
            until(lambda: writers.committed > count + 200, "writers to go on", run=run)
            if cut:
                proxy.do(FaultProxy.cut)
            proxy.do(FaultProxy.resume)
            writers.stop()
            _whole(replication, run)


@one_pair
@pytest.mark.nightly
def test_a_slow_network_is_only_slow(
    source: Database, target: Database, replicate: Replicate
) -> None:
    create(source)
    with proxied(target.cluster) as proxy:
        proxy.do(lambda p: p.delay(0.02))
        replication = replicate(target_dsn=target.cluster.dsn(target.name, port=proxy.port))
        with replication.run() as run, Writers(source) as writers:
            run.state("streaming")
            until(lambda: writers.committed > 200, "transactions", run=run)
            writers.stop()
            _whole(replication, run)
            assert not [e for e in run.events if e.get("state") == "retrying"], run.story()
