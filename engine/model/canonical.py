"""Texts of values that systems of different families print alike, for hashing rows (pure).

This is the contract between two sides of a comparison: a form says exactly what text a value has.
A row's text is one token per column, joined by `SEPARATOR`: `ABSENT` for NULL; for the forms in
`HASHED`, which may hold anything, the first half of SHA-256 of the text's bytes, in lower-case
hexadecimal; else the text itself. A row's hash is the first 8 bytes of SHA-256 of that, as a signed
number. SHA-256 is what every system has built in: newer MySQL has no MD5 without a component.
"""

from enum import StrEnum
from typing import Final

CANONICAL: Final = "canonical-sha256"
"""The row hash over these texts."""

ABSENT: Final = "~"
SEPARATOR: Final = "|"
"""Neither occurs in the text of any form that is not hashed."""


class TextForm(StrEnum):
    """What a column's values are printed as. Texts are in UTF-8."""

    NUMBER = "number"
    """Decimal digits, no sign but `-`, no zeros behind the last digit after the point; truth values
    are 1 and 0."""

    TEXT = "text"
    """The characters themselves; of another type its text as it is kept in a text column."""

    STRIPPED = "stripped"
    """The characters without blanks at the end, where one side pads or strips them."""

    JSON = "json"
    JSONB = "jsonb"
    """The document's own text, where one server keeps it as text, or orders its keys."""

    BYTES = "bytes"
    """The bytes; as part of a key in hexadecimal."""

    BITS = "bits"
    """Digits 0 and 1, as many as the column is wide."""

    DATE = "date"
    """`YYYY-MM-DD`, years before the first counted backwards and followed by ` BC`."""

    MOMENT = "moment"
    """`YYYY-MM-DD HH:MM:SS`, in UTC; a fraction follows without zeros at its end."""

    DATE_AS_STORED = "date as stored"
    MOMENT_AS_STORED = "moment as stored"
    """The same between servers that both know dates which no calendar has."""

    MICROSECONDS = "microseconds"
    """A time of day or a span of hours, as a whole number."""

    FLOAT = "float"
    DOUBLE = "double"
    """The 16 hexadecimal digits of the value as an IEEE 754 double: exact but for the sign of zero,
    which not every system keeps."""

    ADDRESS = "address"
    """The bytes of an IP address in hexadecimal."""

    @property
    def searchable(self) -> bool:
        """Whether a server finds a row by this text through an index on the column."""
        return self in _SEARCHABLE


HASHED: Final = frozenset(
    {TextForm.TEXT, TextForm.STRIPPED, TextForm.JSON, TextForm.JSONB, TextForm.BYTES}
)

_SEARCHABLE: Final = frozenset(
    {
        TextForm.NUMBER,
        TextForm.TEXT,
        TextForm.DATE,
        TextForm.MOMENT,
        TextForm.DATE_AS_STORED,
        TextForm.MOMENT_AS_STORED,
    }
)
