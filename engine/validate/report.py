"""What a comparison found, as data, text and JSON (pure).

Keys of differing rows are row values: they belong to the user's own report, never to a log.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

import orjson

from engine.model.compared import RowKey
from engine.model.relation import TableName

EQUAL: Final = 0
DIFFERENT: Final = 1
NOT_COMPARED: Final = 3


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """One key that differs. `kind`: missing (only the source has it), extra, different."""

    kind: str
    key: RowKey


@dataclass(slots=True)
class TableReport:
    """One table's result. Rows are those counted when the verdict on them was reached.

    `missing`, `extra`: rows only the source, only the target has; `different`: keys whose rows
    differ. `unsettled`: keys that differed but could not be judged, `reason` says why; `problem`
    is why the table could not be read at all. `keys` holds the first differences only.
    `read_again`: keys that differed at first reading; `moving`: those that never stood still and
    were seen on both sides in the same state.
    `uncompared`: columns whose values the two systems print in no common text; the rest was.
    `keyed` is False for a table without key: its differences are counted, its rows have no name.
    """

    source: TableName
    target: TableName
    keyed: bool = True
    rows_source: int = 0
    rows_target: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    unsettled: int = 0
    read_again: int = 0
    moving: int = 0
    keys: list[KeyDifference] = field(default_factory=list[KeyDifference])
    left_out: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    problem: str = ""
    reason: str = ""

    @property
    def differences(self) -> int:
        return self.missing + self.extra + self.different

    @property
    def equal(self) -> bool:
        """Whether every column of every row is known to be the same."""
        return not (self.differences or self.unsettled or self.problem or self.uncompared)


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison. `method` names the row hash."""

    tables: Sequence[TableReport]
    method: str
    seconds: float

    @property
    def differences(self) -> int:
        return sum(table.differences for table in self.tables)

    @property
    def exit_code(self) -> int:
        """1 for a proven difference, else 3 when something could not be compared, else 0."""
        if self.differences:
            return DIFFERENT
        return EQUAL if all(table.equal for table in self.tables) else NOT_COMPARED

    def text(self) -> str:
        """Lines for people; the last one is the verdict."""
        lines = [line for table in self.tables for line in _table_lines(table)]
        return "\n".join([*lines, self.verdict()])

    def verdict(self) -> str:
        """One line: what was found over all tables."""
        rows = sum(table.rows_source for table in self.tables)
        unsettled = sum(table.unsettled for table in self.tables)
        unread = sum(bool(table.problem) for table in self.tables)
        columns = sum(len(table.uncompared) for table in self.tables)
        found, tables = _counted(self.differences, "difference"), len(self.tables)
        parts = [f"{found} in {_counted(tables, 'table')}, {_counted(rows, 'row')}"]
        parts += [f"{_counted(unsettled, 'key')} could not be judged"] if unsettled else []
        parts += [f"{_counted(columns, 'column')} could not be compared"] if columns else []
        parts += [f"{_counted(unread, 'table')} could not be compared"] if unread else []
        return "; ".join(parts)

    def json(self) -> bytes:
        """The same as one JSON object."""
        document = {
            "equal": self.exit_code == EQUAL,
            "differences": self.differences,
            "method": self.method,
            "seconds": round(self.seconds, 3),
            "tables": [_table_document(table) for table in self.tables],
        }
        return orjson.dumps(document)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _table_lines(table: TableReport) -> list[str]:
    name = str(table.source)
    if table.problem:
        return [f"{name}: not compared: {table.problem}"]
    counts = f"{table.rows_source:,} rows in the source, {table.rows_target:,} in the target"
    lines = [f"{name}: {_state(table)}: {counts}{_amounts(table)}"]
    lines += [f"  {found.kind}: {', '.join(found.key)}" for found in table.keys if table.keyed]
    listed = len(table.keys) if table.keyed else table.differences
    if table.differences > listed:
        lines.append(f"  and {table.differences - listed:,} more")
    if table.left_out:
        lines.append(f"  generated columns not in the target: {', '.join(table.left_out)}")
    if table.uncompared:
        names = ", ".join(table.uncompared)
        lines.append(f"  not compared, both sides print no common text: {names}")
    return lines


def _state(table: TableReport) -> str:
    if table.differences:
        return "DIFFERENT"
    if table.unsettled:
        return "NOT SETTLED"
    return "equal but for what was not compared" if table.uncompared else "equal"


def _amounts(table: TableReport) -> str:
    counted = {
        "missing": table.missing,
        "extra": table.extra,
        "different": table.different,
        "not settled": table.unsettled,
        "changing all the time": table.moving,
    }
    text = "".join(f", {number:,} {what}" for what, number in counted.items() if number)
    return f"{text} ({table.reason})" if table.reason else text


def _table_document(table: TableReport) -> dict[str, object]:
    document: dict[str, object] = asdict(table)
    return document | {
        "source": str(table.source),
        "target": str(table.target),
        "equal": table.equal,
        "keys": [
            {"kind": found.kind, "key": list(found.key)} for found in table.keys if table.keyed
        ],
    }
