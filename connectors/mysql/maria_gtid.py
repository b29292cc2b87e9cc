"""(pure) Global transaction identifiers of MariaDB: domain, server, sequence number.

Inside a domain sequence numbers grow, so one GTID per domain tells everything before it (with
`gtid_strict_mode`, which preflight asks for; without it a number may come twice).

See: MariaDB documentation, "Global Transaction ID".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_GTID: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,20})", re.ASCII)
_U32: Final = 1 << 32
_U64: Final = 1 << 64


class MariaGtid(NamedTuple):
    domain: int
    server: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "MariaGtid":
        """Read `domain-server-number`. Raises ValueError."""
        match = _GTID.fullmatch(text.strip())
        if match is None:
            raise ValueError("not a GTID of MariaDB: it is domain-server-number")
        found = cls(*map(int, match.groups()))
        if found.domain >= _U32 or found.server >= _U32 or found.number >= _U64:
            raise ValueError("a GTID's part is larger than MariaDB's are")
        return found


class MariaGtids:
    """An immutable list of GTIDs, the newest of each domain; it stands for all that went before."""

    __slots__ = ("_newest",)

    def __init__(self, newest: Mapping[int, MariaGtid] | None = None) -> None:
        self._newest: Mapping[int, MariaGtid] = newest or {}

    @classmethod
    def of(cls, gtids: Iterable[MariaGtid]) -> "MariaGtids":
        """Of several GTIDs of one domain the last counts, as in a GTID_LIST event."""
        return cls(dict(sorted({gtid.domain: gtid for gtid in gtids}.items())))

    @classmethod
    def parse(cls, text: str) -> "MariaGtids":
        """Read `0-1-7,5-2-9`; an empty text is the empty list.

        Raises:
            ValueError: the text is not of that form, or tells a domain twice.
        """
        gtids = [MariaGtid.parse(part) for part in text.split(",")] if text.strip() else []
        found = cls.of(gtids)
        if len(found.newest) != len(gtids):
            raise ValueError("a GTID list tells one domain twice")
        return found

    def __contains__(self, gtid: MariaGtid) -> bool:
        newest = self._newest.get(gtid.domain)
        return newest is not None and gtid.number <= newest.number

    def __bool__(self) -> bool:
        return bool(self._newest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MariaGtids) and self._newest == other._newest

    def __hash__(self) -> int:
        return hash(tuple(self._newest.values()))

    def __le__(self, other: "MariaGtids") -> bool:
        """Whether the other list stands for everything that this one does."""
        return all(gtid in other for gtid in self._newest.values())

    def with_(self, gtid: MariaGtid) -> "MariaGtids":
        """This list after one more transaction."""
        if gtid.domain in self._newest:
            return MariaGtids({**self._newest, gtid.domain: gtid})
        return MariaGtids.of([*self._newest.values(), gtid])

    @property
    def newest(self) -> tuple[MariaGtid, ...]:
        """One GTID a domain, in order of domains."""
        return tuple(self._newest.values())

    def __str__(self) -> str:
        return ",".join(map(str, self._newest.values()))

    def __repr__(self) -> str:
        return f"MariaGtids({str(self)!r})"
