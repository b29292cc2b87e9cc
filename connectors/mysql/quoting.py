"""Names and texts inside SQL of MySQL and MariaDB. (pure)

Every identifier is quoted, always. Statements here are right under any `sql_mode` but ANSI_QUOTES,
which our sessions do not set.
"""

import re
from typing import Final

IDENTIFIER_CHARACTERS_MAX: Final = 64
"""MySQL manual, "Identifier Length Limits": characters, not bytes."""


_ESCAPE: Final = re.compile(r"''|\\(.)", re.DOTALL)
_ESCAPES: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}


def identifier(name: str) -> str:
    """A quoted identifier.

    Raises:
        ValueError: the name is empty or holds NUL, which no identifier can.
    """
    if not name or "\0" in name:
        raise ValueError("an identifier is neither empty nor holds NUL")
    return "`" + name.replace("`", "``") + "`"


def qualified(schema: str, name: str) -> str:
    """`` `database`.`table` ``."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str) -> str:
    """A string constant in utf8mb4, the same whether or not the server takes backslashes as
    escapes: a text with one is written in hexadecimal."""
    if "\\" in text or "\0" in text:
        return f"_utf8mb4 x'{text.encode().hex()}'"
    return "'" + text.replace("'", "''") + "'"


def unescaped(text: str) -> str:
    """What stands between single quotes, where a backslash escapes, as the text that it means."""
    return _ESCAPE.sub(_meant, text)


def _meant(match: re.Match[str]) -> str:
    return "'" if match[1] is None else _ESCAPES.get(match[1], match[1])
