"""A type of PostgreSQL, as the interchange form names it, taken apart. (pure)"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from engine.model.relation import ColumnType
from engine.model.type_text import enum_labels

_NAME: Final = re.compile(
    r"(?P<base>[^()\[\]]+?)\s*(?:\((?P<size>\d+)(?:,\s*(?P<scale>-?\d+))?\))?"
    r"(?P<rest> with time zone| without time zone)?(?P<array>(?:\[\])*)\Z"
)
_DOMAIN: Final = re.compile(
    r"domain\((?P<base>.*?)(?: = .*?)?(?: not null| CHECK .*)?\s*\)\Z", re.DOTALL
)

_SHORT: Final = {
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "bpchar": "character",
    "char": "character",
    "varchar": "character varying",
    "int2": "smallint", "int4": "integer", "int8": "bigint", "int": "integer",
    "float4": "real", "float8": "double precision", "bool": "boolean", "decimal": "numeric",
    "varbit": "bit varying",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostgresType:
    """`base` is the long name without modifier. `labels`: those of an enum type. A domain is what
    it is made of."""

    base: str
    size: int | None = None
    scale: int | None = None
    is_array: bool = False
    labels: tuple[str, ...] | None = None


def read(type_: ColumnType) -> PostgresType:
    """The type of a column in the interchange form."""
    return _read(type_.name, type_.definition)


@lru_cache(maxsize=4096)
def _read(name: str, definition: str) -> PostgresType:
    domain = _DOMAIN.match(definition)
    if domain is not None:
        return parse(domain["base"])
    labels: Sequence[str] | None = None
    if definition.startswith("enum("):
        labels = enum_labels(definition)
    plain = parse(name)
    if labels is None:
        return plain
    return PostgresType(plain.base, labels=tuple(labels))


def parse(name: str) -> PostgresType:
    """Read a type's name as `format_type` writes it."""
    match = _NAME.match(name.strip())
    if match is None:
        return PostgresType(name.strip(), is_array=name.rstrip().endswith("[]"))
    base = match["base"].removeprefix("pg_catalog.") + (match["rest"] or "")
    return PostgresType(
        base=_SHORT.get(base, base),
        size=None if match["size"] is None else int(match["size"]),
        scale=None if match["scale"] is None else int(match["scale"]),
        is_array=bool(match["array"]),
    )
