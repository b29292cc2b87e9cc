"""Each change is dispatched once and in order, however often the source begins again."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress

import pytest

from engine.capture.reader import Reader
from engine.errors import DecodeError, InvariantError, PenstockError, SourceConnectionError
from engine.model.change import INSERT, Block, Change, Event, Part, SchemaChanged, Transaction
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation
from tests.unit.apply.bench import Clock, Random

TABLE = Relation(1, "public", "t", ())
CHANGED = SchemaChanged(TABLE.table, TABLE, TABLE, exact=True)


def row(name: str) -> Change:
    return Change(INSERT, TABLE, (name.encode(),), None)


def part(number: int, *events: Event, first: int = 1, ends: bool = False) -> Part:
    """Events of the transaction that commits at 100 times `number`."""
    end = LogPosition(100 * number + 10) if ends else None
    return Part(Transaction(100 * number), first, list(events), end)


def block(*parts: Part, idle: int | None = None) -> Block:
    return Block(list(parts), 10, LogPosition(idle) if idle is not None else None)


class Log:
    """A source that plays one script per connection; a script ends with the error it raises."""

    def __init__(self, *scripts: Callable[[], Sequence[Block | Exception]]) -> None:
        self._scripts = iter(scripts)
        self.asked: list[Position] = []

    async def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        self.asked.append(after)
        for item in next(self._scripts, list)():
            if isinstance(item, Exception):
                raise item
            yield item
        await asyncio.Event().wait()


class Inlet:
    def __init__(self) -> None:
        self.blocks: list[Block] = []

    async def put(self, block: Block) -> None:
        self.blocks.append(block)

    @property
    def events(self) -> list[tuple[int, int, Event]]:
        """(running number, ordinal, event)"""
        found: list[tuple[int, int, Event]] = []
        for one in self.blocks:
            for piece in one.parts:
                ordinal = piece.first
                for event in piece.events:
                    found.append((piece.transaction.number, ordinal, event))
                    ordinal += not isinstance(event, SchemaChanged)
        return found

    @property
    def ends(self) -> list[Position]:
        parts = [piece for one in self.blocks for piece in one.parts]
        return [piece.end for piece in parts if piece.end is not None]


def broken() -> SourceConnectionError:
    return SourceConnectionError("cut")


async def read(
    log: Log,
    start: int = 0,
    until_us: int | None = None,
    cut: Callable[[Position], None] = lambda _: None,
) -> tuple[Inlet, Reader, list[PenstockError | None]]:
    """Read until nothing more comes."""
    inlet, told = Inlet(), list[PenstockError | None]()
    reader = Reader(
        log,  # type: ignore[arg-type]
        LogPosition(start),
        inlet,
        Clock(),
        Random(),
        connected=told.append,
        until_us=until_us,
        cut=cut,
    )
    task = asyncio.create_task(reader.run())
    for _ in range(50):
        await asyncio.sleep(0)
    if task.done():
        await task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return inlet, reader, told


async def test_transactions_are_numbered_in_order() -> None:
    inlet, reader, _ = await read(
        Log(lambda: [block(part(1, row("a"), ends=True), part(2, row("b"), ends=True))])
    )
    assert inlet.events == [(1, 1, row("a")), (2, 1, row("b"))]
    assert reader.passed == LogPosition(210)


async def test_after_a_break_reading_goes_on_behind_what_was_dispatched() -> None:
    log = Log(
        lambda: [block(part(1, row("a"), ends=True)), broken()],
        lambda: [block(part(1, row("a"), ends=True), part(2, row("b"), ends=True))],
    )
    inlet, _, told = await read(log)
    assert inlet.events == [(1, 1, row("a")), (2, 1, row("b"))]
    assert log.asked == [LogPosition(0), LogPosition(110)]
    assert [error is None for error in told] == [True, False, True]


async def test_a_transaction_cut_by_a_break_is_ended_under_its_number() -> None:
    log = Log(
        lambda: [block(part(1, row("a"), row("b"))), broken()],
        lambda: [block(part(1, row("a"), row("b"), row("c"), ends=True))],
    )
    inlet, _, _ = await read(log)
    assert inlet.events == [(1, 1, row("a")), (1, 2, row("b")), (1, 3, row("c"))]
    assert inlet.ends == [LogPosition(110)]


async def test_an_end_that_comes_after_a_break_comes_alone() -> None:
    log = Log(
        lambda: [block(part(1, row("a"))), broken()],
        lambda: [block(part(1, row("a"), ends=True))],
    )
    inlet, _, _ = await read(log)
    assert inlet.events == [(1, 1, row("a"))]
    assert inlet.ends == [LogPosition(110)]


async def test_a_schema_change_behind_the_last_row_is_not_lost_in_a_break() -> None:
    """It has no ordinal of its own, so nothing says that it was dispatched."""
    log = Log(
        lambda: [block(part(1, row("a"))), broken()],
        lambda: [block(part(1, row("a"), CHANGED, row("b"), ends=True))],
    )
    inlet, _, _ = await read(log)
    assert inlet.events == [(1, 1, row("a")), (1, 2, CHANGED), (1, 2, row("b"))]


async def test_an_idle_position_inside_a_cut_transaction_is_not_passed_on() -> None:
    log = Log(
        lambda: [block(part(1, row("a"))), broken()],
        lambda: [block(idle=500)],
    )
    inlet, reader, _ = await read(log)
    assert [one.idle for one in inlet.blocks] == [None, None]
    assert reader.passed == LogPosition(100, 1)


async def test_an_idle_position_is_where_the_next_connection_begins() -> None:
    log = Log(lambda: [block(idle=500), broken()])
    await read(log)
    assert log.asked == [LogPosition(0), LogPosition(500)]


async def test_a_source_that_leaves_a_transaction_unended_is_not_believed() -> None:
    log = Log(
        lambda: [block(part(1, row("a"))), broken()],
        lambda: [block(part(2, row("b"), ends=True))],
    )
    with pytest.raises(InvariantError):
        await read(log)


async def test_bytes_that_are_not_understood_end_the_reading() -> None:
    with pytest.raises(DecodeError):
        await read(Log(lambda: [DecodeError("what")]))


class Quiet:
    """A source on whose first link nothing comes."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0

    async def blocks(self, _: Position) -> AsyncGenerator[Block, None]:
        self.opened += 1
        try:
            if self.opened > 1:
                yield block(part(1, row("a"), ends=True))
            await asyncio.Event().wait()
        finally:
            self.closed += 1


