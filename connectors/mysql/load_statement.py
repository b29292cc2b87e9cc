"""LOAD DATA LOCAL as SQL. (pure)

Fields are read as bytes (`CHARACTER SET binary`) and given their meaning per column. Everything in
the statement that is not a name is written in hexadecimal, so that no escape stands between us and
the server. (MySQL manual, "LOAD DATA Statement".)
"""

from collections.abc import Iterable
from typing import Final

from connectors.mysql.column_plan import ColumnPlan

FILE_NAME: Final = "penstock"
"""The only "file" that the server may ask for."""


def statement(table: str, columns: Iterable[tuple[ColumnPlan, str]]) -> bytes:
    """LOAD DATA into a table, of lines with a field for each of these columns, each with its name
    there."""
    fields: list[str] = []
    sets: list[str] = []
    for column, name in columns:
        variable = f"@c{column.index}"
        if not column.writable:
            fields.append(variable)
        elif column.load:
            fields.append(variable)
            sets.append(f"{name} = {column.load.format(value=variable)}")
        else:
            fields.append(name)
    then = f" SET {', '.join(sets)}" if sets else ""
    return (
        f"LOAD DATA LOCAL INFILE '{FILE_NAME}' INTO TABLE {table} CHARACTER SET binary"
        " FIELDS TERMINATED BY x'09' ESCAPED BY x'5c' LINES TERMINATED BY x'0a'"
        f" ({', '.join(fields)}){then}"
    ).encode()
