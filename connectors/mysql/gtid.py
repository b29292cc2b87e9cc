"""(pure) Global transaction identifiers of MySQL: a set of them, with gaps and tags.

A GTID is who numbers it, a server's uuid with an optional tag (MySQL 8.3), and a number from 1 on.
A set keeps, for each of those, the ordered bounds of its intervals in one flat tuple: an interval
begins at every even index and ends before the value at the next. A number is in the set when an odd
count of bounds does not exceed it.

Sets are immutable. Adding a GTID copies the bounds of one numbering source and shares the others'.

See: MySQL manual, "GTID Format and Storage"; MySQL source, `rpl_gtid_set.cc`, for the encoding.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

NUMBER_MAX: Final = (1 << 63) - 2
"""The largest number a server gives a transaction."""

TAG_LENGTH_MAX: Final = 32

UUID_BYTES: Final = 16

Bounds: TypeAlias = tuple[int, ...]

_UUID: Final = re.compile(
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
)
_TAG: Final = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL: Final = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", re.ASCII)
_U64: Final = struct.Struct("<Q")
_INTERVAL_BYTES: Final = 16
_TAGGED: Final = 1
"""Format number of an encoding with tags; 0 is the one without."""


class Tsid(NamedTuple):
    """Who numbers transactions: a server's uuid (16 bytes) and a tag, empty for none."""

    uuid: bytes
    tag: str = ""

    def __str__(self) -> str:
        return f"{uuid_text(self.uuid)}:{self.tag}" if self.tag else uuid_text(self.uuid)


class Gtid(NamedTuple):
    """One transaction's identifier."""

    tsid: Tsid
    number: int

    def __str__(self) -> str:
        return f"{self.tsid}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Gtid":
        """Read `uuid:number` or `uuid:tag:number`. Raises ValueError."""
        uuid, _, rest = text.lower().partition(":")
        tag, colon, number = rest.rpartition(":")
        if colon and not tag:
            raise ValueError("a GTID's tag is empty")
        return cls(Tsid(parse_uuid(uuid), check_tag(tag)), _number(number))


