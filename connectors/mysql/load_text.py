"""(pure) SQL that makes a text of a column a field of a line: in UTF-8, with its escapes.

See: MySQL manual, "String Functions"; MariaDB documentation, "REGEXP_REPLACE".
"""

from collections.abc import Iterable
from typing import Final

from connectors.mysql.charsets import ALWAYS_TEXT

_ESCAPES: Final = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_NUL: Final = (b"\0", b"\\0")

LONG_BYTES: Final = 4096
"""From here on MariaDB's REPLACE is slower than its regular expressions: for each place that it
changes it moves all bytes behind, which takes a text of a megabyte minutes."""

_NO_TEXT: Final = "x'ff'"
"""What no target takes for a text: it refuses the row, as the stream does."""


def utf8(column: str, charset: str) -> str:
    """The bytes of a column's text. `column` is quoted. The server writes a question mark for what
    its set has no character for; where there are more than in the column, it is no text."""
    text = f"CAST(CONVERT({column} USING utf8mb4) AS BINARY)"
    if charset in ALWAYS_TEXT:
        return text
    made = f"LENGTH({text}) - LENGTH(REPLACE({text}, x'3f', x''))"
    had = f"CHAR_LENGTH({column}) - CHAR_LENGTH(REPLACE({column}, '?', ''))"
    lost = f"LOCATE(x'3f', {text}) AND {made} <> {had}"
    if charset == "ucs2":  # MySQL makes NULL of half a character, as of a text that is too long
        lost = f"IF({text} IS NULL, 2 * LENGTH({column}) < @@max_allowed_packet, {lost})"
    return f"IF({lost}, {_NO_TEXT}, {text})"


def escaped(expression: str, *, nul: bool = False, moves: bool = False) -> str:
    """An expression of bytes with escapes; `nul`: also for a NUL. `moves`: the server is one whose
    REPLACE moves what is behind, and the text may be long."""
    pairs = (*_ESCAPES, *([_NUL] if nul else []))
    short = _nested("REPLACE", expression, [(_hex(raw), _hex(new)) for raw, new in pairs])
    if not moves:
        return short
    patterns = [(_hex(_pattern(raw)), _hex(new.replace(b"\\", b"\\\\"))) for raw, new in pairs]
    long = _nested("REGEXP_REPLACE", expression, patterns)
    return f"IF(LENGTH({expression}) < {LONG_BYTES}, {short}, {long})"


def _nested(function: str, expression: str, pairs: Iterable[tuple[str, str]]) -> str:
    for old, new in pairs:
        expression = f"{function}({expression}, {old}, {new})"
    return expression


def _pattern(raw: bytes) -> bytes:
    return b"\\x%02x" % raw[0]


def _hex(raw: bytes) -> str:
    return f"x'{raw.hex()}'"
