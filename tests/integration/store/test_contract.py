"""The laws of a store, for SQLite and for PostgreSQL."""

import asyncio
import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engine.control.store.contract import VALUES_MAX, Store
from engine.control.store.errors import DuplicateError, GoneError, LeaseLostError, StaleError
from engine.control.store.records import Event, EventFilter, Fact, LeaseRow, Record
from engine.control.store.sqlite import SqliteStore
from engine.errors import InvariantError
from tests.integration.store.conftest import MakeStore

ORDERS = Record(
    "endpoint",
    "AB12",
    "orders",
    {"Port": 5432, "Nested": {"list": [1, None, True, 0.1], "text": "ä\u0000 'x' \"y\" ?1 $1"}},
    {"engine": "postgres", "type": "source"},
)


def endpoint(number: int, **fields: str) -> Record:
    return Record("endpoint", f"id{number}", f"name{number:03}", {"number": number}, fields)


async def insert(store: Store, *records: Record) -> None:
    async with store.write() as writing:
        for record in records:
            await writing.insert(record)


def names(records: Sequence[Record]) -> list[str]:
    return [record.name for record in records]


# --- records ----------------------------------------------------------------------------------


async def test_a_record_is_read_as_it_was_stored(store: Store) -> None:
    async with store.write() as writing:
        stored = await writing.insert(ORDERS)
        assert await writing.get("endpoint", "AB12") == stored
    assert replace(stored, revision=0, created=0.0, updated=0.0) == ORDERS
    async with store.read() as reading:
        assert await reading.get("endpoint", "AB12") == stored
        assert await reading.named("endpoint", "orders") == stored
        assert await reading.get("replication", "AB12") is None
        assert await reading.named("endpoint", "AB12") is None
        assert stored.created == stored.updated
        assert abs(await reading.now() - stored.created) < 60


async def test_it_outlives_the_store_that_took_it(make_store: MakeStore) -> None:
    async with make_store() as store:
        await insert(store, ORDERS)
    async with make_store() as store, store.read() as reading:
        found = await reading.named("endpoint", "orders")
    assert found is not None
    assert found.document == ORDERS.document


async def test_id_and_name_are_each_unique_within_a_kind(store: Store) -> None:
    async with store.write() as writing:
        await writing.insert(ORDERS)
        for record, what in ((replace(ORDERS, name="n"), "id"), (replace(ORDERS, id="I"), "name")):
            with pytest.raises(DuplicateError) as refused:
                await writing.insert(record)
            assert (refused.value.kind, refused.value.what) == ("endpoint", what)
        await writing.insert(replace(ORDERS, kind="replication"))  # the block goes on
    async with store.read() as reading:
        assert await reading.kinds() == ["endpoint", "replication"]
        assert await reading.count("endpoint") == 1


async def test_an_update_counts_revisions_and_keeps_the_time_of_creation(store: Store) -> None:
    async with store.write() as writing:
        first = await writing.insert(ORDERS)
        second = await writing.update(replace(first, document={}, created=1.0))
        assert (second.revision, second.created, second.document) == (2, first.created, {})
        assert second.updated >= first.updated
        assert await writing.get("endpoint", "AB12") == second


async def test_an_update_of_what_has_changed_since_is_refused(store: Store) -> None:
    async with store.write() as writing:
        first = await writing.insert(ORDERS)
        second = await writing.update(first)
    async with store.write() as writing:
        with pytest.raises(StaleError):
            await writing.update(first)
        assert await writing.get("endpoint", "AB12") == second
        await writing.delete("endpoint", "AB12")
        with pytest.raises(GoneError):
            await writing.update(second)
        with pytest.raises(GoneError):
            await writing.delete("endpoint", "AB12")


async def test_a_new_name_must_be_free_and_leaves_the_old_one(store: Store) -> None:
    async with store.write() as writing:
        orders = await writing.insert(ORDERS)
        await writing.insert(endpoint(1, type="source"))
        with pytest.raises(DuplicateError):
            await writing.update(replace(orders, name="name001"))
        renamed = await writing.update(replace(orders, name="zebra"))
        assert await writing.named("endpoint", "orders") is None
        assert await writing.named("endpoint", "zebra") == renamed
        found = await writing.find("endpoint", {"type": ["source"]})
        assert names(found) == ["name001", "zebra"]
        await writing.insert(replace(ORDERS, id="other"))


