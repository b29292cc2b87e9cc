"""Inputs that brought something else than sense or a declared error once, by target.

Add the case that `python -m tests.fuzz --target ... --seed ... --message ...` shows.
"""

import json
from typing import Any, Final

from connectors._interchange import keyorder
from connectors.postgres.ddl_capture_sql import VERSION
from engine.model.change import UPDATE
from engine.model.chunk import ChunkDone
from engine.model.relation import Column, ColumnType, Relation
from tests.fuzz.engine.outside import Fact
from tests.fuzz.engine.stored import Overflow
from tests.fuzz.mysql.rows import Case as RowsCase
from tests.fuzz.postgres.control import TABLE, Bounds
from tests.fuzz.postgres.control import Case as ControlCase
from tests.fuzz.postgres.frames import NOTHING
from tests.fuzz.postgres.frames import Case as FramesCase

DEEP: Final = "[" * 100_000

BY_FIRST_COLUMN: Final = Bounds(
    [ChunkDone(TABLE, 0, "key", None, ("0",), "3:3:", "0/9", 1)],
    Relation(
        1,
        "public",
        "t",
        tuple([Column(name, ColumnType("x", keyorder.INT8)) for name in ("k0", "k1")]),
        (0, 1),
    ),
    ((0).to_bytes(8, "big"), (-21).to_bytes(8, "big", signed=True)),
    whole=False,
)


def _told(**facts: object) -> bytes:
    column = {"number": 1, "name": "a", "type": "integer", "oid": 23, "mod": -1, "nullable": True}
    column |= {"new": True, "default": None, **facts.pop("column", {})}  # type: ignore[dict-item]
    table = {"v": VERSION, "event": "table", "oid": 7, "schema": "public", "name": "t"}
    table |= {"identity": "d", "primary": [1], "key": [1], "columns": [column], **facts}
    return json.dumps(table).encode()


SECOND_ZERO: Final = RowsCase(
    table=2,
    kind=UPDATE,
    before=b"\x03",
    after=b"\x03",
    partial=False,
    keyed=True,
    data=b"\x01" + bytes(5) + b"\xff\xff" + b"\x01" + bytes(7),
)

REGRESSIONS: Final[tuple[tuple[str, Any], ...]] = (
    # A stream message cut off in its header ended in struct.error.
    ("copy-data", FramesCase([b"w\0"], NOTHING, 1 << 20)),
    # Messages of the event triggers: RecursionError, KeyError, TypeError, AttributeError.
    ("ddl-message", DEEP.encode()),
    ("ddl-message", _told(key=[2])),
    ("ddl-message", _told(name=["t"])),
    ("ddl-message", _told(column={"default": "text"})),
    ("ddl-message", _told(column={"default": {"value": 7}})),
    ("ddl-message", _told(column={"default": {"value": "\0"}})),
    ("ddl-message", _told(oid="7")),
    # Texts that are not the server's were read as some number.
    ("lsn", "1_0/0"),
    ("lsn", " 1/0"),
    ("lsn", "FFFFFFFFF/0"),
    ("snapshot", "3:9:20"),
    ("snapshot", "3: 9:"),
    ("snapshot", "3:9:-4"),
    # Rows of the control tables ended in ValueError, KeyError, TypeError, RecursionError.
    ("control-rows", ControlCase("checkpoint", ["l", "x", "1", "0/1"])),
    ("control-rows", ControlCase("owner", ["7", "i", "f", "p", "t", "null", "[]"])),
    ("control-rows", ControlCase("owner", ["7", "i", "f", "p", "t", "[1]", "[2]"])),
    ("control-rows", ControlCase("table_state", ["s", "t", "gone", "", "", "", "0", "0"])),
    ("control-rows", ControlCase("chunk", ["s", "t", "0", "key", "[]", None, "3:3:", "0/1", "0"])),
    ("control-rows", ControlCase("chunk", ["s", "t", "0", "key", DEEP, None, "3:3:", "0/1", "0"])),
    # Bounds of a key's first column alone are right; what the check expected was not.
    ("chunk-bounds", BY_FIRST_COLUMN),
    ("relation-text", "[]"),
    ("relation-text", '{"id":1}'),
    # A damaged length asked the disk for gigabytes.
    ("overflow-file", Overflow([[]], 197)),
    ("listen-address", "9" * 5000),
    ("failpoint", "a:" + "9" * 5000),
    ("type-definition", ("enum([)", "enum([1])")),
    ("publication-note", DEEP),
    ("log-fact", Fact(10**5000)),
    # Second 0 with a fraction and without: two texts, one value; what the check expected was not.
    ("binlog-rows", SECOND_ZERO),
)
"""Target and case."""
