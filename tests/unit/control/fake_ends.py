"""A source and a target for the commands: they remember what was asked of them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from engine.contracts import ExclusiveSource, TransactionalTarget
from engine.errors import PenstockError, TargetBusyError
from engine.model.finding import Finding
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity, TableName
from engine.model.state import LaneRow, Owner, TableRecord


def relation(name: str, *, key: bool = True) -> Relation:
    columns = (Column("id", ColumnType("integer"), identity=key),)
    identity = ReplicaIdentity.DEFAULT if key else ReplicaIdentity.NOTHING
    return Relation(1, "public", name, columns, (0,) if key else (), identity)


@dataclass
class World:
    """What both ends show, and what was done to them."""

    relations: list[Relation] = field(default_factory=lambda: [relation("a")])
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    errors: dict[str, PenstockError] = field(default_factory=dict)
    looked_at: dict[str, list[TableName]] = field(default_factory=dict)
    records: dict[TableName, TableRecord] = field(default_factory=dict)
    reader: str | None = None
    owner: Owner | None = None
    busy: int = 0
    done: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    opened: int = 0

    def fail(self, place: str) -> None:
        if place in self.errors:
            raise self.errors[place]


class FakeEnd:
    side = ""

    def __init__(self, world: World) -> None:
        self.world = world

    async def open(self) -> str:
        self.world.fail(f"{self.side}.open")
        self.world.opened += 1
        return "identity"

    async def close(self) -> None:
        self.world.done.append(f"{self.side}.close")

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        self.world.fail(f"{self.side}.preflight")
        self.world.looked_at[self.side] = [each.table for each in relations]
        return self.world.findings.get(self.side, [])


class FakeSource(FakeEnd):
    side = "source"

    async def relations(self) -> Sequence[Relation]:
        return self.world.relations

    async def reader(self) -> str | None:
        return self.world.reader

    async def detach(self) -> None:
        self.world.done.append("detach")

    def made(self) -> Sequence[str]:
        return self.world.made


class FakeTarget(FakeEnd):
    side = "target"

    async def prepare_control(self) -> None:
        self.world.done.append("prepare")

    @asynccontextmanager
    async def session(self) -> AsyncIterator["FakeSession"]:
        yield FakeSession(self.world)


class FakeSession:
    def __init__(self, world: World) -> None:
        self.world = world

    @asynccontextmanager
    async def begin(self, fences: Sequence[object] = ()) -> AsyncIterator["FakeTransaction"]:
        assert not fences
        yield FakeTransaction(self.world)


class FakeTransaction:
    """Writes nothing before `commit`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.saved: list[TableRecord] = []
        self.removing = False

    async def lock_owner(self) -> Owner | None:
        if self.world.busy:
            self.world.busy -= 1
            raise TargetBusyError("the owner row is locked")
        return self.world.owner

    async def lanes(self) -> Mapping[str, LaneRow]:
        return {"frontier": LaneRow(1, 1, "0/1")}

    async def tables(self) -> Sequence[TableRecord]:
        return list(self.world.records.values())

    async def chunks(self) -> Sequence[object]:
        return [object(), object()]

    async def save_table(self, record: TableRecord) -> None:
        self.saved.append(record)

    async def request_reload(self, table: TableName) -> None:
        record = self.world.records[table]
        self.saved.append(replace(record, asked=record.asked + 1))

    async def remove_replication(self) -> None:
        self.removing = True

    async def rollback(self) -> None:
        self.saved.clear()
        self.removing = False

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        self.world.done.append("commit")
        self.world.records |= {record.table: record for record in self.saved}
        if self.removing:
            self.world.done.append("remove")


def _uncalled(*_: object) -> None:
    raise AssertionError("a command called what it should not need")


def _complete(kind: type[FakeEnd], contract: type) -> type[FakeEnd]:
    """The class with every other method of a contract, as `isinstance` looks for them."""
    names = {name for name in dir(contract) if not name.startswith("_")} - set(dir(kind))
    return type(kind.__name__, (kind,), dict.fromkeys(names, _uncalled))


_SOURCE = _complete(FakeSource, ExclusiveSource)
_TARGET = _complete(FakeTarget, TransactionalTarget)

current = World()


def source(*_: Any) -> FakeEnd:
    return _SOURCE(current)


def target(*_: Any) -> FakeEnd:
    return _TARGET(current)
