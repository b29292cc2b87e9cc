"""A target with one lane, rows in wire form, and relations as a source would describe them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from connectors.postgres.target_config import PostgresTargetConfig
from engine.model.batch import Run, Written
from engine.model.relation import Relation, TableName
from engine.model.state import Fence, LaneRow
from engine.model.value import Row
from tests.servers.postgres import Database

LANE = "lane"


@dataclass(slots=True)
class Rig:
    """One target, its database, one session with one lane at epoch 1."""

    database: Database
    target: PostgresTarget
    session: PostgresSession
    seq: int = 0
    relations: dict[str, Relation] = field(default_factory=dict[str, Relation])

    @property
    def fence(self) -> Fence:
        return Fence(LANE, 1, self.seq, f"p{self.seq}")

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        return self.database.execute(sql)

    async def relation(self, name: str = "t", *, like: str = "") -> Relation:
        """The table as a source would describe it; `like`: that table's columns under this name."""
        schema, _, table = (like or name).rpartition(".")
        found = await self.target.relation(TableName(schema or "public", table))
        assert found is not None
        return replace(found, schema="public", name=name) if like else found

    def wire(self, query: str) -> list[Row]:
        """A query's rows, each value in its binary send form."""
        with psycopg.connect(self.database.dsn) as connection:
            result = connection.pgconn.exec_params(query.encode(), None, result_format=1)
            assert not result.error_message, result.error_message
            return [
                tuple(result.get_value(row, column) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]

    async def apply(self, *runs: Run) -> Written:
        """One fenced transaction."""
        async with self.session.begin([self.fence]) as transaction:
            written = await transaction.write(runs)
            await transaction.commit()
        self.seq += 1
        return written

    def rows(self, query: str = "SELECT * FROM t ORDER BY 1") -> Sequence[tuple[object, ...]]:
        return self.execute(query)

    def lane(self) -> LaneRow:
        ((epoch, seq, position),) = self.execute(
            f"SELECT epoch, seq, position FROM penstock.checkpoint WHERE lane = '{LANE}'"
        )
        assert isinstance(epoch, int)
        assert isinstance(seq, int)
        return LaneRow(epoch, seq, str(position))


def config(dsn: str, **options: object) -> PostgresTargetConfig:
    return PostgresTargetConfig(replication="r", conninfo=dsn, **options)  # type: ignore[arg-type]


@pytest.fixture
async def target(target_database: Database) -> AsyncIterator[PostgresTarget]:
    target = PostgresTarget(config(target_database.dsn, lock_timeout_seconds=0.5))
    await target.prepare_control()
    yield target
    await target.close()


@pytest.fixture
async def rig(target: PostgresTarget, target_database: Database) -> AsyncIterator[Rig]:
    async with target.session() as session:
        async with session.begin() as transaction:
            await transaction.save_lane(LANE, LaneRow(1, 0, ""))
            await transaction.commit()
        yield Rig(target_database, target, session)


@pytest.fixture
def target_dsn(target_database: Database) -> str:
    return target_database.dsn