async def test_what_has_no_kind_id_or_name_is_no_record() -> None:
    for kind, own_id, name in itertools.product(("", "x"), repeat=3):
        if not (kind and own_id and name):
            with pytest.raises(ValueError, match="a kind, an id and a name"):
                Record(kind, own_id, name, {})


# --- finding ----------------------------------------------------------------------------------


async def test_records_come_by_name_in_order_of_code_points(store: Store) -> None:
    order = sorted(
        ["a", "B", "a-b", "ab", "z", "ä", "É", "日本", "\U0001f600", "_", "1", "10", "2"]
    )
    records = [Record("k", f"{number}", name, {}) for number, name in enumerate(reversed(order))]
    await insert(store, *records)
    async with store.read() as reading:
        assert names(await reading.find("k")) == order
        for number, name in enumerate(order):
            assert names(await reading.find("k", after=name)) == order[number + 1 :]


async def test_pages_follow_each_other_also_when_the_last_seen_is_gone(store: Store) -> None:
    await insert(store, *(endpoint(number, even=f"{number % 2 == 0}") for number in range(20)))
    async with store.read() as reading:
        page = await reading.find("endpoint", {"even": ["True"]}, limit=4)
    assert names(page) == ["name000", "name002", "name004", "name006"]
    async with store.write() as writing:
        await writing.delete("endpoint", "id6")
        await writing.insert(replace(endpoint(99, even="True"), name="name005-"))
    async with store.read() as reading:
        rest = await reading.find("endpoint", {"even": ["True"]}, after="name006", limit=3)
        assert names(rest) == ["name008", "name010", "name012"]
        assert await reading.find("endpoint", limit=0) == []


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"type": ["source"]}, [0, 2, 4]),
        ({"type": ["source", "target", "neither"]}, [0, 1, 2, 3, 4, 5]),
        ({"type": ["source"], "engine": ["b"]}, [4]),
        ({"engine": ["a", "b"], "type": ["target"]}, [1, 5]),
        ({"type": []}, []),
        ({"unknown": ["source"]}, []),
        ({"id": ["id3", "id1", "id9"]}, [1, 3]),
        ({"name": ["name002"]}, [2]),
        ({"id": ["id3", "id4"], "name": ["name003", "name005"]}, [3]),
        ({"id": ["id3", "id4"], "type": ["source"]}, [4]),
        ({"type": ["source"], "name": {"name000": 0}}, [0]),
        ({"id": []}, []),
    ],
)
async def test_conditions_hold_together_and_any_value_will_do(
    store: Store, where: dict[str, list[str]], numbers: list[int]
) -> None:
    for number in range(6):
        fields = {"type": "target" if number % 2 else "source", "engine": "aacaba"[number]}
        if number == 3:
            del fields["engine"]
        if number in (4, 5):
            fields["engine"] = "b"
        if number == 2:
            fields["engine"] = "c"
        await insert(store, endpoint(number, **fields))
    await insert(store, Record("other", "id1", "name001", {}, {"type": "source"}))
    async with store.read() as reading:
        found = await reading.find("endpoint", where)
        assert [record.document["number"] for record in found] == numbers
        assert await reading.count("endpoint", where) == len(numbers)
        some = await reading.find("endpoint", where, after="name001", limit=1)
        assert [record.document["number"] for record in some] == [n for n in numbers if n > 1][:1]


async def test_fields_are_found_as_they_are_now(store: Store) -> None:
    await insert(store, endpoint(1, status="creating", type="source"))
    async with store.write() as writing:
        record = (await writing.find("endpoint", {"status": ["creating"]}))[0]
        await writing.update(replace(record, fields={"status": "active"}))
    async with store.read() as reading:
        assert await reading.find("endpoint", {"status": ["creating"]}) == []
        assert await reading.find("endpoint", {"type": ["source"]}) == []
        assert names(await reading.find("endpoint", {"status": ["active"]})) == ["name001"]


async def test_as_many_values_as_are_allowed_and_no_more(store: Store) -> None:
    await insert(store, endpoint(1))
    many = [f"id{number}" for number in range(VALUES_MAX)]
    async with store.read() as reading:
        assert await reading.count("endpoint", {"id": many}) == 1
        with pytest.raises(ValueError, match="10,001 values"):
            await reading.count("endpoint", {"id": [*many, "more"]})


# --- what stands beside a record --------------------------------------------------------------


