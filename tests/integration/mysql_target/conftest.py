"""A MySQL or MariaDB target with one lane, on each server."""

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from connectors.mysql.session import MysqlSession
from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from engine.config.url import parse_url
from engine.model.batch import Run, Written
from engine.model.relation import Relation, TableName
from engine.model.state import Fence, LaneRow
from engine.model.value import Row
from engine.seams import SystemRandom
from tests.servers.mysql import MysqlDatabase

LANE: Final = "lane"

_numbers = itertools.count(1)


@dataclass(slots=True)
class Rig:
    """One target, its database, one session with one lane at epoch 1."""

    database: MysqlDatabase
    target: MysqlTarget
    session: MysqlSession
    seq: int = 0

    @property
    def fence(self) -> Fence:
        return Fence(LANE, 1, self.seq, f"p{self.seq}")

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.database.execute(sql, *parameters)

    def name(self, table: str = "t") -> TableName:
        return TableName(self.database.name, table)

    async def relation(self, table: str = "t", *, like: str = "") -> Relation:
        """The table as a source would describe it; `like`: that table's columns under this name."""
        found = await self.target.relation(self.name(like or table))
        assert found is not None
        return replace(found, name=table)

    async def wire(self, query: str) -> list[Row]:
        """A query's rows in the native form."""
        (result,) = await self.session.run(query.encode())
        return [tuple(row) for row in result.rows]

    async def apply(self, *runs: Run) -> Written:
        """One fenced transaction."""
        async with self.session.begin([self.fence]) as transaction:
            written = await transaction.write(runs)
            await transaction.commit()
        self.seq += 1
        return written

    async def load(self, relation: Relation, data: Iterable[bytes]) -> Written:
        """One fenced transaction that loads."""
        form = await self.target.load_form(relation)
        async with self.session.begin([self.fence]) as transaction:
            written = await transaction.load(relation, form, pieces(data))
            await transaction.commit()
        self.seq += 1
        return written


async def pieces(data: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def row(*values: str | bytes | None) -> Row:
    return tuple([v.encode() if isinstance(v, str) else v for v in values])


def rows(*values: Sequence[str | bytes | None]) -> list[Row]:
    return [row(*each) for each in values]


@pytest.fixture
async def rig(mysql_database: MysqlDatabase) -> AsyncIterator[Rig]:
    config = MysqlTargetConfig(
        replication=f"rig-{next(_numbers)}",
        url=parse_url(mysql_database.url),
        lock_timeout_seconds=2,
    )
    target = MysqlTarget(config, SystemRandom())
    await target.open()
    await target.prepare_control()
    async with target.session() as session:
        async with session.begin() as transaction:
            await transaction.save_lane(LANE, LaneRow(1, 0, "start"))
            await transaction.commit()
        yield Rig(mysql_database, target, session)
        if not session.broken:
            async with session.begin() as transaction:
                await transaction.remove_replication()
                await transaction.commit()
    await target.close()
