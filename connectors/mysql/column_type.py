"""A column's type in the language of MySQL and MariaDB, taken apart. (pure)

Two spellings are read: `information_schema.COLUMNS.COLUMN_TYPE`, and the same followed by
`character set x collate y`, which is how a column travels in the native form.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from connectors.mysql.quoting import unescaped

INTEGERS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
"""Integer types and their bits."""

BLOBS: Final = {"tinyblob": 2**8, "blob": 2**16, "mediumblob": 2**24, "longblob": 2**32}
TEXTS: Final = {"tinytext": 2**8, "text": 2**16, "mediumtext": 2**24, "longtext": 2**32}
"""Types without a length of their own, and the bytes below which they end."""

GEOMETRIES: Final = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
        "multipolygon", "geomcollection", "geometrycollection",
    }
)  # fmt: skip

BINARY: Final = frozenset({*BLOBS, *GEOMETRIES, "binary", "varbinary", "vector"})
"""Types whose values are bytes."""

LABELLED: Final = frozenset({"enum", "set"})
CHARACTER: Final = frozenset({*TEXTS, *LABELLED, "char", "varchar"})
"""Types whose values are text of a character set."""

TEMPORAL: Final = frozenset({"date", "time", "datetime", "timestamp", "year"})

BYTEWISE: Final = frozenset({"binary", "utf8mb4_0900_bin", "utf8mb4_nopad_bin"})
"""Collations that tell every two texts apart."""

_SYNONYMS: Final = {
    "integer": "int", "numeric": "decimal", "dec": "decimal", "fixed": "decimal",
    "double precision": "double", "real": "double", "character": "char",
    "character varying": "varchar", "bool": "tinyint", "boolean": "tinyint",
}  # fmt: skip

_TYPE: Final = re.compile(
    r"\s*(?P<base>[a-z0-9]+(?: precision| varying)?)\s*"
    r"(?:\((?P<arguments>(?:[^()']|'(?:[^'\\]|''|\\.)*')*)\))?(?P<rest>.*)\Z",
    re.DOTALL | re.IGNORECASE,
)
_LABEL: Final = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_CHARSET: Final = re.compile(r"\bcharacter set (\w+)", re.IGNORECASE)
_COLLATION: Final = re.compile(r"\bcollate (\w+)", re.IGNORECASE)


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
    match = _TYPE.match(text)
    if match is None:
        return ColumnType(text.strip().lower())
    base = match["base"].lower()
    base = _SYNONYMS.get(base, base)
    arguments, rest = match["arguments"], match["rest"]
    charset, collation = _CHARSET.search(rest), _COLLATION.search(rest)
    labels: tuple[str, ...] = ()
    size = scale = None
    if base in LABELLED:
        labels = tuple([unescaped(label) for label in _LABEL.findall(arguments or "")])
    elif arguments:
        numbers = [part.strip() for part in arguments.split(",")]
        size = int(numbers[0]) if numbers[0].isdigit() else None
        scale = int(numbers[1]) if len(numbers) > 1 and numbers[1].isdigit() else None
    return ColumnType(
        base=base,
        size=None if base in INTEGERS or base == "year" else size,
        scale=scale,
        unsigned="unsigned" in rest.lower().split(),
        charset=charset[1].lower() if charset else "",
        collation=collation[1].lower() if collation else "",
        labels=labels,
    )
