"""The blackhole's bench: what of the laws is about fences and control rows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from connectors.blackhole.target import BlackholeTarget
from engine.comparable import Comparable
from engine.model.relation import Column, ColumnType, Relation
from engine.model.value import Row
from tests.contract.bench import SCHEMA, LawTarget, TargetFeatures, Text


class BlackholeTargetBench:
    features = TargetFeatures(
        rows=False, isolation=False, foreign_keys=False, immediate_fence=True, comparable=False
    )

    def __init__(self) -> None:
        # Its control rows last as long as the object, so every client is the same one.
        self._target = BlackholeTarget()

    async def target(self, replication: str = "law") -> LawTarget:
        await self._target.open()
        await self._target.prepare_control()
        return self._target

    async def relation(self, table: str) -> Relation:
        """Any table is as good as another."""
        columns = tuple(Column(name, ColumnType("text")) for name in ("id", "value"))
        return Relation(1, SCHEMA, table, columns, key=(0,))

    async def read(self, table: str) -> Sequence[tuple[Text, ...]]:
        raise AssertionError("a law that reads rows back needs a feature that this target lacks")

    async def quarantined(self, replication: str = "law") -> int:
        return self._target.state.rejected

    async def comparable(self) -> Comparable:
        raise AssertionError("a law that compares needs a feature that this target lacks")

    async def load_data(self, relation: Relation, rows: Sequence[Row]) -> Sequence[bytes]:
        raise AssertionError("a law that loads rows needs a feature that this target lacks")


@asynccontextmanager
async def target_bench() -> AsyncIterator[BlackholeTargetBench]:
    yield BlackholeTargetBench()
