"""What a target is given: runs of changes to one relation version."""

from dataclasses import dataclass, field

from engine.model.relation import Relation
from engine.model.value import Row


@dataclass(slots=True)
class Run:
    """Changes of one kind to one relation version, in order.

    INSERT: `rows` are whole rows. UPDATE: `rows` are new rows, `sent` the column indexes that carry
    a value (all rows of a run share them; the rest is UNCHANGED). DELETE: `rows` are old rows.
    `olds`, for an UPDATE that names its old row (key change, REPLICA IDENTITY FULL): the old rows.

    A row is found by `relation.key`; without a key by its whole old image, and then each change
    touches exactly one row. `net` is True when no two changes of the run name the same key: the
    target may apply them as a set, in any order inside the run. Otherwise they are applied one
    after the other.

    `replaced`, of a net UPDATE: each row was deleted and inserted anew. Where a foreign key of the
    target acts on deletions it is done as these two: the row may be gone already, or the source
    does not tell what its deletion did to other rows.
    """

    kind: int
    relation: Relation
    rows: list[Row]
    sent: tuple[int, ...] = ()
    olds: list[Row] | None = None
    net: bool = False
    replaced: bool = False


@dataclass(slots=True)
class Written:
    """What a write did: rows per kind, and bytes handed to the target."""

    rows: int = 0
    bytes: int = 0


@dataclass(slots=True)
class TableCounts:
    """Rows applied to one table."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    truncates: int = 0
    by_reason: dict[str, int] = field(default_factory=dict[str, int])