async def test_facts_come_by_key_and_replace_each_other(store: Store) -> None:
    await insert(store, ORDERS)
    async with store.write() as writing:
        facts = {f"table/{number}": {"rows": number} for number in (3, 1, 2)}
        await writing.put_facts("endpoint", "AB12", facts | {"hour/1": {}})
        await writing.put_facts("endpoint", "AB12", {"table/2": {"rows": 22}})
        await writing.put_facts("endpoint", "AB12", {})
    tables = [
        Fact("table/1", {"rows": 1}),
        Fact("table/2", {"rows": 22}),
        Fact("table/3", {"rows": 3}),
    ]
    async with store.read() as reading:
        read = reading.facts
        assert await read("endpoint", "AB12") == [Fact("hour/1", {}), *tables]
        assert await read("endpoint", "AB12", prefix="table/") == tables
        assert await read("endpoint", "AB12", prefix="table/", after="table/1") == tables[1:]
        assert await read("endpoint", "AB12", prefix="table/", limit=2) == tables[:2]
        assert await read("endpoint", "AB12", prefix="none") == []
        assert await read("endpoint", "other") == []


@pytest.mark.parametrize("prefix", ["a", "a%", "a_", "\ud7ff", "\U0010ffff", "a\U0010ffff", "'"])
async def test_a_prefix_is_taken_as_it_is(store: Store, prefix: str) -> None:
    keys = ["", "a", "a%", "a_", "ab", "b", "\ud7ff", "\ue000", "\U0010ffff", "a\U0010ffffx", "'"]
    keys += [prefix + end for end in ("", "\U0010ffff", "0")]
    await insert(store, ORDERS)
    async with store.write() as writing:
        await writing.put_facts("endpoint", "AB12", {key: {} for key in keys})
        found = [fact.key for fact in await writing.facts("endpoint", "AB12", prefix=prefix)]
        expected = sorted(key for key in set(keys) if key.startswith(prefix))
        assert found == expected
        assert await writing.drop_facts("endpoint", "AB12", prefix=prefix) == len(expected)
        left = [fact.key for fact in await writing.facts("endpoint", "AB12")]
        assert left == sorted(set(keys) - set(expected))


async def test_tags_are_added_replaced_and_removed(store: Store) -> None:
    await insert(store, ORDERS, endpoint(1))
    async with store.write() as writing:
        await writing.tag("endpoint", "AB12", {"team": "a", "cost": "1"})
        await writing.tag("endpoint", "AB12", {"team": "b"})
        await writing.tag("endpoint", "id1", {"x": ""})
        await writing.untag("endpoint", "AB12", ["cost", "never there"])
        await writing.untag("endpoint", "AB12", [])
    async with store.read() as reading:
        found = await reading.tags("endpoint", ["AB12", "id1", "nobody"])
        assert found == {"AB12": {"team": "b"}, "id1": {"x": ""}, "nobody": {}}
        assert await reading.tags("endpoint", []) == {}


async def test_what_stands_beside_a_record_goes_with_it_and_needs_it(store: Store) -> None:
    async with store.write() as writing:
        await writing.insert(ORDERS)
        await writing.tag("endpoint", "AB12", {"team": "a"})
        await writing.put_facts("endpoint", "AB12", {"k": {}})
        await writing.delete("endpoint", "AB12")
        with pytest.raises(GoneError):
            await writing.put_facts("endpoint", "AB12", {"k": {}})
        with pytest.raises(GoneError):
            await writing.tag("endpoint", "AB12", {"team": "a"})
        with pytest.raises(GoneError):
            await writing.untag("endpoint", "AB12", ["team"])
        await writing.insert(replace(ORDERS, fields={}))
        assert await writing.tags("endpoint", ["AB12"]) == {"AB12": {}}
        assert await writing.facts("endpoint", "AB12") == []
        assert await writing.find("endpoint", {"type": ["source"]}) == []


# --- events -----------------------------------------------------------------------------------


async def add_events(store: Store) -> list[Event]:
    events = [
        Event("replication", "r1", "created", ("creation",)),
        Event("replication", "r2", "failed", ("failure", "state change", "failure")),
        Event("endpoint", "r1", "gone", (), {"actor": "x"}),
        Event("replication", "r1", "stopped", ("state change",)),
    ]
    async with store.write() as writing:
        return [await writing.add_event(event) for event in events]


