"""Tables of any server as texts that can be compared between families.

Each value is printed by its own server, fetched by a plain driver that converts nothing, and
brought into one spelling here: nothing of the code under test has a part in it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg
import pymysql

from tests.scenario.pairs.sides import SCHEMA, MysqlSide, PostgresSide, Side
from tests.servers.mysql import MysqlServer, quoted

Row = tuple[str | None, ...]


class AbsentError(Exception):
    """The table, or a column of it, is not there."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column: `form` says how its texts are spelt, `select` what prints them."""

    name: str
    form: str
    select: str


class Reader(Protocol):
    def tables(self) -> list[str]: ...

    def fields(self, table: str) -> list[Field]: ...

    def rows(self, table: str, fields: list[Field]) -> Counter[Row]:
        """Raises AbsentError."""
        ...

    def states(self) -> dict[str, tuple[str, str]]:
        """Of a target: state and reason of each table of its only replication."""
        ...

    def drop(self, table: str) -> None: ...

    def close(self) -> None: ...


def reader(side: Side) -> Reader:
    """A reader of one side, for its caller to close."""
    if isinstance(side, MysqlSide):
        return _MysqlReader(side.database.server)
    assert isinstance(side, PostgresSide)
    return _PostgresReader(side.url)


STATES: Final = "SELECT schema_name, table_name, state, reason FROM penstock.table_state"


class _MysqlReader:
    def __init__(self, server: MysqlServer) -> None:
        self._connection = pymysql.connect(
            unix_socket=str(server.socket),
            user="root",
            charset="utf8mb4",
            autocommit=True,
            conv={},
            init_command="SET time_zone = '+00:00'",
        )

    def tables(self) -> list[str]:
        found = self._ask(
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_schema = '{SCHEMA}' AND table_type = 'BASE TABLE' ORDER BY 1"
        )
        return [str(name) for (name,) in found]

    def fields(self, table: str) -> list[Field]:
        found = self._ask(
            "SELECT column_name, data_type, column_type, numeric_precision"
            f" FROM information_schema.columns WHERE table_schema = '{SCHEMA}'"
            f" AND table_name = {_literal(table)} ORDER BY ordinal_position"
        )
        return [
            Field(str(name), *_mysql_form(quoted(str(name)), str(base), str(size)))
            for name, base, _, size in found
        ]

    def rows(self, table: str, fields: list[Field]) -> Counter[Row]:
        listed = ", ".join(f.select for f in fields)
        try:
            found = self._ask(f"SELECT {listed} FROM {SCHEMA}.{quoted(table)}")
        except (pymysql.err.ProgrammingError, pymysql.err.OperationalError) as error:
            raise AbsentError(table) from error
        return _spelt(fields, found)

    def states(self) -> dict[str, tuple[str, str]]:
        return _states(self._ask(STATES))

    def drop(self, table: str) -> None:
        self._ask("SET foreign_key_checks = OFF")
        self._ask(f"DROP TABLE IF EXISTS {SCHEMA}.{quoted(table)}")

    def close(self) -> None:
        self._connection.close()

    def _ask(self, sql: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


class _PostgresReader:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET TimeZone = 'UTC'")

    def tables(self) -> list[str]:
        found = self._ask(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            f" AND n.nspname = '{SCHEMA}' ORDER BY 1"
        )
        return [str(name) for (name,) in found]

    def fields(self, table: str) -> list[Field]:
        found = self._ask(
            "SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            f" WHERE attrelid = {_literal(f'{SCHEMA}.{_quoted(table)}')}::regclass"
            " AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum"
        )
        return [Field(str(name), *_postgres_form(_quoted(name), str(base))) for name, base in found]

    def rows(self, table: str, fields: list[Field]) -> Counter[Row]:
        listed = ", ".join(f.select for f in fields)
        try:
            found = self._ask(f"SELECT {listed} FROM {SCHEMA}.{_quoted(table)}")
        except psycopg.errors.ProgrammingError as error:
            raise AbsentError(table) from error
        return _spelt(fields, found)

    def states(self) -> dict[str, tuple[str, str]]:
        return _states(self._ask(STATES))

    def drop(self, table: str) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {SCHEMA}.{_quoted(table)} CASCADE".encode())

    def close(self) -> None:
        self._connection.close()

    def _ask(self, sql: str) -> Any:
        return self._connection.execute(sql.encode()).fetchall()


def _states(rows: Any) -> dict[str, tuple[str, str]]:
    return {
        str(table): (str(state), str(reason))
        for schema, table, state, reason in rows
        if schema == SCHEMA
    }


NO_DATE: Final = "0000-00-00"
EARLIEST: Final = "0001-01-01"

# --- forms ----------------------------------------------------------------------------------------

_MYSQL_FORMS: Final = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"), "number"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob"), "bytes"),
    **dict.fromkeys(("longblob", "geometry", "point", "vector"), "bytes"),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys(("date", "datetime", "timestamp", "time"), "moment"),
    "year": "number",
    "bit": "bits",
}

