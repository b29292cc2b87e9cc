"""What the engine wrote and reads again: `log-position`, `relation-text`, `overflow-file`,
`memory-rows`."""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from connectors.memory.rows import MemoryRows, encode
from connectors.memory.storage import Cells
from engine.errors import StateError
from engine.model import relation_text
from engine.model.change import INSERT, UPDATE, Change, Event, Transaction, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Format, Relation, ReplicaIdentity
from engine.model.value import UNCHANGED
from engine.spool import Spool, SpoolBudget
from tests.fuzz.mutation import mutated, mutated_document, mutated_text
from tests.fuzz.target import Fuzzed

# --- positions ------------------------------------------------------------------------------------


def positions(random: Random) -> Iterator[str]:
    while True:
        offset, ordinal = (
            random.getrandbits(random.choice((4, 33, 64))),
            random.choice((0, 1, 10**9)),
        )
        text = str(LogPosition(offset, ordinal))
        yield text if random.random() < 0.2 else mutated_text(text, random)


def read_position(text: str) -> None:
    position = LogPosition.parse(text)
    assert LogPosition.parse(str(position)) == position
    assert 0 <= position.offset < 2**64
    assert 0 <= position.ordinal < 10**18


# --- relations ------------------------------------------------------------------------------------


def relations(random: Random) -> Iterator[str]:
    while True:
        columns = [
            Column(f"c{n}", ColumnType("t", n, -1, ""), random.choice(list(Format)), number=n)
            for n in range(random.randrange(5))
        ]
        relation = Relation(
            random.getrandbits(32),
            "public",
            random.choice(("t", "ünïcode", "")),
            tuple(columns),
            tuple(range(random.randrange(len(columns) + 1))),
            random.choice(list(ReplicaIdentity)),
        )
        text = relation_text.dump(relation)
        yield text
        for _ in range(4):
            yield mutated_text(text, random)
            yield json.dumps(mutated_document(json.loads(text), random))
        yield "[" * 10 ** random.randrange(5)


def read_relation(text: str) -> None:
    relation = relation_text.parse(text)
    assert all(0 <= place < len(relation.columns) for place in relation.key)


# --- overflow -------------------------------------------------------------------------------------


class _Files:
    """A disk whose bytes can be damaged; it never gives more than it has."""

    def __init__(self) -> None:
        self.data = b""
        self.asked = 0

    def append(self, _name: str, data: bytes) -> int:
        self.data += data
        return len(self.data) - len(data)

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.asked = max(self.asked, size)
        data = self.data[offset : offset + size]
        if len(data) != size:
            raise StateError(f"{name} ends before byte {offset + size}")
        return data

    def remove(self, _name: str) -> None:
        self.data = b""

    def names(self) -> Sequence[str]:
        return ["spool-x"]

    def size(self, _name: str) -> int:
        return len(self.data)


class Overflow(NamedTuple):
    """Events of each record, and a seed for the damage; 0 for none."""

    records: Sequence[Sequence[Event]]
    damage: int


TABLE: Final = Relation(1, "public", "t", (Column("a", ColumnType("x")),))


def overflows(random: Random) -> Iterator[Overflow]:
    events: list[Event] = [
        Change(INSERT, TABLE, (b"x" * 40,), None),
        Change(UPDATE, TABLE, (UNCHANGED,), (None,)),
        Truncate((TABLE,), cascade=True),
    ]
    while True:
        records = [
            random.choices(events, k=random.randrange(4)) for _ in range(random.randint(1, 4))
        ]
        yield Overflow(records, random.choice((0, random.getrandbits(32))))


def read_overflow(case: Overflow) -> None:
    """What reads back is what was written; nothing else does. A length that lies asks the disk for
    no more than the file holds."""
    files = _Files()
    spool = Spool("x", files, SpoolBudget(1 << 20), bytes(32))
    for number, events in enumerate(case.records):
        spool.put(Transaction(number), events, list(range(len(events))), LogPosition(number))
    sound = files.data
    if case.damage:
        files.data = mutated(files.data, Random(case.damage))
    for number, events in enumerate(case.records):
        try:
            spooled = spool.peek()
        except StateError:
            assert files.data != sound
            assert files.asked <= max(4, len(sound))
            raise
        assert (spooled.events, spooled.end) == (list(events), LogPosition(number))
        spool.drop()


# --- rows of the memory connector -----------------------------------------------------------------


class Pieces(NamedTuple):
    """`rows` are what the pieces hold when they are whole."""

    columns: int
    pieces: Sequence[bytes]
    rows: Sequence[Cells] | None


def pieces(random: Random) -> Iterator[Pieces]:
    while True:
        columns = random.randint(1, 4)
        values = (None, b"", b"x", random.randbytes(40), b"\xff\xff\xff\xff")
        rows: list[Cells] = [
            tuple(random.choices(values, k=columns)) for _ in range(random.randrange(6))
        ]
        data = b"".join(map(encode, rows))
        whole = random.random() < 0.3
        data = data if whole else mutated(data, random)
        cuts = sorted(random.randint(0, len(data)) for _ in range(3))
        ends = zip([0, *cuts], [*cuts, len(data)], strict=True)
        yield Pieces(columns, [data[a:b] for a, b in ends], rows if whole else None)


def read_pieces(case: Pieces) -> None:
    decoder = MemoryRows(case.columns)
    cut = [row for piece in case.pieces for row in decoder.feed(piece)]
    decoder.finish()
    found = [decoder.values(row) for row in cut]
    assert case.rows is None or found == list(case.rows)


TARGETS: Final = (
    Fuzzed(
        name="log-position",
        generate=positions,
        decode=read_position,
        errors=(ValueError,),
        weight=15,
    ),
    Fuzzed(
        name="relation-text",
        generate=relations,
        decode=read_relation,
        errors=(StateError,),
        weight=8,
    ),
    Fuzzed(
        name="overflow-file",
        generate=overflows,
        decode=read_overflow,
        errors=(StateError,),
        weight=3,
    ),
    Fuzzed(
        name="memory-rows", generate=pieces, decode=read_pieces, errors=(ValueError,), weight=10
    ),
)
