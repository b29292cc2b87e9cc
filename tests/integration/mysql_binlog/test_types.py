"""Every type: what the log holds comes to what SELECT gives."""

from typing import Final

import pytest

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import selected
from connectors.mysql.values import row_converter
from engine.config.endpoint import ZeroDate
from tests.integration.mysql_binlog.cases import VECTORS, Case, cases
from tests.integration.mysql_binlog.log_file import (
    column_types,
    events,
    logged_changes,
    new_rows,
    next_file,
    selected_rows,
)
from tests.servers.mysql import MysqlDatabase, MysqlServer

LOOSE: Final = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00';"


def cases_of(server: MysqlServer) -> list[Case]:
    kind = "mariadb" if server.mariadb else "mysql"
    found = [c for c in cases() if kind in c.servers]
    return [*found, *([VECTORS[server.name]] if server.name in VECTORS else [])]


def test_what_the_log_holds_is_what_select_gives(mysql_database: MysqlDatabase) -> None:
    tables = {f"t{number}": case for number, case in enumerate(cases_of(mysql_database.server))}
    mysql_database.execute(
        "".join(
            f"CREATE TABLE {t} (id int PRIMARY KEY, c {c.declared});" for t, c in tables.items()
        )
    )
    file = next_file(mysql_database.server)
    for table, case in tables.items():
        values = ", ".join(f"({i}, {value})" for i, value in enumerate(case.values))
        mysql_database.execute(f"{LOOSE} INSERT IGNORE INTO {table} VALUES {values}")
    types = column_types(mysql_database)
    logged = logged_changes(file, types)
    streamed = logged_changes(file, types, Form.INTERCHANGE, ZeroDates(ZeroDate.EARLIEST))
    different: list[str] = []
    for table, case in tables.items():
        expressions = [selected(types[table][0], "id"), selected(types[table][1], "c")]
        expected = selected_rows(mysql_database, expressions, table, "ORDER BY id")
        convert = row_converter(types[table], ZeroDates(ZeroDate.EARLIEST), table)
        loaded = [convert(row) for row in expected]
        native, interchanged = new_rows(logged[table]), new_rows(streamed[table])
        assert len(native) == len(interchanged) == len(expected) == len(case.values)
        for i, value in enumerate(case.values):
            for found, wanted in ((native[i], expected[i]), (interchanged[i], loaded[i])):
                if found != wanted:
                    different.append(f"{case.declared}: {value:.50}: {found!r:.99} {wanted!r:.99}")
    assert not different, "\n".join(different)
    assert sum(len(case.values) for case in tables.values()) > VALUES_MIN


def test_signs_are_told_of_numbers_and_of_years(mysql_database: MysqlDatabase) -> None:
    """Which columns the log's bits are of is nowhere said: one too few, and the signs of all that
    follow are those of their neighbours."""
    mysql_database.execute(
        "CREATE TABLE t (y year, a int, b bit(3), c int unsigned, e enum('a'), d decimal(4,1),"
        " s datetime, f float unsigned, g bigint)"
    )
    file = next_file(mysql_database.server)
    mysql_database.execute("INSERT INTO t (a) VALUES (1)")
    (event,) = [event for _, event in events(file) if isinstance(event, RowsEvent)]
    assert event.table is not None
    told = [column.unsigned for column in event.table.described.columns]
    assert told == [True, False, None, True, None, False, None, True, False]
    assert logged_changes(file, column_types(mysql_database))["t"]


VALUES_MIN: Final = 500
"""Values that every server is tried with, at the least."""


@pytest.mark.parametrize("metadata", ["MINIMAL", "NO_LOG"])
def test_nothing_of_it_needs_more_than_the_least_metadata(
    mysql_database: MysqlDatabase, metadata: str
) -> None:
    server = mysql_database.server
    if metadata == "NO_LOG" and not server.mariadb:
        pytest.skip("MariaDB's setting")
    with server.settings_kept():
        server.execute(f"SET GLOBAL binlog_row_metadata = {metadata}")
        test_what_the_log_holds_is_what_select_gives(mysql_database)