async def test_events_are_numbered_in_their_order(store: Store) -> None:
    added = await add_events(store)
    assert [event.number for event in added] == [1, 2, 3, 4]
    assert added[1].categories == ("failure", "state change")
    assert sorted(event.at for event in added) == [event.at for event in added]
    async with store.read() as reading:
        assert await reading.events() == added
        assert await reading.events(after=1, limit=2) == added[1:3]


async def test_events_are_found_by_what_they_are_about(store: Store) -> None:
    added = await add_events(store)

    async def numbers(only: EventFilter, *, after: int = 0) -> list[int]:
        async with store.read() as reading:
            return [event.number for event in await reading.events(only, after=after)]

    assert await numbers(EventFilter(source_type="replication")) == [1, 2, 4]
    assert await numbers(EventFilter(source_type="replication", source_id="r1")) == [1, 4]
    assert await numbers(EventFilter(source_id="r1"), after=1) == [3, 4]
    assert await numbers(EventFilter(categories=["state change"])) == [2, 4]
    assert await numbers(EventFilter(categories=["failure", "creation"])) == [1, 2]
    both = ["failure", "state change"]
    assert await numbers(EventFilter(categories=both)) == [2, 4]
    assert await numbers(EventFilter(categories=both), after=2) == [4]
    assert await numbers(EventFilter(categories=both, source_type="replication")) == [2, 4]
    assert await numbers(EventFilter(categories=both, source_type="endpoint")) == []
    assert await numbers(EventFilter(categories=both, source_id="r1")) == [4]
    assert await numbers(EventFilter(categories=both, since=added[3].at)) == [4]
    assert await numbers(EventFilter(categories=both, since=added[3].at + 1)) == []
    assert await numbers(EventFilter(categories=both, until=added[2].at)) == [2]
    async with store.read() as reading:
        page = await reading.events(EventFilter(categories=both), limit=1)
        assert [event.number for event in page] == [2]
    assert await numbers(EventFilter(since=added[0].at)) == [1, 2, 3, 4]
    assert await numbers(EventFilter(since=added[0].at), after=2) == [3, 4]
    assert await numbers(EventFilter(since=added[3].at + 1)) == []
    assert await numbers(EventFilter(until=added[0].at)) == []
    assert await numbers(EventFilter(until=added[3].at + 1, source_type="endpoint")) == [3]


async def test_events_outlive_their_record_and_go_by_age(store: Store) -> None:
    added = await add_events(store)
    async with store.write() as writing:
        assert await writing.drop_events(added[0].at) == 0
        assert await writing.drop_events(added[3].at + 1) == 4
    async with store.write() as writing:
        assert (await writing.add_event(added[0])).number == 5  # numbers are never used again
        assert len(await writing.events()) == 1


# --- transactions -----------------------------------------------------------------------------


async def test_a_block_that_fails_leaves_nothing(store: Store) -> None:
    await insert(store, ORDERS)

    async def work() -> None:
        async with store.write() as writing:
            await writing.insert(endpoint(1))
            await writing.put_facts("endpoint", "AB12", {"k": {}})
            await writing.add_event(Event("endpoint", "x", "y"))
            await writing.delete("endpoint", "AB12")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    async with store.write() as writing:
        assert names(await writing.find("endpoint")) == ["orders"]
        assert await writing.facts("endpoint", "AB12") == []
        assert await writing.events() == []
        assert (await writing.add_event(Event("a", "b", "c"))).number == 1


async def test_a_block_that_is_cancelled_leaves_nothing(store: Store) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with store.write() as writing:
            await writing.insert(ORDERS)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await insert(store, endpoint(1))
    async with store.read() as reading:
        assert names(await reading.find("endpoint")) == ["name001"]