class GtidSet:
    """An immutable set of GTIDs. Equal sets are equal objects and print the same text."""

    __slots__ = ("__dict__", "_bounds")

    def __init__(self, bounds: Mapping[Tsid, Bounds] | None = None) -> None:
        """`bounds` as described in the module; only this module makes them."""
        self._bounds: Mapping[Tsid, Bounds] = bounds or {}

    @classmethod
    def parse(cls, text: str) -> "GtidSet":
        """Read a server's text: `uuid:1-3:7:tag:1-2,uuid:...`; letters of either case, white space
        around every part, intervals in any order. An empty text is the empty set.

        Raises:
            ValueError: the text is not of that form.
        """
        found: dict[Tsid, list[int]] = {}
        for part in text.lower().split(","):
            if part.strip():
                _parse_part(part, found)
        return cls._of({tsid: _merged(pairs) for tsid, pairs in found.items()})

    @classmethod
    def _of(cls, bounds: Mapping[Tsid, Bounds]) -> "GtidSet":
        return cls({tsid: found for tsid, found in sorted(bounds.items()) if found})

    def __contains__(self, gtid: Gtid) -> bool:
        return bool(bisect_right(self._bounds.get(gtid.tsid, ()), gtid.number) & 1)

    def __bool__(self) -> bool:
        return bool(self._bounds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidSet) and self._bounds == other._bounds

    def __hash__(self) -> int:
        return hash(tuple(self._bounds.items()))

    def __len__(self) -> int:
        return sum(sum(b[1::2]) - sum(b[::2]) for b in self._bounds.values())

    def __le__(self, other: "GtidSet") -> bool:
        """Whether every GTID of this set is in the other."""
        return not self - other

    def __or__(self, other: "GtidSet") -> "GtidSet":
        return self._combined(other, lambda mine, its: mine or its)

    def __and__(self, other: "GtidSet") -> "GtidSet":
        return self._combined(other, lambda mine, its: mine and its)

    def __sub__(self, other: "GtidSet") -> "GtidSet":
        return self._combined(other, lambda mine, its: mine and not its)

    def _combined(self, other: "GtidSet", keep: Callable[[bool, bool], bool]) -> "GtidSet":
        mine, its = self._bounds, other._bounds  # noqa: SLF001 - one class
        tsids = sorted({*mine, *its})
        return GtidSet._of({t: _combine(mine.get(t, ()), its.get(t, ()), keep) for t in tsids})

    def with_(self, gtid: Gtid) -> "GtidSet":
        """This set and one GTID more."""
        tsid, number = gtid
        bounds = self._bounds.get(tsid)
        if bounds is None:
            return GtidSet._of({**self._bounds, tsid: (number, number + 1)})
        if bounds[-1] == number:
            extended = (*bounds[:-1], number + 1)
        else:
            extended = _combine(bounds, (number, number + 1), lambda a, b: a or b)
        return GtidSet({**self._bounds, tsid: extended})

    @property
    def tsids(self) -> tuple[Tsid, ...]:
        """Who numbered its transactions, in order."""
        return tuple(self._bounds)

    def intervals(self, tsid: Tsid) -> list[tuple[int, int]]:
        """First and last number of each interval, in order."""
        bounds = self._bounds.get(tsid, ())
        return [(start, end - 1) for start, end in _pairs(bounds)]

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"GtidSet({self._text!r})"

    @cached_property
    def _text(self) -> str:
        parts: list[str] = []
        uuid = b""
        for tsid, bounds in self._bounds.items():
            name = str(tsid) if tsid.uuid != uuid else tsid.tag
            if parts:
                parts.append("," if tsid.uuid != uuid else ":")
            uuid = tsid.uuid
            intervals = [f"{s}" if s + 1 == e else f"{s}-{e - 1}" for s, e in _pairs(bounds)]
            parts.append(":".join((name, *intervals)))
        return "".join(parts)

    # --- the binary form --------------------------------------------------------------------------

    def encode(self) -> bytes:
        """The form that COM_BINLOG_DUMP_GTID takes: with tags only when there are some, as servers
        before 8.3 know the form without them alone."""
        tagged = any(tsid.tag for tsid in self._bounds)
        count = len(self._bounds)
        head = _TAGGED << 56 | count << 8 | _TAGGED if tagged else count
        parts = [_U64.pack(head)]
        for (uuid, tag), bounds in self._bounds.items():
            parts.append(uuid)
            if tagged:
                parts.append(bytes([len(tag) << 1]) + tag.encode())
            parts.append(struct.pack(f"<{1 + len(bounds)}Q", len(bounds) // 2, *bounds))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> "GtidSet":
        """Read what `encode` or a PREVIOUS_GTIDS event holds. Raises ValueError."""
        found: dict[Tsid, list[int]] = {}
        try:
            _decode(data, found)
        except (struct.error, IndexError) as error:
            raise ValueError("an encoded GTID set ends too early") from error
        return cls._of({tsid: _merged(pairs) for tsid, pairs in found.items()})


def uuid_text(uuid: bytes) -> str:
    digits = uuid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of a uuid in lower case. Raises ValueError."""
    match = _UUID.fullmatch(text.strip())
    if match is None:
        raise ValueError("a GTID does not begin with a server's uuid")
    return bytes.fromhex("".join(match.groups()))


def check_tag(tag: str) -> str:
    """The tag, if it is one or empty. Raises ValueError."""
    if tag and not _TAG.fullmatch(tag):
        raise ValueError("a GTID's tag is not of a tag's form")
    return tag


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,19}", text, re.ASCII) or not 1 <= int(text) <= NUMBER_MAX:
        raise ValueError("a GTID's number is not one that servers give")
    return int(text)


def _parse_part(part: str, found: dict[Tsid, list[int]]) -> None:
    """One uuid and its intervals; a tag stands before the intervals it is of."""
    uuid, *rest = [piece.strip() for piece in part.split(":")]
    tsid = Tsid(parse_uuid(uuid))
    for piece in rest:
        match = _INTERVAL.fullmatch(piece)
        if match is not None:
            start = _number(match[1])
            end = start if match[2] is None else _number(match[2])
            if end < start:
                raise ValueError("an interval of a GTID set ends before it begins")
            found.setdefault(tsid, []).extend((start, end + 1))
        else:
            if not piece:
                raise ValueError("a GTID set has an empty interval")
            tsid = Tsid(tsid.uuid, check_tag(piece))
    if tsid not in found:
        raise ValueError("a part of a GTID set has no interval")


def _decode(data: bytes, found: dict[Tsid, list[int]]) -> None:
    (head,) = _U64.unpack_from(data)
    form = head >> 56
    if form not in (0, _TAGGED) or (form and head & 0xFF != _TAGGED):
        raise ValueError("a GTID set is encoded in an unknown form")
    count = head >> 8 & 0xFFFFFFFFFFFF if form else head
    at = _U64.size
    for _ in range(count):
        uuid = data[at : at + UUID_BYTES]
        at += UUID_BYTES
        tag = ""
        if form:
            size = data[at] >> 1
            if data[at] & 1 or size > TAG_LENGTH_MAX:
                raise ValueError("a GTID's tag is longer than tags are")
            tag = check_tag(data[at + 1 : at + 1 + size].decode("ascii"))
            at += 1 + size
        (intervals,) = _U64.unpack_from(data, at)
        at += _U64.size
        end = at + intervals * _INTERVAL_BYTES
        if end > len(data):
            raise ValueError("an encoded GTID set ends too early")
        bounds = struct.unpack_from(f"<{2 * intervals}Q", data, at)
        if any(not 1 <= s < e <= NUMBER_MAX + 1 for s, e in _pairs(bounds)):
            raise ValueError("an encoded GTID set has an impossible interval")
        found.setdefault(Tsid(uuid, tag), []).extend(bounds)
        at = end
    if at != len(data):
        raise ValueError("bytes are left over behind an encoded GTID set")


# --- bounds ---------------------------------------------------------------------------------------


def _pairs(bounds: Iterable[int]) -> Iterator[tuple[int, int]]:
    numbers = iter(bounds)
    return zip(numbers, numbers, strict=True)


def _merged(pairs: list[int]) -> Bounds:
    """Intervals in any order, touching or overlapping, as bounds."""
    merged: list[int] = []
    for start, end in sorted(_pairs(pairs)):
        if merged and start <= merged[-1]:
            merged[-1] = max(merged[-1], end)
        else:
            merged += (start, end)
    return tuple(merged)


def _combine(mine: Bounds, its: Bounds, keep: Callable[[bool, bool], bool]) -> Bounds:
    """The bounds of the numbers for which `keep` (in mine, in its) holds."""
    result: list[int] = []
    for number in sorted({*mine, *its}):
        kept = keep(bool(bisect_right(mine, number) & 1), bool(bisect_right(its, number) & 1))
        if kept != bool(len(result) & 1):
            result.append(number)
    return tuple(result)