_POSTGRES_FORMS: Final = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "bool"), "number"),
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("date", "timestamp", "timestamptz", "time", "interval"), "moment"),
    "bytea": "bytes",
    "bit": "bits",
}


def _mysql_form(column: str, base: str, size: str) -> tuple[str, str]:
    form = _MYSQL_FORMS.get(base, "text")
    match form:
        case "bytes":
            return form, f"LOWER(HEX({column}))"
        case "bits":
            return form, f"LPAD(BIN({column} + 0), {size}, '0')"
    # The text of a FLOAT is cut to six digits; that of a DOUBLE is whole.
    return form, f"{column} * 1e0" if base == "float" else column


def _postgres_form(column: str, base: str) -> tuple[str, str]:
    form = _POSTGRES_FORMS.get(base, "text")
    printed = f"concat({column})"
    if form == "bytes":
        printed = f"encode({column}, 'hex')"
    elif base == "float4":
        printed = f"concat({column}::float8)"
    # A row of NULLs is a value: IS NULL would not tell it from none.
    return form, f"CASE WHEN num_nulls({column}) = 0 THEN {printed} END"


def _number(text: str) -> str:
    text = {"t": "1", "f": "0"}.get(text, text)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _moment(text: str) -> str:
    """A date that is none is the earliest one, as `zero_dates` says in `pairs.between`."""
    text = text.removesuffix("+00")
    if text.startswith(NO_DATE):
        text = EARLIEST + text.removeprefix(NO_DATE)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float(text: str) -> str:
    return repr(float(text) + 0.0)  # added to zero, zero has no sign


_SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "number": _number,
    "moment": _moment,
    "float": _float,
}


def _spelt(fields: list[Field], rows: Any) -> Counter[Row]:
    spellings = [_SPELLINGS.get(field.form, str) for field in fields]
    return Counter(
        tuple(
            None if value is None else spell(str(value))
            for spell, value in zip(spellings, row, strict=True)
        )
        for row in rows
    )


# --- comparing ------------------------------------------------------------------------------------


def difference(source: Reader, target: Reader, table: str) -> str:
    """In what a table is not equal, all its rows compared; empty when nothing. Columns that only
    the target has are no difference."""
    here = source.fields(table)
    there = {field.name: field for field in target.fields(table)} if _has(target, table) else {}
    lacking = [field.name for field in here if field.name not in there]
    if lacking or not here:
        return f"{table}: the target lacks {', '.join(lacking) or 'it'}"
    pairs = [_alike(field, there[field.name]) for field in here]
    try:
        left = source.rows(table, [mine for mine, _ in pairs])
        right = target.rows(table, [theirs for _, theirs in pairs])
    except AbsentError:
        return f"{table}: altered while it was read"
    return "" if left == right else _told(table, here, left, right)


def _has(target: Reader, table: str) -> bool:
    return table in target.tables()


def _alike(mine: Field, theirs: Field) -> tuple[Field, Field]:
    """What one side keeps as text is the other's text, letter by letter."""
    if mine.form == theirs.form:
        return mine, theirs
    return Field(mine.name, "text", mine.select), Field(theirs.name, "text", theirs.select)


ROWS_SHOWN: Final = 4


def _told(table: str, fields: list[Field], left: Counter[Row], right: Counter[Row]) -> str:
    def shown(rows: Counter[Row]) -> list[str]:
        return [f"    {row}"[:1500] for row in sorted(rows.elements(), key=repr)[:ROWS_SHOWN]]

    return "\n".join(
        [
            f"{table}: {_digest(left)} != {_digest(right)}",
            f"  ({', '.join(field.name for field in fields)})",
            "  only the source has",
            *shown(left - right),
            "  only the target has",
            *shown(right - left),
        ]
    )


def _digest(rows: Counter[Row]) -> str:
    """Number of rows and a hash of all of them."""
    whole = hashlib.sha256()
    for line in sorted(map(repr, rows.elements())):
        whole.update(line.encode())
    return f"{rows.total()} rows {whole.hexdigest()[:16]}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
