"""Chunks that were read, and what the log comes to at their places."""

import asyncio
from contextlib import aclosing

from connectors.mysql.load_data import NativeRows
from connectors.mysql.position import parse_position
from connectors.mysql.source import MysqlSource
from engine.model.change import DELETE, Change, Transaction
from engine.model.chunk import Chunk
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Key, Row
from tests.integration.mysql_source.conftest import PATIENCE_SECONDS, Side

Content = dict[Key, Row]


async def read_chunk(source: MysqlSource, chunk: Chunk) -> tuple[str, Content]:
    """A chunk's rows, and the text of the snapshot they were read at."""
    async with source.snapshot() as snapshot:
        data = b"".join([part async for part in source.rows(chunk, snapshot, "mysql-text")])
        at = source.read_at(chunk, snapshot).text
    reader = NativeRows(len(chunk.relation.columns))
    return at, {
        chunk.relation.key_of(row): row for row in map(reader.values, data.split(b"\n")[:-1])
    }


async def log_of(side: Side) -> list[tuple[Transaction, list[Change]]]:
    """Every transaction since `attach`."""
    assert side.at is not None
    goal = await side.source.head()
    found: list[tuple[Transaction, list[Change]]] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(side.source.blocks(side.at)) as blocks:
        async for block in blocks:
            for part in block.parts:
                events = [event for event in part.events if isinstance(event, Change)]
                found.append((part.transaction, events))
            end = next((p.end for p in reversed(block.parts) if p.end), block.idle)
            if end is not None and end.reaches(goal):
                return found
    raise AssertionError("the stream ended")


def replayed(
    log: list[tuple[Transaction, list[Change]]],
    relation: Relation,
    text: str,
    begun: Content | None = None,
) -> Content:
    """What the log comes to at a place, from the rows there were before, or none."""
    at = parse_position(text)
    rows = dict(begun or {})
    for transaction, changes in log:
        if not at.covers(transaction.coordinate, 1):
            continue
        for change in changes:
            if change.relation.table != relation.table:
                continue
            was: Row = ()
            if change.old is not None:
                was = rows.pop(relation.key_of(change.old))
            if change.kind != DELETE:
                assert change.new is not None
                key = relation.key_of(change.new)
                rows[key] = filled(change.new, was or rows.get(key, change.new))
    return rows


def filled(new: Row, was: Row) -> Row:
    """A row of which the log may not tell what stayed as it was."""
    return tuple([a if b is UNCHANGED else b for a, b in zip(was, new, strict=True)])


async def relation_of(side: Side, name: str) -> tuple[Relation, Chunk]:
    relation = next(r for r in side.relations if r.name == name)
    (chunk,) = await side.source.chunks(relation, 1000)
    return relation, chunk
