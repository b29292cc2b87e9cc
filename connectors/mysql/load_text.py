"""(pure) SQL that makes a column's text UTF-8.

See: MySQL manual, "String Functions".
"""

from typing import Final

from connectors.mysql.charsets import ALWAYS_TEXT

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
