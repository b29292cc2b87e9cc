"""The store's server goes away, says no, or stays silent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from engine.config.secret import Secret
from engine.control.store import postgres
from engine.control.store.contract import Store
from engine.control.store.errors import (
    StoreBusyError,
    StoreConnectionError,
    StoreOutcomeUnknownError,
)
from engine.control.store.postgres import PostgresStore
from engine.control.store.records import Record
from engine.errors import ConfigError, StateError
from tests.conftest import Clusters
from tests.integration.store.conftest import Databases
from tests.servers.postgres import Cluster
from tests.servers.proxy import FaultProxy
from tests.servers.versions import VERSIONS


@pytest.fixture
def cluster(clusters: Clusters) -> Cluster:
    return clusters.need(VERSIONS[-1])


@pytest.fixture
def url(databases: Databases, cluster: Cluster) -> Secret:
    return databases.url(cluster)


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(cluster.host, cluster.port) as proxy:
        yield proxy


@pytest.fixture
async def store(url: Secret, schema: str, proxy: FaultProxy) -> AsyncIterator[Store]:
    """Through the proxy."""
    netloc = urlsplit(url.reveal()).netloc
    through = url.reveal().replace(netloc, f"postgres@127.0.0.1:{proxy.port}")
    async with PostgresStore(Secret(through), schema=schema) as store:
        yield store


async def insert(store: Store, name: str) -> None:
    async with store.write() as writing:
        await writing.insert(Record("k", name, name, {}))


async def names(store: Store) -> list[str]:
    async with store.read() as reading:
        return [record.name for record in await reading.find("k")]


async def test_a_server_that_comes_back_is_used_again(
    private_cluster: Callable[..., Cluster], schema: str
) -> None:
    cluster = private_cluster()
    async with PostgresStore(Secret(cluster.dsn()), schema=schema) as store:
        await insert(store, "before")
        cluster.kill9()
        for _ in range(2):
            with pytest.raises(StoreConnectionError, match="cannot be reached"):
                await names(store)
            with pytest.raises(StoreConnectionError, match="nothing of what was asked is stored"):
                await insert(store, "during")
        cluster.start()
        await insert(store, "after")
        assert await names(store) == ["after", "before"]
        cluster.stop()
        with pytest.raises(StoreConnectionError):
            await names(store)


async def test_a_link_that_breaks_in_a_block_leaves_nothing_of_it(
    store: Store, proxy: FaultProxy
) -> None:
    async def work() -> None:
        async with store.write() as writing:
            await writing.insert(Record("k", "half", "half", {}))
            proxy.cut()
            await writing.insert(Record("k", "other", "other", {}))

    with pytest.raises(StoreConnectionError):
        await work()
    await insert(store, "next")
    assert await names(store) == ["next"]


async def test_a_link_that_breaks_before_the_end_of_a_block_is_noticed(
    store: Store, proxy: FaultProxy
) -> None:
    async def work() -> None:
        async with store.write() as writing:
            await writing.insert(Record("k", "half", "half", {}))
            proxy.cut()

    with pytest.raises(StoreConnectionError):
        await work()
    assert await names(store) == []


async def commit(store: Store, spoil: Callable[[], None]) -> None:
    """A transaction whose COMMIT meets what `spoil` does to the link."""
    async with store.write() as writing:
        await writing.insert(Record("k", "done", "done", {}))
        spoil()


async def test_an_answer_lost_at_commit_is_found_out(store: Store, proxy: FaultProxy) -> None:
    await commit(store, lambda: proxy.cut_after(1))
    assert await names(store) == ["done"]


@pytest.mark.parametrize("spoil", [lambda p: p.cut_after(1), lambda p: p.cut_after(up=1)])
async def test_the_end_of_a_read_that_is_not_answered_takes_nothing_back(
    store: Store, proxy: FaultProxy, spoil: Callable[[FaultProxy], None]
) -> None:
    await insert(store, "a")
    async with store.read() as reading:
        found = await reading.find("k")
        spoil(proxy)
    assert [record.name for record in found] == ["a"]
    assert await names(store) == ["a"]


async def test_a_commit_that_never_arrived_is_told_as_one_of_which_nothing_is_stored(
    store: Store, proxy: FaultProxy
) -> None:
    with pytest.raises(StoreConnectionError, match="nothing of what was asked is stored") as told:
        await commit(store, lambda: proxy.cut_after(up=1))
    assert not isinstance(told.value, StoreOutcomeUnknownError)
    assert await names(store) == []


@pytest.mark.parametrize("silent_seconds", [0.4, 0.8, 1.5])
async def test_a_commit_that_is_under_way_is_waited_for_or_ended(
    store: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, silent_seconds: float
) -> None:
    """What was held back on the way may arrive after we gave it up: what is told holds for good."""
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.3)
    proxy.cut()
    await insert(store, "before")  # by a connection that waits no longer than this
    asyncio.get_running_loop().call_later(silent_seconds, proxy.resume)
    told: StoreConnectionError | None = None
    try:
        await commit(store, proxy.black_hole)
    except StoreConnectionError as error:
        told = error
    assert not isinstance(told, StoreOutcomeUnknownError)
    stored = ["before"] if told else ["before", "done"]
    assert await names(store) == stored
    await insert(store, "later")
    assert await names(store) == [*stored, "later"]


async def test_a_server_that_stays_away_leaves_it_unknown(
    store: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RESOLVE_SECONDS", 0.5)

    def spoil() -> None:
        proxy.cut_after(1)
        proxy.refuse()

    with pytest.raises(StoreOutcomeUnknownError, match="read it again"):
        await commit(store, spoil)
    proxy.resume()
    assert await names(store) == ["done"]


async def test_a_server_that_crashed_over_it_is_asked_when_it_is_back(
    private_cluster: Callable[..., Cluster], schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RESOLVE_SECONDS", 60.0)
    cluster = private_cluster()
    async with (
        FaultProxy(cluster.host, cluster.port) as proxy,
        PostgresStore(Secret(cluster.dsn(port=proxy.port)), schema=schema) as store,
    ):

        def crash() -> None:
            cluster.kill9()
            asyncio.get_running_loop().run_in_executor(None, cluster.start)

        with pytest.raises(StoreConnectionError, match="nothing of what was asked is stored"):
            await commit(store, crash)
        assert await names(store) == []


async def test_after_a_crash_a_number_may_be_another_transactions(
    private_cluster: Callable[..., Cluster], schema: str
) -> None:
    """Numbers that no disk has seen are given again: what is committed need not be ours."""
    cluster = private_cluster()
    async with PostgresStore(Secret(cluster.dsn()), schema=schema) as store:
        async with store._transaction("BEGIN") as connection:
            number, server = await postgres._number(connection), connection.server
        await insert(store, "flushed")
        assert await store._committed(server, number) is True
        cluster.kill9()
        cluster.start()
        with pytest.raises(postgres._NotToldError):
            await store._committed(server, number)
        ahead = f"{int(number) + 1000}"
        assert await store._committed(server, ahead) is False


async def test_a_standby_behind_denies_no_commit(
    private_cluster: Callable[..., Cluster], schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A url of several hosts leads there while the first one is away for a moment."""
    monkeypatch.setattr(postgres, "RESOLVE_SECONDS", 0.5)
    cluster = private_cluster()
    standby = cluster.standby()
    try:
        both = f"postgresql://postgres@127.0.0.1:{{}},127.0.0.1:{standby.port}/postgres"
        async with (
            FaultProxy(cluster.host, cluster.port) as proxy,
            PostgresStore(Secret(both.format(proxy.port)), schema=schema) as store,
        ):
            await insert(store, "before")
            standby.execute("SELECT pg_wal_replay_pause()")

            def spoil() -> None:
                proxy.cut_after(1)
                proxy.refuse()

            with pytest.raises(StoreOutcomeUnknownError, match="read it again"):
                await commit(store, spoil)
            with pytest.raises(StoreConnectionError, match="cannot be reached"):
                await names(store)  # not from the one that is behind
            proxy.resume()
            assert await names(store) == ["before", "done"]
    finally:
        standby.destroy()


