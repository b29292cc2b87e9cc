"""Our own documents as TOML text. (pure)

Tables of keys and of tables, with texts, numbers, flags and lists: what a replication file has.
`tomllib` reads back what was given.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def toml_text(document: Mapping[str, object], *, comment: str = "") -> str:
    """The document; `comment` becomes lines at its top.

    Raises:
        ValueError: a value that TOML has no form for: null, or text that is not Unicode.
    """
    head = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines = list(_table(document, ""))
    separator = [""] if head and lines else []
    return "\n".join([*head, *separator, *lines, ""])


def _table(table: Mapping[str, object], name: str) -> Iterator[str]:
    """A table's own keys, then the tables in it, each under its heading."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    first = len(inner) == len(table)
    for key, value in inner.items():
        path = f"{name}.{_key(key)}" if name else _key(key)
        if not first:
            yield ""
        first = False
        if not value or any(not isinstance(each, Mapping) for each in value.values()):
            yield f"[{path}]"
        yield from _table(value, path)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(name)} = {_value(inner)}" for name, inner in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    raise ValueError(f"TOML has no form for a {type(value).__name__}")


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's too, but for DEL, which JSON leaves as it is."""
    text.encode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
