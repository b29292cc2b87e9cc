"""(pure) Where in a binary log something stands.

Three kinds, as one line of text without blanks:

    gtid=<GTID set of MySQL>
    maria=<GTID list of MariaDB>
    file=<binlog file>:<offset>                 a server without GTIDs

each followed, inside a transaction, by `;at=<its GTID, or file:offset of its start>+<ordinal>`. The
first two may carry `;log=<file>:<offset>`, for people and for the lag in bytes. It decides only
whether a stream has come to a place that a person named: files and offsets mean something on one
server alone.
"""

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from connectors.mysql.gtid import Gtid, GtidSet
from connectors.mysql.maria_gtid import MariaGtid, MariaGtids
from engine.model.position import Coordinate, Position

AnyGtid: TypeAlias = Gtid | MariaGtid
AnyGtids: TypeAlias = GtidSet | MariaGtids

FILE_BEGINNING: Final = 4
"""Offset behind a binlog file's magic number."""

_PLACE: Final = re.compile(r"([^\s:;]+\.[0-9]{1,18}):([0-9]{1,18})", re.ASCII)
_ORDINAL: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_GTID: Final = "gtid"
_MARIA: Final = "maria"
_FILE: Final = "file"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """An offset in a binlog file. Files are ordered by the number they end in: a server goes from
    `binlog.999999` on to `binlog.1000000`."""

    file: str
    offset: int

    @property
    def file_number(self) -> int:
        return int(self.file.rpartition(".")[2])

    def __lt__(self, other: "LogPlace") -> bool:
        return (self.file_number, self.offset) < (other.file_number, other.offset)

    def __le__(self, other: "LogPlace") -> bool:
        return (self.file_number, self.offset) <= (other.file_number, other.offset)

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    def distance(self, head: "LogPlace") -> int | None:
        """Bytes from here to a later place; None across files, whose lengths are not known here."""
        return max(0, head.offset - self.offset) if self.file == head.file else None

    @classmethod
    def parse(cls, text: str) -> "LogPlace":
        """Read `file:offset`. Raises ValueError."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a place in a binlog, <file>.<number>:<offset>: {text[:40]!r}")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class GtidCoordinate:
    """A transaction that has a GTID. Coordinates are equal when their GTIDs are.

    `before` is everything that the reader had passed when it began, `log` where it begins.
    """

    gtid: AnyGtid
    before: AnyGtids = field(compare=False)
    log: LogPlace | None = field(default=None, compare=False)

    def at(self, ordinal: int) -> "GtidPosition":
        """The position after its `ordinal`-th event, before its end."""
        return GtidPosition(self.before, self.gtid, ordinal, self.log)

    def end(self, log: LogPlace | None = None) -> "GtidPosition":
        """The position after the whole transaction; `log` is where it ends."""
        return GtidPosition(with_gtid(self.before, self.gtid), log=log)


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place between transactions, behind those in `done`."""

    done: AnyGtids
    log: LogPlace | None = field(default=None, compare=False)

    def at(self, ordinal: int) -> "GtidPosition":
        """The position here; there is no other ordinal than 0 outside of transactions."""
        assert not ordinal
        return GtidPosition(self.done, log=self.log)


@dataclass(frozen=True, slots=True)
class FileCoordinate:
    """A transaction without a GTID, named by where it begins."""

    start: LogPlace

    def at(self, ordinal: int) -> "FilePosition":
        """The position after its `ordinal`-th event, before its end."""
        return FilePosition(self.start, ordinal)

    def end(self, log: LogPlace) -> "FilePosition":
        """The position after the whole transaction, which ends at `log`."""
        return FilePosition(log)


@dataclass(frozen=True, slots=True)
class GtidPosition:
    """Everything in `done` is passed, and of the transaction `within` as many events as `ordinal`
    says."""

    done: AnyGtids
    within: AnyGtid | None = None
    ordinal: int = 0
    log: LogPlace | None = field(default=None, compare=False)

    def covers(self, coordinate: Coordinate, ordinal: int) -> bool:
        assert isinstance(coordinate, GtidCoordinate)
        gtid = coordinate.gtid
        return has_gtid(self.done, gtid) or (gtid == self.within and ordinal <= self.ordinal)

    def reaches(self, goal: Position) -> bool:
        if isinstance(goal, FilePosition):
            return self.log is not None and goal.place <= self.log
        assert isinstance(goal, GtidPosition)
        if not includes(self.done, goal.done):
            return False
        if goal.within is None or has_gtid(self.done, goal.within):
            return True
        return self.within == goal.within and self.ordinal >= goal.ordinal

    @property
    def coordinate(self) -> GtidCoordinate | Boundary:
        if self.within is None:
            return Boundary(self.done, self.log)
        return GtidCoordinate(self.within, self.done, self.log)

    def distance(self, head: Position) -> int | None:
        there = head.log if isinstance(head, GtidPosition) else None
        return None if self.log is None or there is None else self.log.distance(there)

    def __str__(self) -> str:
        kind = _GTID if isinstance(self.done, GtidSet) else _MARIA
        within = "" if self.within is None else f";at={self.within}+{self.ordinal}"
        log = "" if self.log is None else f";log={self.log}"
        return f"{kind}={self.done}{within}{log}"


