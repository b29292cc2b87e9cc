"""A column's type in the language of MySQL and MariaDB, taken apart. (pure)

Two spellings are read: `information_schema.COLUMNS.COLUMN_TYPE`, and the same followed by
`character set x collate y`, which is how a column travels in the native form.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from connectors.mysql.type_parts import LABELLED, take_apart

INTEGERS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
"""Integer types and their bits."""

BLOBS: Final = {"tinyblob": 2**8, "blob": 2**16, "mediumblob": 2**24, "longblob": 2**32}
TEXTS: Final = {"tinytext": 2**8, "text": 2**16, "mediumtext": 2**24, "longtext": 2**32}
"""Types without a length of their own, and the bytes below which they end."""

GEOMETRIES: Final = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
        "multipolygon", "geometrycollection",
    }
)  # fmt: skip

BINARY: Final = frozenset({*BLOBS, *GEOMETRIES, "binary", "varbinary", "vector"})
"""Types whose values are bytes."""

CHARACTER: Final = frozenset({*TEXTS, *LABELLED, "char", "varchar"})
"""Types whose values are text of a character set."""

TEMPORAL: Final = frozenset({"date", "time", "datetime", "timestamp", "year"})

BYTEWISE: Final = frozenset({"binary", "utf8mb4_0900_bin", "utf8mb4_nopad_bin"})
"""Collations that tell every two texts apart."""

_CHARSET: Final = re.compile(r"\bcharacter set (\w+)")
_COLLATION: Final = re.compile(r"\bcollate (\w+)")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`size` is the first number in parentheses, `scale` the second; None where none is written.
    For a type with fractional seconds `size` is their digits."""

    base: str
    size: int | None = None
    scale: int | None = None
    unsigned: bool = False
    charset: str = ""
    collation: str = ""
    labels: tuple[str, ...] = ()

    @property
    def fraction(self) -> int:
        """Digits of fractional seconds."""
        return self.size or 0

    @property
    def length(self) -> int | None:
        """Characters or bytes a value may have; None where the type itself sets no limit below a
        text's or a blob's."""
        if self.base in ("char", "binary"):
            return 1 if self.size is None else self.size
        if self.base in ("varchar", "varbinary"):
            return self.size
        if self.base in ("enum", "set"):
            longest = [len(label) for label in self.labels]
            if self.base == "enum":
                return max(longest, default=0)
            return sum(longest) + max(len(longest) - 1, 0)
        return None

    @property
    def digits(self) -> tuple[int, int]:
        """(Digits before, digits after the point) of an integer or decimal type."""
        if self.base in INTEGERS:
            return len(str(2 ** (INTEGERS[self.base] - (not self.unsigned)))), 0
        precision, scale = 10 if self.size is None else self.size, self.scale or 0
        return precision - scale, scale

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest value of an integer type."""
        bits = INTEGERS[self.base]
        return (0, 2**bits - 1) if self.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @property
    def tells_bytes(self) -> bool:
        """Whether texts that are equal in its collation have equal bytes: of `_bin` those that do
        not pad."""
        return self.collation in BYTEWISE

    def within(self, charset: str, collation: str) -> "ColumnType":
        """The same with a character set that stands beside the type."""
        return replace(self, charset=charset.lower(), collation=collation.lower())


@lru_cache(maxsize=4096)
def parse(text: str) -> ColumnType:
    """Read a type. An unknown one keeps its name as `base`: it equals only itself."""
    try:
        parts = take_apart(text)
    except ValueError:
        return ColumnType(text.strip().lower())
    base, numbers = parts.base, (*parts.numbers, None, None)
    charset, collation = _CHARSET.search(parts.rest), _COLLATION.search(parts.rest)
    return ColumnType(
        base=base,
        size=None if base in INTEGERS or base == "year" else numbers[0],
        scale=numbers[1],
        unsigned="unsigned" in parts.words,
        charset=charset[1] if charset else "",
        collation=collation[1] if collation else "",
        labels=parts.labels,
    )