async def test_a_silent_server_is_given_up(
    store: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.3)
    proxy.cut()
    await insert(store, "before")  # by a connection that waits no longer than this
    proxy.black_hole()
    for _ in range(2):
        with pytest.raises(StoreConnectionError, match="no answer in time"):
            await insert(store, "during")
        with pytest.raises(StoreConnectionError, match="no answer in time"):
            await names(store)
    proxy.resume()
    await insert(store, "next")
    assert await names(store) == ["before", "next"]


async def test_a_writer_elsewhere_that_keeps_its_turn_is_said(
    url: Secret, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.SESSION, "lock_timeout", "100ms")
    async with PostgresStore(url, schema=schema) as one, PostgresStore(url, schema=schema) as other:
        async with one.write() as writing:
            await writing.insert(Record("k", "a", "a", {}))
            with pytest.raises(StoreBusyError, match="was not free within"):
                await insert(other, "b")
            assert await names(other) == []
        await insert(other, "b")
        assert await names(one) == ["a", "b"]


async def test_a_writer_that_vanished_gives_its_turn_back(
    url: Secret, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host is gone without a word: the server ends the session that does nothing."""
    monkeypatch.setitem(postgres.SESSION, "idle_in_transaction_session_timeout", "300ms")
    async with PostgresStore(url, schema=schema) as one:
        monkeypatch.undo()
        async with PostgresStore(url, schema=schema) as other:
            async with asyncio.timeout(20):
                with pytest.raises(StoreConnectionError):
                    await _stall(one, other)
            assert await names(other) == ["b"]


async def _stall(one: Store, other: Store) -> None:
    async with one.write() as writing:
        await writing.insert(Record("k", "a", "a", {}))
        await insert(other, "b")


async def test_a_standby_that_is_asked_says_so_as_a_link_that_fails(
    url: Secret, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresStore(url, schema=schema):
        pass
    monkeypatch.setitem(postgres.SESSION, "default_transaction_read_only", "on")
    with pytest.raises(StoreConnectionError, match="read-only"):
        async with PostgresStore(url, schema=schema) as store:
            await insert(store, "a")


async def test_a_role_that_may_not_make_a_schema_is_told(
    cluster: Cluster, url: Secret, schema: str
) -> None:
    database = url.reveal().rpartition("/")[2]
    cluster.execute("DROP ROLE IF EXISTS keeper")
    cluster.execute("CREATE ROLE keeper LOGIN")
    try:
        keeper = Secret(cluster.dsn(database, user="keeper"))
        with pytest.raises(StateError, match=r"permission denied .*a schema of its own"):
            await PostgresStore(keeper, schema=schema).__aenter__()
        quoted = postgres._quoted(schema)
        cluster.execute(f"CREATE SCHEMA {quoted} AUTHORIZATION keeper", database=database)
        async with PostgresStore(keeper, schema=schema) as store:
            await insert(store, "a")
            await store.tend()
            assert await names(store) == ["a"]
        cluster.execute(f"DROP SCHEMA {quoted} CASCADE", database=database)
    finally:
        cluster.execute("DROP ROLE keeper")


@pytest.mark.parametrize(
    "url", ["postgresql://u:hidden@h:po/d", "postgresql://u:hidden@[::1/d", "mysql://u:hidden@h/d"]
)
async def test_a_url_that_cannot_be_read_is_refused_without_being_said(url: str) -> None:
    with pytest.raises(ConfigError, match="store: ") as refused:
        await PostgresStore(Secret(url)).__aenter__()
    assert "hidden" not in f"{refused.value} {refused.value!r}"
    assert refused.value.__cause__ is None or "hidden" not in str(refused.value.__cause__)
