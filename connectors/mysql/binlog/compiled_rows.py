"""(pure) The plan of a table's rows for the compiled loop.

A step of eight bytes for each column that an image holds: operation, width, prefix, two arguments,
whether its value is wanted, and the column. A slot of three bytes for each value of a row: where it
comes from (0 nowhere, 1 the old image, 2 the new one) and the column.
"""

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

from connectors._interchange.compiled import Loops
from connectors.mysql.binlog.columns import Reader
from connectors.mysql.binlog.images import Images
from connectors.mysql.binlog.steps import CALL
from engine.model.change import DELETE, INSERT, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED

Decode: TypeAlias = Callable[[bytes, int, int, Relation], list[Change]]
"""From data, its part that holds rows, and their relation to the changes."""

_STEP: Final = struct.Struct("<6BH").pack
_SLOT: Final = struct.Struct("<BH").pack
_NOWHERE: Final = 0
_OLD: Final = 1
_NEW: Final = 2


def compiled_rows(
    loops: Loops,
    images: Images,
    frames: Sequence[tuple[int, int]],
    readers: Sequence[Reader | None],
    write: Callable[[], Decode],
) -> Decode:
    """The loop over an event's rows; `write` makes its twin, when that is first needed."""
    made: list[Decode] = []

    def plain(data: bytes, at: int, end: int, relation: Relation) -> list[Change]:
        if not made:
            made.append(write())
        return made[0](data, at, end, relation)

    def steps(held: Sequence[int], wanted: Collection[int]) -> bytes:
        return b"".join(_step(i, frames[i], readers[i], i in wanted) for i in held)

    def slots(held: Sequence[int], source: int, older: Sequence[int]) -> bytes:
        return b"".join(
            _SLOT(source if i in held else _OLD if i in older else _NOWHERE, i)
            for i, found in enumerate(readers)
            if found is not None
        )

    insert, delete = images.kind == INSERT, images.kind == DELETE
    return loops.LogReader(
        plain,
        Change,
        UNCHANGED,
        images.kind,
        tuple([None if found is None else found.convert for found in readers]),
        b"" if insert else steps(images.old, images.read),
        b"" if delete else steps(images.new, images.new),
        None if insert else slots(images.told, _OLD, ()),
        None if delete else slots(images.new, _NEW, images.filling),
        None
        if images.compared is None
        else b"".join(_SLOT(_NOWHERE, column) for column in images.compared),
    )


def _step(column: int, frame: tuple[int, int], found: Reader | None, wanted: bool) -> bytes:
    operation = CALL if found is None else found.operation
    return _STEP(
        operation.number,
        *frame,
        operation.arg,
        operation.more,
        found is not None and wanted,
        column,
    )
