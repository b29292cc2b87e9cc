"""Names and texts inside SQL, by the standard's rules. (pure)

Every identifier is quoted, always: a name that needs no quotes today is a key word tomorrow.
"""


def identifier(name: str) -> str:
    """A quoted identifier.

    Raises:
        ValueError: the name is empty or holds NUL, which no SQL identifier can.
    """
    if not name or "\0" in name:
        raise ValueError("an identifier is neither empty nor holds NUL")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """`"schema"."name"`."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str) -> str:
    """A string constant, the same whether or not the server takes backslashes as escapes.

    Raises:
        ValueError: the text holds NUL.
    """
    if "\0" in text:
        raise ValueError("a string constant cannot hold NUL")
    quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
    return f" E{quoted}" if "\\" in text else quoted
