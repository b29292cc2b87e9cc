"""(pure) Tables of the memory database: row versions, unique indexes, visibility."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from engine.model.relation import Relation, TableName

Cells: TypeAlias = tuple[object, ...]
"""A stored row: `bytes` or None for user tables, plain Python values for control tables."""

Columns: TypeAlias = tuple[int, ...]


_VIEW: Final = re.compile(r"[0-9]{1,20}:([0-9]{1,20}):([0-9]{1,20}(?:,[0-9]{1,20})*)?")


class View(NamedTuple):
    """Which transactions count as past: those below `limit` that were not `running` then."""

    limit: int
    running: frozenset[int]

    def sees(self, xid: int) -> bool:
        return xid < self.limit and xid not in self.running

    def __str__(self) -> str:
        """`xmin:xmax:xip,...`, the text form of PostgreSQL's `pg_snapshot`."""
        lowest = min(self.running, default=self.limit)
        return f"{lowest}:{self.limit}:{','.join(map(str, sorted(self.running)))}"

    @classmethod
    def parse(cls, text: str) -> "View":
        """Raises ValueError."""
        match = _VIEW.fullmatch(text)
        if match is None:
            raise ValueError("not a snapshot")
        running = match[2].split(",") if match[2] else []
        return cls(int(match[1]), frozenset(map(int, running)))


class Version:
    """One version of a row, made by transaction `made`, ended by `ended` (0: not ended)."""

    __slots__ = ("ended", "made", "number", "row")

    def __init__(self, number: int, row: Cells, made: int) -> None:
        self.number = number
        self.row = row
        self.made = made
        self.ended = 0

    def visible_in(self, view: View) -> bool:
        return view.sees(self.made) and not (self.ended and view.sees(self.ended))


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique constraint; NULLs are distinct. `primary` forbids them."""

    columns: Columns
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` refer to `parent_columns`, which are unique there. NULL refers to nothing.

    A deferrable one is checked at commit, or when a savepoint is released. With a cascading one
    rows are deleted when what they refer to is.
    """

    columns: Columns
    parent: TableName
    parent_columns: Columns
    deferrable: bool = False
    cascade: bool = False


class Past(NamedTuple):
    """A description that a table had until transaction `until` gave it another."""

    relation: Relation
    until: int


@dataclass
class Table:
    """A table: its description, constraints and every row version there ever was.

    `attributes` is how many column numbers were given, to columns that are gone too: none is given
    twice. `past` holds earlier descriptions, oldest first. `rewritten` is the transaction that last
    gave the table a new file: to snapshots that do not see it PostgreSQL shows an empty table.
    """

    relation: Relation
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    toasted: frozenset[int] = frozenset()
    """Columns whose value an UPDATE logs only when it changed."""
    versions: dict[int, Version] = field(default_factory=dict[int, Version])
    indexes: dict[Columns, dict[Cells, list[Version]]] = field(
        default_factory=dict[Columns, dict[Cells, list[Version]]]
    )
    attributes: int = 0
    past: tuple[Past, ...] = ()
    rewritten: int = 0

    def __post_init__(self) -> None:
        numbers = [column.number for column in self.relation.columns]
        self.attributes = max(self.attributes, *numbers, 0)
        for unique in self.uniques:
            self.indexes.setdefault(unique.columns, {})
        for version in self.versions.values():
            self._index(version)

    @property
    def cascaded(self) -> bool:
        """Whether rows may be deleted by a foreign key."""
        return any(foreign.cascade for foreign in self.foreign_keys)

    def altered(self, **fields: Any) -> "Table":
        """The same table with other fields; rows that are made or removed later are not shared."""
        return replace(self, **{"versions": dict(self.versions), "indexes": {}, **fields})

    def relation_at(self, view: View) -> Relation:
        """Its description as the catalog has it in that view."""
        return next((p.relation for p in self.past if not view.sees(p.until)), self.relation)

    @property
    def primary_key(self) -> Columns:
        return next((unique.columns for unique in self.uniques if unique.primary), ())

    def add(self, version: Version) -> None:
        self.versions[version.number] = version
        self._index(version)

    def _index(self, version: Version) -> None:
        for columns, index in self.indexes.items():
            index.setdefault(pick(version.row, columns), []).append(version)

    def remove(self, version: Version) -> None:
        """Take a version back, as if it had never been made."""
        del self.versions[version.number]
        for columns, index in self.indexes.items():
            key = pick(version.row, columns)
            index[key].remove(version)
            if not index[key]:
                del index[key]

    def candidates(self, columns: Columns, key: Cells) -> Iterator[Version]:
        """Versions, of any visibility, whose `columns` hold `key`."""
        index = self.indexes.get(columns)
        if index is not None:
            yield from index.get(key, ())
            return
        for version in self.versions.values():
            if pick(version.row, columns) == key:
                yield version


def pick(row: Cells, columns: Columns) -> Cells:
    return tuple([row[i] for i in columns])