async def test_cancelling_at_any_moment_leaves_the_store_usable(store: Store) -> None:
    """All of a block or nothing of it, whichever of its waits was cut."""

    async def work(number: int) -> None:
        async with store.write() as writing:
            await writing.insert(endpoint(number))
            await writing.insert(endpoint(number + 1))

    for number in range(0, 120, 2):
        task = asyncio.create_task(work(number))
        for _ in range(number // 2):
            await asyncio.sleep(0)
            if task.done():
                break
        await asyncio.sleep(number * 0.00005)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
    async with store.read() as reading:
        found = [record.document["number"] for record in await reading.find("endpoint")]
    assert all((number ^ 1) in found for number in found)
    await insert(store, endpoint(999))


async def test_a_commit_that_waits_for_its_thread_is_done_though_cancelled(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "penstock.db") as store:
        going_on = threading.Event()
        leaving = asyncio.Event()

        async def work() -> None:
            async with store.write() as writing:
                await writing.insert(ORDERS)
                store._connections[0]._thread.submit(going_on.wait)
                leaving.set()

        task = asyncio.create_task(work())
        await leaving.wait()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        going_on.set()
        await insert(store, endpoint(1))
        async with store.read() as reading:
            assert names(await reading.find("endpoint")) == ["name001", "orders"]


async def test_a_reader_sees_one_moment_and_waits_for_no_writer(make_store: MakeStore) -> None:
    async with make_store() as store, make_store() as other:
        await insert(store, ORDERS)
        async with store.write() as writing:
            await writing.insert(endpoint(1))
            for reader in (store, other):
                async with asyncio.timeout(5), reader.read() as reading:
                    assert names(await reading.find("endpoint")) == ["orders"]
        async with store.read() as reading, other.read() as late:
            assert await reading.count("endpoint") == 2
            async with other.write() as writing:
                await writing.delete("endpoint", "AB12")
                await writing.insert(endpoint(3))
                await writing.insert(endpoint(4))
            assert names(await reading.find("endpoint")) == ["name001", "orders"]
            assert await reading.get("endpoint", "AB12") is not None
            assert await late.count("endpoint") == 3


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"read-only|readonly"):
        async with store.read() as reading:
            await reading.insert(ORDERS)  # type: ignore[attr-defined]
    await insert(store, ORDERS)


async def test_writers_have_turns_and_lose_nothing(make_store: MakeStore) -> None:
    """Each reads, waits and writes what it has read plus one: any interleaving loses counts."""
    writers, rounds = 8, 6
    async with make_store() as first, make_store() as second:
        await insert(first, Record("k", "counter", "counter", {"n": 0}))

        async def count(store: Store) -> None:
            for _ in range(rounds):
                async with store.write() as writing:
                    record = await writing.get("k", "counter")
                    assert record is not None
                    await asyncio.sleep(0)
                    document = {"n": record.document["n"] + 1}
                    await writing.update(replace(record, document=document))

        async with asyncio.TaskGroup() as tasks:
            for number in range(writers):
                tasks.create_task(count((first, second)[number % 2]))
        async with first.read() as reading:
            found = await reading.get("k", "counter")
    assert found is not None
    assert (found.document, found.revision) == ({"n": writers * rounds}, writers * rounds + 1)


async def test_of_writers_that_want_one_name_one_has_it(make_store: MakeStore) -> None:
    async with make_store() as first, make_store() as second:

        async def create(store: Store, number: int) -> str:
            try:
                await insert(store, replace(ORDERS, id=f"id{number}"))
            except DuplicateError as refused:
                return refused.what
            return "created"

        stores = itertools.cycle((first, second))
        found = await asyncio.gather(*(create(next(stores), number) for number in range(10)))
    assert sorted(found) == ["created", *["name"] * 9]


async def test_a_transaction_is_over_with_its_block(store: Store) -> None:
    async with store.write() as writing:
        pass
    async with store.read() as reading:
        pass
    with pytest.raises(InvariantError):
        await writing.insert(ORDERS)
    with pytest.raises(InvariantError):
        await reading.get("endpoint", "AB12")


async def test_more_readers_than_connections_have_turns(store: Store) -> None:
    await insert(store, ORDERS)

    async def read() -> int:
        async with store.read() as reading:
            await asyncio.sleep(0.001)
            return await reading.count("endpoint")

    assert await asyncio.gather(*(read() for _ in range(30))) == [1] * 30


async def test_housekeeping_changes_nothing(store: Store) -> None:
    await insert(store, ORDERS, *(endpoint(number) for number in range(50)))
    async with store.write() as writing:
        for number in range(50):
            await writing.delete("endpoint", f"id{number}")
    await store.tend()
    async with store.read() as reading:
        assert names(await reading.find("endpoint")) == ["orders"]


async def test_an_old_fencing_number_is_refused_before_the_block(store: Store) -> None:
    async with store.write() as writing:
        await writing.put_lease(LeaseRow("a", 7, await writing.now(), 10))
    async with store.write(fence=7) as writing:
        await writing.insert(ORDERS)
    for fence in (6, 8, 0):
        with pytest.raises(LeaseLostError, match="number 7 is in force, held by a"):
            async with store.write(fence=fence):
                pytest.fail("the block was entered")
    async with store.write(fence=7) as writing:
        assert names(await writing.find("endpoint")) == ["orders"]
