"""What `SHOW GRANTS` says a user may do. (pure)"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

ALL: Final = "ALL PRIVILEGES"
_NAME: Final = r"(?:`(?:[^`]|``)*`|\*)"
_GRANT: Final = re.compile(
    rf"GRANT (?P<what>.*?) ON (?:TABLE )?(?P<schema>{_NAME})\.(?P<table>{_NAME}) TO ", re.IGNORECASE
)
_ROLE: Final = re.compile(r"GRANT (?:`|')", re.IGNORECASE)
_COLUMNS: Final = re.compile(r"\([^)]*\)")


@dataclass(slots=True)
class Grants:
    """`roles`: some privileges come by a role and are not listed, so an absent one proves
    nothing."""

    roles: bool = False
    _found: list[tuple[frozenset[str], str, str]] = field(
        default_factory=list[tuple[frozenset[str], str, str]]
    )

    def add(self, line: str) -> None:
        match = _GRANT.match(line)
        if match is None:
            self.roles = self.roles or bool(_ROLE.match(line))
            return
        words = _COLUMNS.sub("", match["what"]).upper().split(",")
        what = frozenset([word.strip() for word in words])
        self._found.append((what, _plain(match["schema"]), _plain(match["table"])))

    def missing(self, wanted: Iterable[str], schema: str, table: str = "*") -> list[str]:
        """Of these privileges those that are not granted on a table, or on a whole database."""
        held: set[str] = set()
        for what, on_schema, on_table in self._found:
            if _matches(on_schema, schema) and on_table in ("*", table):
                held |= what
        return [] if ALL in held else [one for one in wanted if one not in held]


def read(lines: Iterable[str]) -> Grants:
    grants = Grants()
    for line in lines:
        grants.add(line)
    return grants


def _plain(name: str) -> str:
    return name if name == "*" else name[1:-1].replace("``", "`")


def _matches(pattern: str, schema: str) -> bool:
    """A database's name in a grant is a pattern of LIKE."""
    if pattern == "*":
        return True
    pieces = re.split(r"(\\.|%|_)", pattern)
    likes = {"%": ".*", "_": "."}
    text = "".join([likes.get(p) or re.escape(p.removeprefix("\\")) for p in pieces])
    return re.fullmatch(text, schema, re.DOTALL) is not None
