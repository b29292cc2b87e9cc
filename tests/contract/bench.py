"""What a connector brings so that the laws can be run on it.

The laws speak of a handful of tables whose columns are all text, so a value's wire form is the
same text in UTF-8 everywhere. A bench is one server, made for one test, with these tables:

| table | columns | key | replica identity |
| --- | --- | --- | --- |
| accounts | id, value | id | default |
| documents | id, body, note; a long `body` is logged only when it changed | id | default |
| copies | id, note | none | full |
| mirrors | id, value | id | full |
| audit | id, note | none | default: UPDATE and DELETE cannot be sent |
| hidden | id, value | id | default; never published |
| named | id, name (unique, not null) | id | default |
| parents | id | id | default |
| children | id, parent (refers to parents) | id | default |
| owned | id, parent (refers to parents and is deleted with it) | id | default |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from engine.comparable import Comparable
from engine.contracts import SchemaTarget, SnapshotSource, TransactionalTarget
from engine.model.chunk import Chunk
from engine.model.relation import Relation, TableName
from engine.model.snapshot import Snapshot
from engine.model.value import Row

SCHEMA: Final = "public"
STREAMED: Final = (
    "accounts",
    "documents",
    "copies",
    "mirrors",
    "named",
    "parents",
    "children",
    "owned",
)
INSERT_ONLY: Final = ("audit",)
ALL: Final = (*STREAMED, *INSERT_ONLY, "hidden")

LONG: Final = "long " * 2_000
"""A body that every source stores apart from its row."""

Text: TypeAlias = str | None


def name(table: str) -> TableName:
    return TableName(SCHEMA, table)


STREAMED_NAMES: Final = tuple(name(table) for table in STREAMED)
INSERT_ONLY_NAMES: Final = tuple(name(table) for table in INSERT_ONLY)


@dataclass(frozen=True, slots=True)
class SourceFeatures:
    """What a source can do beyond the contract. Laws that need what it does not have are skipped
    with the reason: `@pytest.mark.needs("slot")`."""

    exclusive_reader: bool = False
    snapshots: bool = False
    savepoints: bool = True
    slot: bool = True
    """The server remembers how far it was read and keeps its log for us."""
    identities: bool = True
    """A table says which old values of its rows are logged; else all are where it has no key."""
    transactional_truncate: bool = True
    """TRUNCATE is part of a transaction, and one may name several tables."""
    publishing_waits: bool = True
    """A change of the set of tables waits for transactions that began before; else the log has
    them where they were committed."""
    shared_snapshot: bool = True
    """All readers see what the snapshot shows; else each what `read_at` tells."""
    many_events: int = 3_000
    """Enough changes in one transaction that it spans several blocks."""


@dataclass(frozen=True, slots=True)
class TargetFeatures:
    """Laws that need what a target does not have are skipped with the reason:
    `@pytest.mark.needs("rows")`."""

    rows: bool = True
    """Rows can be read back, and one that does not fit is refused."""
    isolation: bool = True
    """Transactions take effect when they commit, as a whole, and wait for each other; replications
    do not see each other's control rows."""
    foreign_keys: bool = True
    immediate_fence: bool = False
    """The fence is judged when the transaction begins, not only at the latest by `commit`."""
    comparable: bool = True
    """Its tables can be compared."""
    sqlstates: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its own code for a refusal that PostgreSQL gives another one."""


class Writer(Protocol):
    """A transaction of the application, on the source."""

    async def insert(self, table: str, *values: Text) -> None: ...
    async def update(self, table: str, key: str, values: Mapping[str, Text]) -> None:
        """Change named columns of the row with this `id` (of every such row)."""
        ...

    async def delete(self, table: str, key: str) -> None: ...
    async def truncate(self, *tables: str) -> None: ...
    async def savepoint(self) -> None: ...
    async def rollback_to_savepoint(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


class SourceBench(Protocol):
    """One source server. `source()` gives a new, opened client each time, closed by the bench."""

    features: SourceFeatures

    async def source(self) -> SnapshotSource: ...
    async def begin(self) -> Writer: ...
    async def rows(
        self, source: SnapshotSource, chunk: Chunk, snapshot: Snapshot
    ) -> Sequence[Row]: ...


class LawTarget(TransactionalTarget, SchemaTarget, Protocol):
    """What a target must be to be judged here."""


class TargetBench(Protocol):
    """One target server. `target()` gives a new, opened client each time, closed by the bench."""

    features: TargetFeatures

    async def target(self, replication: str = "law") -> LawTarget: ...
    async def relation(self, table: str) -> Relation:
        """The table as a source of this connector's kind would describe it."""
        ...

    async def read(self, table: str) -> Sequence[tuple[Text, ...]]:
        """Every committed row, sorted."""
        ...

    async def quarantined(self, replication: str = "law") -> int: ...

    async def comparable(self) -> Comparable:
        """A new, opened one each time, closed by the bench."""
        ...

    async def load_data(self, relation: Relation, rows: Sequence[Row]) -> Sequence[bytes]:
        """Rows in the target's own load form, in buffers cut at awkward places."""
        ...
