"""What some sources and targets can or need beyond the contracts, found with `isinstance`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.contracts import SnapshotSource, Source, Target, TargetSession
from engine.model.activity import Activity
from engine.model.chunk import Chunk
from engine.model.finding import Finding
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.snapshot import Snapshot
from engine.model.state import QuarantinedRow


@runtime_checkable
class ResumingTarget(Target, Protocol):
    """Optional: it can tell what was begun before anything of ours is made on it."""

    async def begun(self) -> Sequence[TableName]:
        """Tables that the replication's control rows name, by name; none where there are no
        control tables. Writes nothing."""
        ...


@runtime_checkable
class QuarantineTarget(Target, Protocol):
    """Optional: what was kept of rows that were not applied can be read back."""

    async def quarantined(
        self, after: int, rows_max: int, bytes_max: int
    ) -> Sequence[QuarantinedRow]:
        """The replication's next ones behind number `after`, by number: at most so many, and none
        behind the one with which their payloads exceed `bytes_max`; at least one where there is
        any. None where there are no control tables. Writes nothing.

        Raises:
            TargetConnectionError, TargetError; StateError: a row was not understood.
        """
        ...


@runtime_checkable
class SpeakingSource(Source, Protocol):
    """Optional: it can give values in more than one form."""

    def speak(self, forms: Sequence[str]) -> None:
        """Choose among the forms that the target takes; comes before `open`.

        Raises:
            ConfigError: it knows none of them.
        """
        ...


@runtime_checkable
class DatedSource(Source, Protocol):
    """Optional: its log tells when each transaction was committed (`committed_at_us`)."""

    async def now_us(self) -> int:
        """The clock by which it tells so, in microseconds since the Unix epoch. One round trip.

        Raises:
            SourceConnectionError, SourceError.
        """
        ...

    async def committed_from(self, moment_us: int, attached_us: int, end: Position) -> Position:
        """The place in the log before its first transaction that was committed at this moment or
        later, `end` where there is none up to there: the log's end when its clock was past the
        moment. `attached_us`: what the clock said after `attach`.

        Raises:
            PositionLostError: it is not sure that all that was committed since then can be read.
            SourceConnectionError, SlotBusyError, SourceError.
        """
        ...


@runtime_checkable
class NamingSource(Source, Protocol):
    """Optional: places of its log have more than one name, and a stream begins by one of them."""

    def check_kind(self, position: Position) -> None:
        """Check that a position that a person gave is of a kind that this server, which was opened,
        has. Raises ValueError."""
        ...

    async def named(self, position: Position) -> Position:
        """The position that a stream begins with, for one that a person gave.

        Raises:
            PositionLostError: there is no such place in the log.
            SourceConnectionError, SourceError.
        """
        ...


@runtime_checkable
class NoticingSource(Source, Protocol):
    """Optional: it sees things that stop nothing and that an operator should know."""

    def notices(self) -> Sequence[str]:
        """Sentences since the last call."""
        ...


@runtime_checkable
class CoercingSource(Source, Protocol):
    """Optional: a setting lets it give other values for those that the target cannot hold."""

    def coerced(self) -> Mapping[str, int]:
        """How many since the last call, by a short fixed word that says why."""
        ...


@runtime_checkable
class RememberingSource(Source, Protocol):
    """Optional: its log does not describe rows whole, so it must know what tables were like."""

    def remember(self, known: Mapping[TableName, Relation]) -> None:
        """The versions that the target was told of, before `blocks` at every start. What the log
        has of a table up to `Relation.since` of its version is not wanted again."""
        ...


@runtime_checkable
class ReaderSnapshots(SnapshotSource, Protocol):
    """Optional: its readers have snapshots of their own, later than the one of the load."""

    def read_at(self, chunk: Chunk, snapshot: Snapshot) -> Snapshot:
        """The one that the chunk was read at last, after `rows` has given all of it."""
        ...


@runtime_checkable
class CountedReaders(SnapshotSource, Protocol):
    """Optional: the readers of a snapshot are opened together, so they stay as many as they are."""

    def readers(self, count: int) -> None:
        """How many the next snapshot is opened with. Rows that are asked for by more wait."""
        ...


@runtime_checkable
class LoadForms(SnapshotSource, Protocol):
    """Optional: it does not give every form that a target may ask for."""

    def load_form(self, asked: str) -> str:
        """The form in which it gives rows to a target that asked for this one and takes both."""
        ...


@runtime_checkable
class DecodingSource(SnapshotSource, Protocol):
    """Optional: it makes the rows of a load itself, of what its server sends."""

    @property
    def decode_seconds(self) -> float:
        """Time that has gone into that, in all `rows`."""
        ...


@runtime_checkable
class HoldingSource(SnapshotSource, Protocol):
    """Optional: the snapshot of a slot that `attach` has created is held until `snapshot` takes
    it, which costs the source something."""

    async def let_go(self) -> None:
        """It will not be taken. Idempotent."""
        ...


@runtime_checkable
class MakingSource(Source, Protocol):
    """Optional: `attach` makes things on its server."""

    def made(self) -> Sequence[str]:
        """What `detach` drops and, with the reason, what of it stays: a phrase each, for people."""
        ...


@runtime_checkable
class OpenTransactions(Source, Protocol):
    """Optional: it sees transactions that have written and that no log tells of yet."""

    async def oldest_open(self) -> float | None:
        """Seconds since the oldest of them began; None when there is none, or none may be seen.

        Raises:
            SourceConnectionError, SourceError.
        """
        ...


@runtime_checkable
class MarkingSource(Source, Protocol):
    """Optional: a mark can be left in its database that every session there sees."""

    def marked(self, number: int) -> AbstractAsyncContextManager[None]:
        """The mark of this number (below 2^63) is there inside the context; nothing is written.

        Raises:
            SourceConnectionError, SourceError.
        """
        ...


@runtime_checkable
class SeeingTarget(Target, Protocol):
    """Optional: it sees such marks of a source of its family."""

    async def sees(self, number: int) -> bool:
        """Whether the mark of this number is in this very database.

        Raises:
            TargetConnectionError, TargetError.
        """
        ...


@runtime_checkable
class ReadiedSession(TargetSession, Protocol):
    """Optional: something that it writes with is scarce on its server."""

    async def ready(self) -> Finding | None:
        """Take it, so that a session that gets none is not given work for it to wait with. Returns
        what it goes without.

        Raises:
            TargetBusyError: there is none, and it must not go without.
            TargetError.
        """
        ...


@runtime_checkable
class ListeningTarget(Target, Protocol):
    """Optional: it says in which forms it takes values (`Relation.wire`)."""

    forms: Sequence[str]
    """Names of wire forms, the dearest first. `postgres-text`: the form `postgres`, but no column
    of `Format.BINARY`."""


@runtime_checkable
class AnsweringSession(TargetSession, Protocol):
    """Optional: it says whether the server owes it an answer."""

    @property
    def waits_since(self) -> float | None:
        """When it began to wait for what the server sends or takes in, by the clock of the event
        loop; None while it waits for neither."""
        ...


@dataclass(frozen=True, slots=True)
class Working:
    """A session that is at work on the server. `waits_for`: a lock, and who has it, in words for
    people; empty when it waits for nothing that is known."""

    waits_for: str = ""


@runtime_checkable
class InspectedTarget(Target, Protocol):
    """Optional: it knows what its sessions are doing."""

    async def inspect(
        self, sessions: Sequence[tuple[int, str]]
    ) -> Mapping[tuple[int, str], Working]:
        """Those of them (`TargetSession.identity`) that the server is at work for; the others wait
        for us, or are gone. Asked over a session of its own, which is opened at the first question
        and kept until the target is closed: later no further one may be had.

        Raises:
            TargetConnectionError, TargetError.
        """
        ...


@runtime_checkable
class ChangesFirst(Target, Protocol):
    """Optional: a schema change cannot be part of a transaction there, so it is given as the first
    thing of one, also where rows of its source transaction came before it."""

    changes_first: bool


@runtime_checkable
class OtherTypes(Target, Protocol):
    """Optional: its types have other names than those of a source may have."""

    async def takes(self, relation: Relation) -> bool:
        """Whether its table, as it is, takes rows of this version; each that its columns cannot
        hold is refused by itself."""
        ...


@runtime_checkable
class ObservedTarget(Target, Protocol):
    """Optional: it tells what its server does, and what costs it much."""

    async def activity(self, sessions: Sequence[tuple[int, str]]) -> Activity:
        """What the server does for these sessions at this moment (`TargetSession.identity`). One
        round trip.

        Raises:
            TargetConnectionError, TargetError.
        """
        ...

    async def unindexed(self, relations: Sequence[Relation]) -> Sequence[TableName]:
        """Of these tables, those in which no index of the target leads to the rows of a key. Where
        there is no key: in which there is no index at all. A table that is not there is none.

        Raises:
            TargetConnectionError, TargetError.
        """
        ...
