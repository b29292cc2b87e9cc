"""Rows of which the log holds a part: row images, documents changed in part."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pymysql
import pytest

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.partial_rows import UNKNOWN_DOCUMENT
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.value import UNCHANGED, Row
from tests.integration.mysql_binlog.log_file import (
    column_types,
    events,
    logged_changes,
    next_file,
    selected_rows,
)
from tests.servers.mysql import MysqlDatabase

TABLE: Final = (
    "CREATE TABLE t (id int, a int, b varchar(20) DEFAULT 'given', c text, d blob, e datetime(3),"
    " f decimal(10,2), g int, h int, i varchar(300), j bigint unsigned, PRIMARY KEY (id))"
)
COLUMNS: Final = ["id", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
BLOBS: Final = {3, 4}
ROW: Final = (
    b"1", b"5", b"bb", b"text", b"\0\1", b"2024-02-29 12:00:00.125", b"-1.50", None, b"8",
    b"i" * 256, b"18446744073709551615",
)  # fmt: skip
INSERT_ROW: Final = (
    "INSERT INTO t VALUES (1, 5, 'bb', 'text', 0x0001, '2024-02-29 12:00:00.125', -1.5, NULL, 8,"
    " REPEAT('i', 256), 18446744073709551615)"
)


@contextmanager
def session(database: MysqlDatabase, **settings: object) -> Iterator["pymysql.cursors.Cursor"]:
    with database.server.connect(database.name) as connection, connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(f"SET SESSION {name} = %s", (value,))
        yield cursor


def changes_of(database: MysqlDatabase, image: str, *statements: str) -> list[Change]:
    database.execute(TABLE)
    file = next_file(database.server)
    with session(database, binlog_row_image=image) as cursor:
        for statement in statements:
            cursor.execute(statement)
    return logged_changes(file, {"t": column_types(database)["t"]})["t"]


def held(row: Row | None) -> set[int]:
    assert row is not None
    return {i for i, value in enumerate(row) if value is not UNCHANGED}


def agrees(row: Row | None, expected: tuple[bytes | None, ...]) -> None:
    """What is held is right; nothing that is not held is NULL."""
    assert row is not None
    assert len(row) == len(expected)
    for value, wanted in zip(row, expected, strict=True):
        assert value is UNCHANGED or value == wanted


UPDATED: Final = (*ROW[:1], b"6", *ROW[2:7], b"7", None, *ROW[9:])
ALL: Final = set(range(len(COLUMNS)))


@pytest.mark.parametrize("image", ["FULL", "NOBLOB", "MINIMAL"])
def test_what_an_image_leaves_out_is_unchanged_never_null(
    mysql_database: MysqlDatabase, image: str
) -> None:
    inserted, updated, deleted = changes_of(
        mysql_database, image, INSERT_ROW, "UPDATE t SET a = 6, g = 7, h = NULL", "DELETE FROM t"
    )
    assert [c.kind for c in (inserted, updated, deleted)] == [INSERT, UPDATE, DELETE]
    agrees(inserted.new, ROW)
    agrees(updated.old, ROW)
    agrees(updated.new, UPDATED)
    agrees(deleted.old, UPDATED)
    assert inserted.old is None
    assert deleted.new is None
    assert held(inserted.new) == ALL
    sent = {"FULL": ALL, "NOBLOB": ALL - BLOBS, "MINIMAL": {0}}[image]
    assert held(updated.old) == held(deleted.old) == sent
    assert held(updated.new) == sent | {0, 1, 7, 8}


def test_a_row_with_defaults_under_minimal(mysql_database: MysqlDatabase) -> None:
    (inserted,) = changes_of(mysql_database, "MINIMAL", "INSERT INTO t (id, a) VALUES (3, NULL)")
    assert inserted.new is not None
    assert inserted.new[:2] == (b"3", None)
    assert set(inserted.new[2:]) <= {UNCHANGED, b"given", None}
    if held(inserted.new) != ALL:
        assert set(inserted.new[2:]) == {UNCHANGED}


def test_a_changed_key_under_minimal(mysql_database: MysqlDatabase) -> None:
    found = changes_of(mysql_database, "MINIMAL", INSERT_ROW, "UPDATE t SET id = 2")
    assert found[1].old is not None
    assert found[1].new is not None
    assert (found[1].old[0], found[1].new[0]) == (b"1", b"2")


def test_rows_of_which_nothing_is_held_are_refused(mysql_database: MysqlDatabase) -> None:
    """Under MINIMAL a row of defaults alone takes no bytes at all in MariaDB's log."""
    mysql_database.execute("CREATE TABLE n (a int DEFAULT 1, b int DEFAULT 2)")
    file = next_file(mysql_database.server)
    with session(mysql_database, binlog_row_image="MINIMAL") as cursor:
        cursor.execute("INSERT INTO n VALUES ()")
    types = {"n": column_types(mysql_database)["n"]}
    empty = [e for _, e in events(file) if isinstance(e, RowsEvent) and not any(e.after)]
    if empty:
        with pytest.raises(DecodeError, match="binlog_row_image=FULL"):
            logged_changes(file, types)
    else:
        (change,) = logged_changes(file, types)["n"]
        agrees(change.new, (b"1", b"2"))