async def test_a_link_on_which_nothing_comes_can_be_given_up_for_another() -> None:
    source, inlet, told = Quiet(), Inlet(), list[PenstockError | None]()
    reader = Reader(
        source,  # type: ignore[arg-type]
        LogPosition(0),
        inlet,
        Clock(),
        Random(),
        connected=told.append,
    )
    assert not reader.cut("too early")
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0)
    assert reader.cut("nothing came")
    for _ in range(50):
        await asyncio.sleep(0)
    assert (source.opened, source.closed) == (2, 1)
    assert inlet.events == [(1, 1, row("a"))]
    assert [None if error is None else error.message for error in told] == ["nothing came", None]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_is_in_hand_is_never_lost_to_a_cut() -> None:
    room = asyncio.Event()

    class Full(Inlet):
        async def put(self, block: Block) -> None:
            await room.wait()
            await super().put(block)

    inlet = Full()
    log = Log(lambda: [block(part(1, row("a"), ends=True))])
    reader = Reader(
        log,  # type: ignore[arg-type]
        LogPosition(0),
        inlet,
        Clock(),
        Random(),
        connected=lambda _: None,
    )
    task = asyncio.create_task(reader.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert reader.waits_for_room
    assert not reader.cut("stuck")
    room.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert inlet.events == [(1, 1, row("a"))]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def at(us: int, piece: Part) -> Part:
    """A part of a transaction that was committed then."""
    piece.transaction.committed_at_us = us
    return piece


async def test_before_the_first_transaction_that_was_committed_too_late_it_rests() -> None:
    """Also where the next one in the log was committed in time again."""
    log = Log(
        lambda: [
            block(at(5, part(1, row("a"), ends=True)), idle=150),
            block(
                at(9, part(2, row("b"), ends=True)),
                at(10, part(3, row("c"), ends=True)),
                at(8, part(4, row("d"), ends=True)),
                idle=450,
            ),
            block(at(7, part(5, row("e"), ends=True))),
        ]
    )
    cuts: list[Position] = []
    inlet, reader, _ = await read(log, until_us=9, cut=cuts.append)
    assert inlet.events == [(1, 1, row("a")), (2, 1, row("b"))]
    assert [one.idle for one in inlet.blocks] == [LogPosition(150), None]
    assert cuts == [reader.passed] == [LogPosition(210)]
    assert reader.waits_for_room, "it would count as stuck"


async def test_one_that_had_begun_in_time_is_carried_to_its_end() -> None:
    log = Log(
        lambda: [block(at(9, part(1, row("a")))), broken()],
        lambda: [
            block(
                at(9, part(1, row("a"), row("b"), ends=True)),
                at(10, part(2, row("c"))),
                at(10, part(2, row("d"), first=2, ends=True)),
            )
        ],
    )
    cuts: list[Position] = []
    inlet, _, _ = await read(log, until_us=9, cut=cuts.append)
    assert inlet.events == [(1, 1, row("a")), (1, 2, row("b"))]
    assert inlet.ends == cuts == [LogPosition(110)]


async def test_one_that_was_carried_before_does_not_end_it() -> None:
    log = Log(
        lambda: [block(at(10, part(1, row("a"), ends=True)), at(9, part(2, row("b"), ends=True)))]
    )
    cuts: list[Position] = []
    inlet, _, _ = await read(log, 110, until_us=9, cut=cuts.append)
    assert inlet.events == [(1, 1, row("b"))]
    assert cuts == []
