"""A key range of a table, the unit of the full load."""

from dataclasses import dataclass

from engine.model.relation import Relation, TableName


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one relation with `low < key <= high` (text form of the key columns, None is open).

    `ordinal` numbers the chunks of a table from 0. `by` says what bounds it: `key` (resumable, the
    engine can tell a row's chunk), `ctid` (physical pages, `low <= ctid < high`), `whole`.
    """

    relation: Relation
    ordinal: int
    by: str = "whole"
    low: tuple[str, ...] | None = None
    high: tuple[str, ...] | None = None
    rows_estimated: int = 0


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """The durable record of a finished chunk; commits together with its rows.

    `snapshot` is the source's own text of the snapshot it was read at; `until` is a position of the
    log past which no transaction is visible in that snapshot, so the catch-up filter may end there.
    """

    table: TableName
    ordinal: int
    by: str
    low: tuple[str, ...] | None
    high: tuple[str, ...] | None
    snapshot: str
    until: str
    rows: int
