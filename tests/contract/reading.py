"""Write to a source and read its stream, in a law's terms."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from engine.contracts import Source
from engine.model.change import Block, Change, Event, Part, SchemaChanged, Transaction
from engine.model.position import Position
from engine.model.value import Row
from tests.contract.bench import INSERT_ONLY_NAMES, STREAMED_NAMES, SourceBench

PATIENCE_SECONDS: Final = 20.0
"""How long a law waits for what must come."""


@dataclass
class Read:
    """One transaction as its parts told it."""

    transaction: Transaction
    parts: list[Part] = field(default_factory=list[Part])

    @property
    def events(self) -> list[Event]:
        """The events that have an ordinal; a table's description has none."""
        return [event for part in self.parts for event in counted(part)]

    @property
    def changes(self) -> list[Change]:
        return [event for event in self.events if isinstance(event, Change)]

    @property
    def end(self) -> Position:
        end = self.parts[-1].end
        assert end is not None
        return end

    @property
    def ids(self) -> list[str]:
        """The first column of every change's row, as text."""
        return [text_of(change.new or change.old)[0] for change in self.changes]


async def insert(side: SourceBench, *ids: str, table: str = "accounts") -> None:
    """One transaction with a row for each id."""
    writer = await side.begin()
    for number in ids:
        await writer.insert(table, number, "value")
    await writer.commit()


async def attach(source: Source) -> Position:
    """Where the stream begins, with the bench's tables published."""
    return (await source.attach(STREAMED_NAMES, INSERT_ONLY_NAMES)).start


async def read_until(
    source: Source, after: Position, enough: Callable[[list[Block]], bool]
) -> list[Block]:
    """Blocks from a position until they are enough; the iterator is closed then."""
    blocks: list[Block] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(source.blocks(after)) as stream:
        async for block in stream:
            blocks.append(block)
            if enough(blocks):
                return blocks
    raise AssertionError("the stream ended")


async def read(source: Source, after: Position, transactions: int) -> list[Read]:
    """The next transactions that have a change of a published table."""
    blocks = await read_until(source, after, lambda b: len(finished(b)) >= transactions)
    return finished(blocks)[:transactions]


async def read_idle(source: Source, after: Position, transactions: int) -> list[Block]:
    """Everything up to the first idle position behind so many transactions. One may come before
    them: a server that has passed over what we have tells how far before it sends the rest."""
    return await read_until(
        source, after, lambda b: b[-1].idle is not None and len(finished(b)) >= transactions
    )


def finished(blocks: Sequence[Block]) -> list[Read]:
    """Whole transactions with at least one event, in order; each must be told in one stretch."""
    reads: list[Read] = []
    for part in (part for block in blocks for part in block.parts):
        if not reads or reads[-1].transaction is not part.transaction:
            assert not reads or reads[-1].parts[-1].end is not None, "a transaction was broken off"
            reads.append(Read(part.transaction))
        reads[-1].parts.append(part)
    return [r for r in reads if r.parts[-1].end is not None and _has_data(r)]


def counted(part: Part) -> list[Event]:
    return [event for event in part.events if not isinstance(event, SchemaChanged)]


def _has_data(read: Read) -> bool:
    return bool(read.events)


def text_of(row: Row | None) -> list[str]:
    """A row's values as text; NULL and UNCHANGED by these names in angle brackets."""
    assert row is not None
    return [_text(value) for value in row]


def _text(value: object) -> str:
    if value is None:
        return "<NULL>"
    if isinstance(value, bytes | memoryview | bytearray):
        return bytes(value).decode()
    return f"<{value!r}>"
