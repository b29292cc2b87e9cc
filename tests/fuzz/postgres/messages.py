"""Single messages, each damaged: `pgoutput-rows` through all three readers of rows, and
`pgoutput-control` what is not a row. Streams go deep, these go wide."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple, TypeAlias

from connectors._interchange import compiled
from connectors.postgres import rowcode
from connectors.postgres.pgoutput import MESSAGE_PREFIX, PgOutputDecoder
from connectors.postgres.relation_message import RelationMessage, parse_relation
from connectors.postgres.rowcode import Action
from engine.errors import DecodeError
from engine.model.change import Event
from tests.fuzz.mutation import mutated
from tests.fuzz.postgres import grammar
from tests.fuzz.postgres.grammar import RowEvent, Rows, Table
from tests.fuzz.postgres.stream import HEADER, describe, difference
from tests.fuzz.target import Decoded, Fuzzed

TABLES: Final = 12
ROWS_PER_TABLES: Final = 20_000
"""Messages until other tables are made; their readers take a while to compile."""

COPIES: Final = 3
"""Damaged copies of each row."""


# --- rows -----------------------------------------------------------------------------------------

Actions: TypeAlias = dict[bytes, Action]


class Readers(NamedTuple):
    """The same table to the compiled loops, to generated Python and to the plain loop."""

    native: Actions
    generated: Actions
    plain: Actions
    start: int


class RowCase(NamedTuple):
    message: bytes
    readers: Readers
    meant: RowEvent | None
    """Of a message that is whole."""


def row_cases(random: Random) -> Iterator[RowCase]:
    while True:
        sources = [_source(table, random, text=text) for table, text in _tables(random)]
        for _ in range(ROWS_PER_TABLES // (COPIES + 1)):
            rows, readers = sources[int(random.random() * len(sources))]
            message, meant = rows.any()
            if readers.start:
                message = HEADER + message
            yield RowCase(message, readers, meant)
            for _ in range(COPIES):
                yield RowCase(_damaged(message, readers.start, random), readers, None)


def _tables(random: Random) -> Iterator[tuple[Table, bool]]:
    for text, count in ((False, TABLES), (True, TABLES // 2)):
        for table in grammar.tables(random, count, text=text):
            yield table, text


def _source(table: Table, random: Random, *, text: bool) -> tuple[Rows, Readers]:
    return Rows(table, random), _readers(parse_relation(table.relation_message), text, random)


def _readers(message: RelationMessage, text: bool, random: Random) -> Readers:
    relation = describe(message, text=text)
    start = random.choice((0, len(HEADER)))
    loops = compiled.LOOPS
    native = rowcode.actions(relation, message.oid, start)
    try:
        compiled.LOOPS = None
        generated = rowcode.actions(relation, message.oid, start)
    finally:
        compiled.LOOPS = loops
    name = message.oid.to_bytes(4, "big")
    plain = rowcode._plain_actions(relation, start + 6)
    heads = {head[:1] + name + head[1:]: action for head, action in plain.items()}
    return Readers(native, generated, heads, start)


def _damaged(message: bytes, start: int, random: Random) -> bytes:
    """Damage behind the head for the most part: another head is another table's or nobody's."""
    kept = start + 6 if random.random() < 0.9 else 0
    return message[:kept] + mutated(message[kept:], random)


def read_row(case: RowCase) -> Decoded:
    message, readers, meant = case
    native = _read_row(message, readers.native, readers.start)
    loops = compiled.LOOPS
    try:
        compiled.LOOPS = None
        generated = _read_row(message, readers.generated, readers.start)
    finally:
        compiled.LOOPS = loops
    assert native == generated, difference("compiled", native, "generated", generated)
    if isinstance(native, tuple):  # what is refused was refused by the plain loop
        plain = readers.plain[message[readers.start : readers.start + 6]](message)
        assert native == plain, difference("compiled", native, "plain", plain)
    if meant is not None:
        assert isinstance(native, tuple)
        kind, relation, new, old = native
        assert (kind, relation.id, new, old) == meant
    return Decoded(1, 0 if isinstance(native, tuple) else 1)


def _read_row(message: bytes, actions: Actions, start: int) -> Event | str | None:
    """What it is read as, the words it is refused with, or None when nobody has such a head."""
    events: list[Event] = []
    try:
        read = rowcode.read_rows([message], 0, start, actions, events)
    except DecodeError as error:
        return str(error)
    assert len(events) == read
    return events[0] if events else None


# --- everything else ------------------------------------------------------------------------------


class ControlCase(NamedTuple):
    message: bytes
    opened: bool
    """It comes inside a transaction."""
    token: bytes | None


def control_cases(random: Random) -> Iterator[ControlCase]:
    while True:
        tables = grammar.tables(random, TABLES, text=False)
        for _ in range(1000):
            token = b"token" if random.random() < 0.3 else None
            message = _control(random, tables, token or b"")
            if random.random() < 0.85:
                message = mutated(message, random)
            yield ControlCase(message, random.random() < 0.8, token)


def _control(random: Random, tables: list[Table], token: bytes) -> bytes:
    chance = random.random()
    if chance < 0.25:
        return random.choice(tables).relation_message
    if chance < 0.35:
        content = grammar.told(random.choice(tables), random)
        return grammar.logical(MESSAGE_PREFIX, token + content, 1, 5)
    if chance < 0.5:
        return grammar.begin(random.getrandbits(64), 0, random.getrandbits(32))
    if chance < 0.6:
        return grammar.commit(10, random.getrandbits(64), 0)
    return random.choice(_FIXED)


_FIXED: Final = (
    *[grammar.truncate([16384] * count, count) for count in range(4)],
    grammar.origin("penstock_x_1"),
    grammar.type_message(16999, "public", "mood"),
    grammar.logical(b"other", b"content", 0, 5),
    grammar.logical(b"other", b"content", 1, 5),
    grammar.stream_start(7, True),
    grammar.stream_abort(7, 8, None),
    grammar.begin_prepare(1, 2, 3, 4, "gid"),
)


def read_control(case: ControlCase) -> None:
    decoder = PgOutputDecoder({}, token=case.token, left_out="penstock_")
    messages = [grammar.begin(10, 0, 7), case.message] if case.opened else [case.message]
    at = decoder.feed(messages)
    if at < len(messages):
        assert decoder.wanted is not None
        decoder.define(describe(decoder.wanted, text=False))
    for part in decoder.take():
        assert part.events or part.end is not None


TARGETS: Final = (
    Fuzzed(name="pgoutput-rows", generate=row_cases, decode=read_row, errors=(), weight=450),
    Fuzzed(
        name="pgoutput-control",
        generate=control_cases,
        decode=read_control,
        errors=(DecodeError,),
        weight=40,
    ),
)
