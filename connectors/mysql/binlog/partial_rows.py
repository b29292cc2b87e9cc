"""(pure) Updated rows in which a JSON document may stand as the changes of it.

Such events are rare and large, so they are read by a plain loop. Changes are applied to the
document of the old row; where the event does not hold that, the value is not known, and its row is
refused.

See: MySQL source, `sql/log_event.cc`, the comment on "Format of a partial update"; `unpack_row`.
"""

from collections.abc import Sequence
from typing import Final

from connectors.mysql.binlog.columns import Reader
from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.table_map import JSON, TableMap
from connectors.mysql.json_binary import json_text, parse_json
from connectors.mysql.json_diff import apply_diffs, parse_diffs
from engine.model.change import UPDATE, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Misfit, Row, Value

UNKNOWN_DOCUMENT: Final = Misfit(
    "partial-json",
    "is a JSON document of which only changes were logged, without the document they are of; set"
    " binlog_row_image=FULL or binlog_row_value_options='' at the source",
)

_PARTIAL_JSON: Final = 1
"""The one bit of an event's value options."""


class PartialRows:
    """Decodes events of one table."""

    def __init__(
        self,
        table: TableMap,
        readers: Sequence[Reader | None],
        frames: Sequence[tuple[int, int]],
        key: Sequence[int],
    ) -> None:
        self._table = table
        self._key = key
        self._readers = readers
        self._frames = frames

    def decode(self, event: RowsEvent, relation: Relation) -> list[Change]:
        """The changes of an event. Raises ValueError."""
        cursor = Cursor(event.data, event.at, event.end)
        found: list[Change] = []
        if not any(event.before):
            raise ValueError("its rows hold no column of the old row")
        while cursor.left:
            old = self._image(cursor, event.before)
            documents = self._partial_documents(cursor)
            new = self._image(cursor, event.after)
            found.append(self._change(old, new, documents, relation))
        return found

    def _image(self, cursor: Cursor, mask: bytes) -> dict[int, bytes | None]:
        """What an image holds, by column, as it stands."""
        bits = int.from_bytes(mask, "little")
        held = [i for i in range(len(self._frames)) if bits >> i & 1]
        nulls = cursor.uint((len(held) + 7) // 8)
        found: dict[int, bytes | None] = {}
        for place, i in enumerate(held):
            if nulls >> place & 1:
                found[i] = None
                continue
            width, prefix = self._frames[i]
            found[i] = cursor.take(width or cursor.uint(prefix))
        return found

    def _partial_documents(self, cursor: Cursor) -> set[int]:
        """The columns of which the new row has changes. There is a bit for each JSON column of the
        table, whether rows hold it or not."""
        options = cursor.packed()
        if options > _PARTIAL_JSON:
            raise ValueError("its value options are unknown")
        if not options:
            return set()
        columns = [i for i, code in enumerate(self._table.types) if code == JSON]
        bits = cursor.uint((len(columns) + 7) // 8)
        return {i for place, i in enumerate(columns) if bits >> place & 1}

    def _change(
        self,
        old: dict[int, bytes | None],
        new: dict[int, bytes | None],
        documents: set[int],
        relation: Relation,
    ) -> Change:
        before: list[Value] = []
        after: list[Value] = []
        if not old.keys() >= set(self._key):
            raise ValueError("its rows lack a column of the key")
        for i, found in enumerate(self._readers):
            if found is None:
                continue
            was = self._value(found, old[i]) if i in old else UNCHANGED
            before.append(was)
            if i not in new:
                after.append(was)
            elif i in documents:
                after.append(_changed(new[i], old, i))
            else:
                after.append(self._value(found, new[i]))
        return Change(UPDATE, relation, tuple(after), self._told(before, after))

    def _told(self, before: Sequence[Value], after: Sequence[Value]) -> Row | None:
        """What is told of the old row; see `rows.RowsDecoder`."""
        if not self._key:
            return tuple(before)
        if all(before[i] == after[i] for i in self._key):
            return None
        return tuple([value if i in self._key else UNCHANGED for i, value in enumerate(before)])

    def _value(self, found: Reader, data: bytes | None) -> Value:
        return data if data is None or found.convert is None else found.convert(data)


def _changed(changes: bytes | None, old: dict[int, bytes | None], column: int) -> Value:
    document = old.get(column)
    if changes is None:
        return None
    if document is None:
        return UNKNOWN_DOCUMENT
    return json_text(apply_diffs(parse_json(document), parse_diffs(changes)))
