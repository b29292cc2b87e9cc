"""What a server wrote into its binary log, read from the file itself."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.converters import encoders

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.binlog.events import Event, Header, RowsEvent, TransactionPayload
from connectors.mysql.binlog.rows import RowsDecoder
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import MysqlType, parse_type
from engine.model.change import Change
from engine.model.relation import Column, ColumnType, Relation
from engine.model.value import Row
from tests.servers.mysql import MysqlDatabase, MysqlServer, quoted

MAGIC: Final = b"\xfebin"


def next_file(server: MysqlServer) -> Path:
    """Begin a new file of the log; it."""
    server.execute("FLUSH BINARY LOGS")
    return server.data / str(server.execute("SHOW BINARY LOGS")[-1][0])


def raw_events(file: Path) -> Iterator[bytes]:
    data = file.read_bytes()
    assert data.startswith(MAGIC)
    at = len(MAGIC)
    while at < len(data):
        size = int.from_bytes(data[at + 9 : at + 13], "little")
        yield data[at : at + size]
        at += size


def events(file: Path) -> Iterator[tuple[Header, Event]]:
    """Every event of a file, those of compressed transactions included."""
    decoder = EventDecoder()
    for data in raw_events(file):
        header, event = decoder.decode(data)
        yield header, event
        if isinstance(event, TransactionPayload):
            yield from decoder.unpacked(event)


def column_types(database: MysqlDatabase) -> dict[str, list[MysqlType]]:
    """The types of every table's columns."""
    rows = database.execute(
        "SELECT table_name, column_type, character_set_name, collation_name"
        " FROM information_schema.columns WHERE table_schema = %s"
        " ORDER BY table_name, ordinal_position",
        database.name,
    )
    found: dict[str, list[MysqlType]] = defaultdict(list)
    for table, *facts in rows:
        found[table].append(parse_type(*facts))
    return found


def relation_of(table: str, width: int) -> Relation:
    columns = tuple([Column(f"c{i}", ColumnType("x")) for i in range(width)])
    return Relation(1, "s", table, columns)


def logged_changes(
    file: Path,
    types: Mapping[str, Sequence[MysqlType]],
    form: Form = Form.NATIVE,
    zero: ZeroDates | None = None,
) -> dict[str, list[Change]]:
    """What the log holds of each of these tables."""
    found: dict[str, list[Change]] = {table: [] for table in types}
    decoders: dict[TableMap, tuple[RowsDecoder, Relation]] = {}
    for _, event in events(file):
        if not isinstance(event, RowsEvent) or event.table is None:
            continue
        name = event.table.name
        if name not in types:
            continue
        if event.table not in decoders:
            decoder = RowsDecoder(event.table, types[name], form, zero)
            decoders[event.table] = decoder, relation_of(name, len(types[name]))
        decoder, relation = decoders[event.table]
        found[name] += decoder.decode(event, relation)
    return found


def new_rows(changes: Sequence[Change]) -> list[Row]:
    return [change.new for change in changes if change.new is not None]


def selected_rows(
    database: MysqlDatabase, expressions: list[str], table: str, order: str = ""
) -> list[tuple[bytes | None, ...]]:
    """Rows as the bytes of the text protocol."""

    connection = pymysql.connect(
        unix_socket=str(database.server.socket),
        user="root",
        database=database.name,
        charset="utf8mb4",
        use_unicode=False,
        conv=dict[Any, Any](encoders),
        ssl_disabled=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        names = ", ".join(expressions)
        cursor.execute(f"SELECT {names} FROM {quoted(table)} {order}")
        return [tuple([_bytes(value) for value in row]) for row in cursor.fetchall()]


def _bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    assert isinstance(value, str)
    return value.encode("ascii")