@dataclass(frozen=True, slots=True)
class FilePosition:
    """Everything before `place` is passed, and, if `ordinal` is not 0, so many events of the
    transaction that begins there."""

    place: LogPlace
    ordinal: int = 0

    @property
    def log(self) -> LogPlace:
        """Where to read on from."""
        return self.place

    def covers(self, coordinate: Coordinate, ordinal: int) -> bool:
        assert isinstance(coordinate, FileCoordinate)
        start = coordinate.start
        return start < self.place or (start == self.place and ordinal <= self.ordinal)

    def reaches(self, goal: Position) -> bool:
        assert isinstance(goal, FilePosition)
        return goal.place < self.place or (
            goal.place == self.place and goal.ordinal <= self.ordinal
        )

    @property
    def coordinate(self) -> FileCoordinate:
        return FileCoordinate(self.place)

    def distance(self, head: Position) -> int | None:
        return self.place.distance(head.place) if isinstance(head, FilePosition) else None

    def __str__(self) -> str:
        within = f";at={self.place}+{self.ordinal}" if self.ordinal else ""
        return f"{_FILE}={self.place}{within}"


AnyPosition: TypeAlias = GtidPosition | FilePosition


def parse_position(text: str) -> AnyPosition:
    """Read what `str()` of a position wrote, or what a person did: white space at the ends and
    letters of either case in a GTID set do not matter.

    Raises:
        ValueError: the text is not of that form.
    """
    head, *rest = text.strip().split(";")
    kind, equals, value = head.partition("=")
    if kind not in (_GTID, _MARIA, _FILE) or not equals:
        raise ValueError(f"not a binlog position, gtid=, maria= or file=: {text[:40]!r}")
    notes: dict[str, str] = {}
    for note in rest:
        name, equals, content = note.partition("=")
        if name not in ("at", "log") or name in notes or not equals:
            raise ValueError(f"a binlog position has an unknown part: {note[:40]!r}")
        notes[name] = content
    if kind == _FILE:
        return _file_position(value, notes)
    return _gtid_position(kind, value, notes)


def _file_position(value: str, notes: dict[str, str]) -> FilePosition:
    place = LogPlace.parse(value)
    if "log" in notes:
        raise ValueError("a position by file says its place once")
    if "at" not in notes:
        return FilePosition(place)
    within, ordinal = _within(notes["at"])
    if LogPlace.parse(within) != place:
        raise ValueError("a position inside a transaction stands where that begins")
    return FilePosition(place, ordinal)


def _gtid_position(kind: str, value: str, notes: dict[str, str]) -> GtidPosition:
    log = LogPlace.parse(notes["log"]) if "log" in notes else None
    maria = kind == _MARIA
    done = MariaGtids.parse(value) if maria else GtidSet.parse(value)
    if "at" not in notes:
        return GtidPosition(done, log=log)
    within, ordinal = _within(notes["at"])
    gtid = MariaGtid.parse(within) if maria else Gtid.parse(within)
    return GtidPosition(done, gtid, ordinal, log)


def _within(text: str) -> tuple[str, int]:
    name, _, ordinal = text.rpartition("+")
    if not _ORDINAL.fullmatch(ordinal):
        raise ValueError("a position inside a transaction ends in +<ordinal>")
    return name, int(ordinal)


# --- either dialect -------------------------------------------------------------------------------


def has_gtid(gtids: AnyGtids, gtid: AnyGtid) -> bool:
    """Whether the transaction is among them; one of the other dialect never is."""
    if isinstance(gtids, GtidSet):
        return isinstance(gtid, Gtid) and gtid in gtids
    return isinstance(gtid, MariaGtid) and gtid in gtids


def with_gtid(gtids: AnyGtids, gtid: AnyGtid) -> AnyGtids:
    """They and one transaction more, of the same dialect."""
    if isinstance(gtids, GtidSet):
        assert isinstance(gtid, Gtid)
        return gtids.with_(gtid)
    assert isinstance(gtid, MariaGtid)
    return gtids.with_(gtid)


def includes(mine: AnyGtids, its: AnyGtids) -> bool:
    """Whether `mine` holds all of `its`; nothing of the other dialect is held."""
    if isinstance(mine, GtidSet):
        return its <= mine if isinstance(its, GtidSet) else not its
    return its <= mine if isinstance(its, MariaGtids) else not its
