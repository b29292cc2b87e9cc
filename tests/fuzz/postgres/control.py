"""Target `control-rows`: our own tables on the target, read back after somebody else wrote there;
`chunk-bounds`: what the bounds of finished chunks say of a key."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from connectors._interchange import keyorder
from connectors._interchange.chunk_lookup import ChunkLookup
from connectors._sql import control_rows
from connectors._sql.control_rows import Cells
from engine.errors import SchemaChangeError, StateError
from engine.model.chunk import ChunkDone
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.state import LaneRow, Owner, TableRecord, TableState
from tests.fuzz.mutation import mutated_document, mutated_text
from tests.fuzz.target import Fuzzed

LISTS: Final = (
    "[]",
    "[17, 18]",
    '["2026-01-01", "2026-01-02"]',
    '["a", "b"]',
    "{}",
    "null",
    "[" * 2000,
)


class Case(NamedTuple):
    table: str
    row: Cells


def _owner(random: Random) -> Cells:
    return ["7", "id", "print", "h:1", "token", "[17, 18]", '["2026-01-01", "2026-01-02"]']


def _lane(random: Random) -> Cells:
    return ["public.t", "7", str(random.getrandbits(62)), "16/B374D848+12"]


def _table(random: Random) -> Cells:
    state = random.choice(list(TableState)).value
    return ["public", "t", state, "16/B374D848", "why", "", "1", "0"]


def _chunk(random: Random) -> Cells:
    return [
        "public",
        "t",
        "4",
        "key",
        '["1"]',
        random.choice((None, '["9"]')),
        "3:9:4",
        "0/9",
        "50",
    ]


MAKERS: Final = {"owner": _owner, "checkpoint": _lane, "table_state": _table, "chunk": _chunk}


def rows(random: Random) -> Iterator[Case]:
    while True:
        name = random.choice(list(MAKERS))
        row = list(MAKERS[name](random))
        if random.random() < 0.85:
            at = random.randrange(len(row))
            was = row[at]
            row[at] = random.choice((None, random.choice(LISTS), mutated_text(was or "", random)))
        if random.random() < 0.03:
            del row[random.randrange(len(row))]
        yield Case(name, row)


READERS: Final[dict[str, Callable[[Cells], object]]] = {
    "owner": control_rows.owner,
    "checkpoint": lambda row: control_rows.lanes([row]),
    "table_state": control_rows.table,
    "chunk": control_rows.chunk,
}


def read_row(case: Case) -> None:
    """What is accepted has the kinds that it says it has."""
    found = READERS[case.table](case.row)
    if isinstance(found, Owner):
        assert all(type(pid) is int and type(start) is str for pid, start in found.sessions)
    elif isinstance(found, ChunkDone):
        bounds = [*(found.low or ()), *(found.high or ())]
        assert all(type(bound) is str for bound in bounds)
    elif isinstance(found, TableRecord):
        assert type(found.asked) is int
    else:
        assert isinstance(found, dict)
        assert all(isinstance(lane, LaneRow) for lane in found.values())


# --- bounds ---------------------------------------------------------------------------------------


class Bounds(NamedTuple):
    chunks: list[ChunkDone]
    relation: Relation
    key: tuple[bytes, ...]
    whole: bool
    """The chunks are as the engine writes them."""


TABLE: Final = TableName("public", "t")


def bounds(random: Random) -> Iterator[Bounds]:
    """Chunks of integers, next to each other, and a key."""
    while True:
        width = random.choice((1, 1, 2))
        edges = sorted({random.randint(-50, 50) for _ in range(random.randint(0, 6))})
        texts: list[tuple[str, ...] | None] = [
            None,
            *[tuple([str(edge)] + ["0"] * (width - 1)) for edge in edges],
            None,
        ]
        chunks = [
            ChunkDone(TABLE, n, "key", low, high, f"{n + 3}:{n + 3}:", "0/9", 1)
            for n, (low, high) in enumerate(pairwise(texts))
        ]
        if random.random() < 0.3:
            del chunks[random.randrange(len(chunks))]
        whole = not chunks or random.random() < 0.6
        if not whole:
            at = random.randrange(len(chunks))
            broken = mutated_document(list(chunks[at].high or ("0",)), random)
            if isinstance(broken, list) and broken and all(type(one) is str for one in broken):
                chunks[at] = replace(chunks[at], high=tuple(broken))
        oid = random.choice((keyorder.INT8, keyorder.INT8, keyorder.INT8, 1700))
        columns = [Column(f"k{n}", ColumnType("x", oid)) for n in range(width)]
        relation = Relation(1, "public", "t", tuple(columns), tuple(range(width)))
        key = [random.randint(-60, 60).to_bytes(8, "big", signed=True) for _ in range(width)]
        yield Bounds(chunks, relation, tuple(key), whole)


def read_bounds(case: Bounds) -> None:
    """The chunk that is found is one whose range the key lies in. Bounds may be of the first
    columns of a key alone; then only those are compared."""
    found = ChunkLookup(case.chunks, case.relation).find(case.key)
    edges = [edge for chunk in case.chunks for edge in (chunk.low, chunk.high) if edge]
    width = max(map(len, edges), default=0)
    value = [int.from_bytes(part, "big", signed=True) for part in case.key[:width]]
    sound = [
        chunk
        for chunk in case.chunks
        if (chunk.low is None or list(map(int, chunk.low)) < value)
        and (chunk.high is None or value <= list(map(int, chunk.high)))
    ]
    assert found is None or found in sound
    assert not case.whole or found == (sound[0] if sound else None)


TARGETS: Final = (
    Fuzzed(name="control-rows", generate=rows, decode=read_row, errors=(StateError,), weight=15),
    Fuzzed(
        name="chunk-bounds",
        generate=bounds,
        decode=read_bounds,
        errors=(ValueError, SchemaChangeError),
        weight=5,
    ),
)
