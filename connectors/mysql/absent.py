"""(pure) What to make of rows of which the log holds a part (`binlog_row_image`).

What an update does not hold stays as the target has it. A new row that lacks a column has its
default there. MariaDB logs a REPLACE as an update that lacks the columns which went back to their
defaults: under MINIMAL such an update also holds the key, as others do not; under NOBLOB nothing
tells it from others.

See: MariaDB source, `sql/sql_insert.cc`, `Write_record`; MySQL source, `sql/table.cc`,
`mark_columns_per_binlog_row_image`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.images import columns_of
from connectors.mysql.description import PRIMARY, Description
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import GEOMETRIES
from engine.model.change import INSERT, UPDATE, Change
from engine.model.value import UNCHANGED, Value

FULL: Final = "(binlog_row_image = FULL makes it tell them)"

NOTHING: Final = f"rows of which the binary log holds nothing {FULL}"
KEYLESS: Final = f"old rows in the binary log without the columns of its key {FULL}"
REPLACED: Final = (
    "a REPLACE or an INSERT ... ON DUPLICATE KEY UPDATE, of which the binary log does not tell"
    f" which columns went back to their defaults {FULL}"
)

_BLOBS: Final = frozenset((*GEOMETRIES, "json"))


@dataclass(frozen=True, slots=True)
class Absent:
    """What rows of one image lack. `lost`: why they cannot be told, for people; empty when they
    can. `fillers`: of new rows, by column, where the image lacks one. `replacing`: an update that
    leaves its key as it was may be a REPLACE; `replacing_any`: one that changes it as well."""

    lost: str = ""
    fillers: Sequence[Callable[[], Value] | None] = ()
    replacing: bool = False
    replacing_any: bool = False

    def refused(self, changes: Sequence[Change]) -> bool:
        """Whether one of the changes may be a REPLACE."""
        if self.replacing_any:
            return True
        return self.replacing and any(change.old is None for change in changes)

    def filled(self, changes: Sequence[Change]) -> Sequence[Change]:
        """New rows with a value for each column."""
        if not self.fillers:
            return changes
        return [change._replace(new=self._row(change.new or ())) for change in changes]

    def _row(self, row: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(
            [
                fill() if fill is not None and value is UNCHANGED else value
                for value, fill in zip(row, self.fillers, strict=True)
            ]
        )


def absent_values(
    kind: int,
    masks: tuple[bytes, bytes],
    description: Description,
    form: Form,
    zero: ZeroDates,
    *,
    mariadb: bool,
) -> Absent:
    """What to make of rows with these masks of an old and a new image."""
    count = len(description.columns)
    old, new = (frozenset(columns_of(mask, count)) for mask in masks)
    key = _places(description, description.identity)
    if not (new if kind == INSERT else old):
        return Absent(NOTHING)
    if kind == INSERT:
        return _new_rows(description, new, form, zero)
    if not key <= old:
        return Absent(KEYLESS)
    if kind == UPDATE and mariadb:
        return _maybe_replaced(description, old, new)
    return Absent()


def _new_rows(
    description: Description, held: frozenset[int], form: Form, zero: ZeroDates
) -> Absent:
    primary = description.keys.get(PRIMARY, ())
    fillers: list[Callable[[], Value] | None] = []
    for place, column in enumerate(description.columns):
        if place in held:
            fillers.append(None)
            continue
        default = column.default
        if default is None or (default.text is None and column.name in primary):
            return Absent(
                f"a new row without a value for column {column.name}, whose default is not known"
                f" {FULL}"
            )
        fillers.append(default.filler(column.type, form, zero))
    return Absent(fillers=fillers if any(fillers) else ())


def _maybe_replaced(description: Description, old: frozenset[int], new: frozenset[int]) -> Absent:
    lacking = [
        column
        for place, column in enumerate(description.columns)
        if place not in new and not column.generated and not _is_blob(column.type.base)
    ]
    if not lacking:
        return Absent()
    key = _places(description, description.identity)
    if key:
        replacing = key == old and key <= new
        return Absent(replacing=replacing, replacing_any=replacing and len(description.keys) > 1)
    named = any(_places(description, columns) <= new for columns in description.keys.values())
    return Absent(replacing_any=named)


def _is_blob(base: str) -> bool:
    return base.endswith(("blob", "text")) or base in _BLOBS


def _places(description: Description, names: Sequence[str]) -> frozenset[int]:
    return frozenset(i for i, column in enumerate(description.columns) if column.name in names)
