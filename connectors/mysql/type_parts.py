"""The text of a column's type taken apart, as the catalog or a declaration writes it. (pure)

What its parts mean is another's: `types` for a source's columns, `column_type` for a target's.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from connectors.mysql.quoting import unescaped

LABELLED: Final = frozenset({"enum", "set"})
"""Types that stand before a list of labels."""

_SYNONYMS: Final = {
    "integer": "int", "numeric": "decimal", "dec": "decimal", "fixed": "decimal",
    "double precision": "double", "real": "double", "character": "char",
    "character varying": "varchar", "bool": "tinyint", "boolean": "tinyint",
    "geomcollection": "geometrycollection",
}  # fmt: skip

_TYPE: Final = re.compile(
    r"\s*(?P<base>[a-z0-9]+(?: precision| varying)?)\s*"
    r"(?:\((?P<inside>(?:[^()']|'(?:[^'\\]|''|\\.)*+')*+)\))?(?P<rest>.*)\Z",
    re.DOTALL | re.IGNORECASE,
)
_COMMENT: Final = re.compile(r" */\*.*?\*/")
_LABEL: Final = re.compile(r"\s*'((?:[^'\\]|''|\\.)*)'\s*(?:,|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TypeParts:
    """`base` is the type's name in lower case, one name for several that mean the same. `numbers`
    stand in its parentheses, of an ENUM or SET `labels`. `rest` is what follows, in lower case and
    without `comments`, of which there may be some: MariaDB says there that a column is compressed.
    """

    base: str
    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    rest: str
    comments: str

    @property
    def words(self) -> list[str]:
        return self.rest.split()


@lru_cache(maxsize=4096)
def take_apart(text: str) -> TypeParts:
    """Read a type, known or not.

    Raises:
        ValueError: the text is no type's, or its labels are not as the servers write them.
    """
    match = _TYPE.match(text)
    if match is None:
        raise ValueError(f"the column type {text[:40]!r} is not supported")
    base = match["base"].lower()
    base = _SYNONYMS.get(base, base)
    inside, rest = match["inside"] or "", match["rest"]
    comments = "".join(_COMMENT.findall(rest)) if "/*" in rest else ""
    return TypeParts(
        base=base,
        numbers=() if base in LABELLED else _numbers(inside),
        labels=_labels(inside) if base in LABELLED else (),
        rest=(_COMMENT.sub("", rest) if comments else rest).lower(),
        comments=comments,
    )


def _numbers(inside: str) -> tuple[int, ...]:
    parts = [part.strip() for part in inside.split(",")]
    return tuple([int(part) for part in parts if part.isdecimal()])


def _labels(inside: str) -> tuple[str, ...]:
    found: list[str] = []
    at = 0
    while at < len(inside):
        match = _LABEL.match(inside, at)
        if match is None:
            raise ValueError("the labels of an ENUM or SET are not as the catalog writes them")
        found.append(unescaped(match[1]))
        at = match.end()
    return tuple(found)
