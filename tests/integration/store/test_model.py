"""Any sequence of calls leaves what the same calls leave in a dictionary."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from engine.control.store.contract import Store, Writing
from engine.control.store.errors import DuplicateError, GoneError, StaleError
from engine.control.store.postgres import PostgresStore
from engine.control.store.records import Event, EventFilter, Fact, Record, Where
from engine.control.store.sqlite import SqliteStore
from tests.conftest import Clusters
from tests.integration.store.conftest import Databases
from tests.servers.versions import VERSIONS

_numbers = itertools.count(1)

WORDS: Final = st.sampled_from(["a", "b", "c", "B", "ä", "a'", "\U0001f600"])
KINDS: Final = st.sampled_from(["k", "l"])
JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(WORDS, values, max_size=3),
    max_leaves=5,
)
DOCUMENTS: Final = st.dictionaries(WORDS, JSON, max_size=2)
FIELDS: Final = st.dictionaries(st.sampled_from(["f", "g"]), WORDS, max_size=2)
TEXTS: Final = st.dictionaries(WORDS, WORDS, max_size=3)
WHERE: Final = st.dictionaries(
    st.sampled_from(["id", "name", "f", "g"]), st.sets(WORDS, max_size=3), max_size=3
)


@dataclass
class Model:
    """What is stored, as plain values."""

    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    tags: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    facts: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def find(self, kind: str, where: Where) -> list[Record]:
        def has(record: Record, key: str) -> str | None:
            own = {"id": record.id, "name": record.name}
            return own.get(key) or record.fields.get(key)

        found = [
            record
            for record in self.records.values()
            if record.kind == kind
            and all(has(record, key) in any_of for key, any_of in where.items())
        ]
        return sorted(found, key=lambda record: record.name)

    def name_taken(self, kind: str, name: str) -> bool:
        return bool(self.find(kind, {"name": [name]}))


class Machine(RuleBasedStateMachine):
    """One store and its model. Some rules are a transaction each, some are a part of one."""

    make: Callable[[int], Store]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.number = next(_numbers)
        self.model = Model()
        self.before = Model()
        self.store = self.make(self.number)
        self.runner.run(self.store.__aenter__())
        self.block: Any = None
        self.writing: Writing

    def teardown(self) -> None:
        if self.block is not None:
            self.runner.run(self.block.__aexit__(None, None, None))
        self.runner.run(self.store.__aexit__())
        self.runner.close()

    def ask(self, call: Callable[[Writing], Any]) -> Any:
        """In the open transaction, or in one of its own."""

        async def asked() -> Any:
            if self.block is not None:
                return await call(self.writing)
            async with self.store.write() as writing:
                return await call(writing)

        return self.runner.run(asked())

    @rule()
    def begin(self) -> None:
        if self.block is None:
            self.before = deepcopy(self.model)
            self.block = self.store.write()
            self.writing = self.runner.run(self.block.__aenter__())

    @rule()
    def commit(self) -> None:
        if self.block is not None:
            self.runner.run(self.block.__aexit__(None, None, None))
            self.block = None

    @rule()
    def fail(self) -> None:
        if self.block is not None:
            leave = self.block.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
            assert not self.runner.run(leave)  # it lets the error pass
            self.block = None
            self.model = self.before

    @rule()
    def open_again(self) -> None:
        if self.block is None:
            self.runner.run(self.store.__aexit__())
            self.store = self.make(self.number)
            self.runner.run(self.store.__aenter__())

    @rule(kind=KINDS, id=WORDS, name=WORDS, document=DOCUMENTS, fields=FIELDS)
    def insert(self, kind: str, id: str, name: str, document: Any, fields: dict[str, str]) -> None:
        record = Record(kind, id, name, document, fields)
        taken = (kind, id) in self.model.records or self.model.name_taken(kind, name)
        if taken:
            with pytest.raises(DuplicateError):
                self.ask(lambda writing: writing.insert(record))
        else:
            self.model.records[kind, id] = self.ask(lambda writing: writing.insert(record))
            self.model.tags[kind, id] = {}
            self.model.facts[kind, id] = {}

    @rule(kind=KINDS, id=WORDS, name=WORDS, document=DOCUMENTS, fields=FIELDS, stale=st.booleans())
    def update(
        self, kind: str, id: str, name: str, document: Any, fields: dict[str, str], stale: bool
    ) -> None:
        before = self.model.records.get((kind, id))
        changes = {"name": name, "document": document, "fields": fields}
        record = replace(before or Record(kind, id, name, {}), **changes)
        if stale:
            record = replace(record, revision=record.revision - 1)
        if before is None or stale:
            with pytest.raises(StaleError if before else GoneError):
                self.ask(lambda writing: writing.update(record))
        elif name != before.name and self.model.name_taken(kind, name):
            with pytest.raises(DuplicateError):
                self.ask(lambda writing: writing.update(record))
        else:
            stored = self.ask(lambda writing: writing.update(record))
            times = {"updated": stored.updated, "revision": before.revision + 1}
            assert stored == replace(record, **times)
            self.model.records[kind, id] = stored

    @rule(kind=KINDS, id=WORDS)
    def delete(self, kind: str, id: str) -> None:
        if self.model.records.pop((kind, id), None) is None:
            with pytest.raises(GoneError):
                self.ask(lambda writing: writing.delete(kind, id))
        else:
            self.ask(lambda writing: writing.delete(kind, id))
            del self.model.tags[kind, id], self.model.facts[kind, id]

    @rule(kind=KINDS, id=WORDS, tags=TEXTS, facts=st.dictionaries(WORDS, DOCUMENTS, max_size=3))
    def put_beside(self, kind: str, id: str, tags: dict[str, str], facts: dict[str, Any]) -> None:
        if (kind, id) in self.model.records:
            self.ask(lambda writing: writing.tag(kind, id, tags))
            self.ask(lambda writing: writing.put_facts(kind, id, facts))
            self.model.tags[kind, id].update(tags)
            self.model.facts[kind, id].update(facts)

    @rule(kind=KINDS, id=WORDS, keys=st.sets(WORDS), prefix=WORDS)
    def drop_beside(self, kind: str, id: str, keys: set[str], prefix: str) -> None:
        if (kind, id) in self.model.records:
            self.ask(lambda writing: writing.untag(kind, id, keys))
            self.ask(lambda writing: writing.drop_facts(kind, id, prefix=prefix))
            for key in keys:
                self.model.tags[kind, id].pop(key, None)
            kept = self.model.facts[kind, id].items()
            self.model.facts[kind, id] = {k: v for k, v in kept if not k.startswith(prefix)}

    @rule(source=WORDS, message=WORDS, categories=st.lists(WORDS, max_size=3, unique=True))
    def add_event(self, source: str, message: str, categories: list[str]) -> None:
        event = Event("k", source, message, tuple(categories))
        stored = self.ask(lambda writing: writing.add_event(event))
        assert replace(stored, number=0, at=0.0) == event
        assert stored.number > max((event.number for event in self.model.events), default=0)
        self.model.events.append(stored)

    @rule(kind=KINDS, where=WHERE, after=st.just("") | WORDS, limit=st.none() | st.integers(0, 3))
    def find(self, kind: str, where: Where, after: str, limit: int | None) -> None:
        matching = self.model.find(kind, where)
        page = [record for record in matching if record.name > after][:limit]
        found = self.ask(lambda writing: writing.find(kind, where, after=after, limit=limit))
        assert found == page
        assert self.ask(lambda writing: writing.count(kind, where)) == len(matching)

    @rule(source=st.just("") | WORDS, categories=st.sets(WORDS, max_size=2))
    def find_events(self, source: str, categories: set[str]) -> None:
        only = EventFilter(source_id=source, categories=categories)
        assert self.ask(lambda writing: writing.events(only)) == [
            event
            for event in self.model.events
            if source in ("", event.source_id)
            and (not categories or categories.intersection(event.categories))
        ]

    @invariant()
    def readers_see_what_was_committed(self) -> None:
        model = self.model if self.block is None else self.before

        async def look() -> None:
            async with self.store.read() as reading:
                for kind in ("k", "l"):
                    assert await reading.find(kind) == model.find(kind, {})
                    ids = [one for of, one in model.records if of == kind]
                    tags = await reading.tags(kind, ids)
                    assert tags == {one: model.tags[kind, one] for one in ids}
                    for one in ids:
                        facts = sorted(model.facts[kind, one].items())
                        found = await reading.facts(kind, one)
                        assert found == [Fact(*fact) for fact in facts]
                assert await reading.events() == model.events

        self.runner.run(look())


def run(make: Callable[[int], Store], examples: int) -> None:
    machine = type("Machine", (Machine,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30)
    )


def test_a_file_is_a_dictionary() -> None:
    with tempfile.TemporaryDirectory() as directory:
        run(lambda number: SqliteStore(Path(directory) / f"{number}.db"), 15)


def test_a_server_is_a_dictionary(clusters: Clusters, databases: Databases) -> None:
    url = databases.url(clusters.need(VERSIONS[-1]))
    run(lambda number: PostgresStore(url, schema=f"model_{number}"), 4)


@pytest.mark.nightly
def test_a_file_is_a_dictionary_at_length() -> None:
    with tempfile.TemporaryDirectory() as directory:
        run(lambda number: SqliteStore(Path(directory) / f"{number}.db"), 500)
