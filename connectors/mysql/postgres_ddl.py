"""Statements of a PostgreSQL definition, read for what another system can make of them. (pure)

They come from PostgreSQL's own functions (`pg_get_indexdef`, `pg_get_constraintdef`), so their form
is known: names are quoted where they need it, key words are upper case.
"""

import re
from dataclasses import dataclass
from typing import Final

from connectors.mysql.quoting import literal
from engine.model.table import Definition

_NAME: Final = r'(?:"(?:[^"]|"")*"|[^\s",()."]+)'
_NAMES: Final = re.compile(_NAME)
_REFERENCES: Final = re.compile(
    r"FOREIGN KEY \((?P<columns>.*?)\) REFERENCES (?:ONLY )?"
    rf"(?:{_NAME}\.)?{_NAME}\((?P<parents>.*?)\)(?P<rest>.*)\Z",
    re.DOTALL,
)
_ACTION: Final = r" ON {} (CASCADE|SET NULL|SET DEFAULT|RESTRICT|NO ACTION)"
_ON_UPDATE: Final = re.compile(_ACTION.format("UPDATE"))
_ON_DELETE: Final = re.compile(_ACTION.format("DELETE"))
_ORDINARY_INDEX: Final = re.compile(r" USING btree \(")

_CAST: Final = r"(?:::[\w ()\".,\[\]]+)?\Z"
_NUMBER: Final = re.compile(r"\(?(?P<number>-?\d+(?:\.\d+)?)\)?" + _CAST)
_TEXT: Final = re.compile(r" ?(?P<escapes>E?)'(?P<text>(?:[^'\\]|''|\\\\)*)'" + _CAST)
"""Of escapes only a doubled backslash: PostgreSQL writes no other by itself."""

_NOW: Final = frozenset({"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key. Actions are the words that follow ON UPDATE and ON DELETE, empty for none."""

    columns: tuple[str, ...]
    parents: tuple[str, ...]
    on_update: str
    on_delete: str


def names(text: str) -> tuple[str, ...]:
    """Names in a list, unquoted."""
    return tuple([_plain(name) for name in _NAMES.findall(text)])


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def reference(definition: Definition) -> Reference | None:
    """What a foreign key says; None when it was not understood."""
    match = _REFERENCES.search(definition.statement)
    if match is None:
        return None
    update, delete = _ON_UPDATE.search(match["rest"]), _ON_DELETE.search(match["rest"])
    return Reference(
        names(match["columns"]),
        names(match["parents"]),
        update[1] if update else "",
        delete[1] if delete else "",
    )


def is_unique(definition: Definition) -> bool:
    """Whether it is a unique index or constraint over whole columns and all rows. NULLs that are
    equal to each other are no matter of ours: the source has let the rows in."""
    statement = definition.statement
    if not definition.columns or "" in definition.columns:
        return False
    if statement.startswith("CREATE UNIQUE INDEX"):
        return " WHERE " not in statement
    return " UNIQUE " in statement and " ADD CONSTRAINT " in statement


def is_plain_index(definition: Definition) -> bool:
    """Whether it is an index that orders whole columns of all rows."""
    statement = definition.statement
    whole = bool(definition.columns) and "" not in definition.columns
    return whole and " WHERE " not in statement and bool(_ORDINARY_INDEX.search(statement))


def default(expression: str) -> str | None:
    """A default as this dialect writes it; None for one that is not understood."""
    if expression in _NOW:
        return "CURRENT_TIMESTAMP(6)"
    if expression in ("true", "false"):
        return "1" if expression == "true" else "0"
    number, plain = _NUMBER.match(expression), constant(expression)
    if number is not None:
        return number["number"]
    return None if plain is None else literal(plain)


def constant(expression: str) -> str | None:
    """The value of a default that is a quoted one, as PostgreSQL prints it; None for any other."""
    text = _TEXT.match(expression)
    if text is None:
        return None
    plain = text["text"].replace("''", "'")
    return plain.replace("\\\\", "\\") if text["escapes"] else plain
