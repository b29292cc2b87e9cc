"""A value of a row that was kept aside as a person reads it. (pure)

It stands there in the form in which it came: as text mostly, and of PostgreSQL also in binary, of
which whole numbers, truth values and texts are read here (PostgreSQL, "Frontend/Backend Protocol",
and the types' `send` functions).
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

TEXTS: Final = frozenset({"text", "character varying", "character", "name", "json", "xml"})

INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})


def value_text(column: Mapping[str, Any], value: str | None) -> str | bytes | None:
    """Text where it is one or can be read as one; else the bytes that came. None for NULL."""
    if value is None:
        return None
    data = base64.b64decode(value)
    kind = str(column.get("type", "")).partition("(")[0]
    if column.get("format") != "text" and kind not in TEXTS:
        if kind in INTEGERS:
            return str(int.from_bytes(data, "big", signed=True))
        return str(data == b"\1").lower() if kind == "boolean" else data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