# --- documents changed in part --------------------------------------------------------------------

DOCUMENT: Final = (
    '{"name": "x", "tags": ["a", "b", {"deep": [1, 2, 3]}], "n": 1, "pad": "0123456789012345678"}'
)
UPDATES: Final = (
    "JSON_SET(d, '$.name', 'y')",
    "JSON_REPLACE(d, '$.tags[2].deep[1]', 5)",
    "JSON_REMOVE(d, '$.n')",
    "JSON_SET(d, '$.tags[1]', 'c', '$.name', 'z')",
    "JSON_REMOVE(d, '$.tags[0]')",
    "JSON_SET(d, '$.pad', NULL)",
    "JSON_SET(d, '$.name', CAST('1.50' AS DECIMAL(5,2)))",
    "JSON_ARRAY_INSERT(d, '$.tags[0]', 'first')",
    r"""JSON_SET(d, '$."odd \\"key é"', 1)""",
    r"""JSON_SET(d, '$."odd \\"key é"', 2)""",
    "JSON_SET(d, '$.tags', JSON_ARRAY())",
    "JSON_SET(d, '$', 'whole')",
)


@pytest.fixture
def documents(mysql_database: MysqlDatabase) -> MysqlDatabase:
    if mysql_database.server.mariadb:
        pytest.skip("only MySQL changes documents in part")
    mysql_database.execute(
        "CREATE TABLE j (id int PRIMARY KEY, skipped json, d json, note varchar(20), e json)"
    )
    mysql_database.execute(
        "INSERT INTO j VALUES (1, NULL, %s, 'n', '[1]'), (2, '{}', %s, NULL, NULL)",
        DOCUMENT,
        DOCUMENT,
    )
    return mysql_database


def updated_documents(
    database: MysqlDatabase, image: str, form: Form = Form.NATIVE
) -> tuple[list[Change], list[tuple[Any, ...]], int]:
    """Changes, the table's rows after each update, and how many events were partial."""
    file = next_file(database.server)
    after: list[tuple[Any, ...]] = []
    settings = {"binlog_row_image": image, "binlog_row_value_options": "PARTIAL_JSON"}
    with session(database, **settings) as cursor:
        for update in UPDATES:
            cursor.execute(f"UPDATE j SET d = {update}")
            after += selected_rows(
                database, ["id", "skipped", "d", "note", "e"], "j", "ORDER BY id"
            )
    found = logged_changes(file, {"j": column_types(database)["j"]}, form)["j"]
    partial = sum(isinstance(e, RowsEvent) and e.partial for _, e in events(file))
    return found, after, partial


@pytest.mark.parametrize("form", list(Form))
def test_changes_of_a_document_are_applied_to_its_old_row(
    documents: MysqlDatabase, form: Form
) -> None:
    found, after, partial = updated_documents(documents, "FULL", form)
    assert partial == len(UPDATES)
    narrow = form is Form.INTERCHANGE
    rows = [((int(row[0]).to_bytes(4, "big") if narrow else row[0]), *row[1:]) for row in after]
    assert [change.new for change in found] == rows


def test_changes_of_a_document_that_is_not_there_refuse_the_row(documents: MysqlDatabase) -> None:
    found, after, partial = updated_documents(documents, "MINIMAL")
    assert partial
    values = [change.new[2] for change in found if change.new is not None]
    assert UNKNOWN_DOCUMENT in values
    for value, row in zip(values, after, strict=True):
        assert value in (UNKNOWN_DOCUMENT, row[2])
