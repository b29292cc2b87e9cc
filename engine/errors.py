"""Every error Penstock raises on purpose; the class knows what to do.

PenstockError                           retry       exit  who acts
|-- ConfigError(field, constraint)      never       2     operator, before start
|-- SourceError                         never       1
|   |-- SourceConnectionError           backoff     1     engine
|   |-- SlotBusyError(owner)            wait        3     operator: another reader holds the slot
|   |-- ReaderUnknownError              never       1     whoever asks goes on without the answer
|   |-- PositionLostError               never       3     operator decides: reload or restore
|   |-- SourceIdentityError             never       3     operator: this is another server
|   |-- ReplicaIdentityError            never       1     operator, hint has the ALTER TABLE
|   |-- SchemaChangeError               never       1     operator: a change that cannot be followed
|   |-- SnapshotLostError               restart     1     engine: remaining chunks at a new snapshot
|   |-- SourceSwitchedError             restart     1     engine: a standby took over, go on there
|   `-- DecodeError                     never       1     us: a bug or a new protocol version
|-- TargetError                         never       1
|   |-- TargetConnectionError           backoff     1     engine
|   |-- CommitUnknownError              backoff     1     engine: read the lane row, then decide
|   |-- TargetBusyError                 wait        1     engine: deadlock, lock timeout
|   |-- FenceFailedError(lane)          restart     1     engine: read the lane row, then decide
|   |-- FencedError(owner)              never       3     operator: another owner took over
|   |-- TargetRewoundError              restart     1     engine: it lost commits, read again
|   |-- RowRejectedError                quarantine  1     setting decides
|   |   `-- RowMissingError             quarantine  1     setting decides
|   |-- TargetFullError                 backoff     1     operator frees space, engine goes on
|   |-- LanesStuckError(tables)         restart     1     engine: their tables stop, others go on
|   `-- SchemaMismatchError             never       1     operator: stops the table
|       `-- TablePrivilegeError         never       1     operator: stops the table
|-- TablesStoppedError                  never       1     operator: mends, loads them again
|-- ComparisonError                     never       3     a comparison that could not be made
|-- StateError                          backoff     1     engine
|-- OutOfMemoryError                    never       1     operator: more memory, or a larger maximum
`-- InvariantError                      never       1     nobody catches it: crash, restart, replay

Messages carry names, positions and counts; never a row value, never a credential.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import ClassVar


class Retry(Enum):
    """What the engine does by itself when an error of this class reaches it."""

    NEVER = "never"
    BACKOFF = "backoff"
    WAIT = "wait"
    RESTART = "restart"
    QUARANTINE = "quarantine"


class PenstockError(Exception):
    """Base of every deliberate error.

    `message` says what failed and where, `hint` is one sentence on what to do next, `context` holds
    facts for the log. None of the three may hold a row value or a secret.
    """

    retry: ClassVar[Retry] = Retry.NEVER
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str = "", context: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context: dict[str, object] = dict(context or {})

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(PenstockError):
    """What the user wrote is wrong; nothing was touched.

    `field` is the dotted key (`load.parallel_tables`), `file` where it was written. `others` are
    further problems found in the same reading; `problems` is all of them, this one first.
    """

    exit_code = 2

    def __init__(
        self,
        field: str,
        constraint: str,
        *,
        hint: str = "",
        file: str = "",
        others: Sequence["ConfigError"] = (),
    ) -> None:
        where = f"{file}: {field}" if file else field
        super().__init__(f"{where}: {constraint}", hint=hint, context={"field": field})
        self.field = field
        self.constraint = constraint
        self.file = file
        self.others = tuple(others)

    @property
    def problems(self) -> tuple["ConfigError", ...]:
        return (self, *self.others)


class SourceError(PenstockError):
    """The source refused something; trying again unchanged will not help."""


class SourceConnectionError(SourceError):
    """The link to the source broke; opening it again at the last position may succeed."""

    retry = Retry.BACKOFF


class SourceBusyError(SourceError):
    """Transactions of the source that must end first did not, within the time that was given."""

    retry = Retry.BACKOFF


class SlotBusyError(SourceError):
    """Another reader holds the replication slot."""

    retry = Retry.WAIT
    exit_code = 3


class ReaderUnknownError(SourceError):
    """Whether somebody reads the log for a replication cannot be told on this server."""


class PositionLostError(SourceError):
    """The source can no longer supply the stored position, or was told more than is stored."""

    exit_code = 3


class SourceIdentityError(SourceError):
    """The server answering is not the one the stored position belongs to."""

    exit_code = 3


class ReplicaIdentityError(SourceError):
    """A table cannot send what identifies its old rows."""


class SchemaChangeError(SourceError):
    """A schema change cannot be followed exactly; both readings stand in the message."""


class SnapshotLostError(SourceError):
    """The shared snapshot is gone; remaining chunks need a new one."""

    retry = Retry.RESTART


class SourceSwitchedError(SourceError):
    """The source's log goes on as another branch: what is stored is to be checked against it."""

    retry = Retry.RESTART


class DecodeError(SourceError):
    """Bytes from the source were not understood. The position has not moved past them."""


class TargetError(PenstockError):
    """The target refused something; trying again unchanged will not help."""


class TargetConnectionError(TargetError):
    """The link to the target broke and nothing was being committed."""

    retry = Retry.BACKOFF


class CommitUnknownError(TargetError):
    """The link broke after COMMIT was sent: it may or may not have happened."""

    retry = Retry.BACKOFF


class TargetBusyError(TargetError):
    """Deadlock, serialization failure or lock timeout: the same transaction may succeed now."""

    retry = Retry.WAIT


class FenceFailedError(TargetError):
    """The compare-and-set of a lane's checkpoint changed no row; the transaction did nothing."""

    retry = Retry.RESTART


class FencedError(TargetError):
    """Another process owns the replication."""

    exit_code = 3


class TargetRewoundError(TargetError):
    """The target has lost commits it had reported (fail-over, restore)."""

    retry = Retry.RESTART


class RowRejectedError(TargetError):
    """The target refuses a row: constraint, range, encoding.

    `sqlstate` is the target's own code. The message never holds the row.
    """

    retry = Retry.QUARANTINE

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str,
        hint: str = "",
        context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, context=context)
        self.sqlstate = sqlstate


class RowMissingError(RowRejectedError):
    """An UPDATE or DELETE found no row to change."""


class TargetFullError(TargetError):
    """The target has no room left; nothing was committed."""

    retry = Retry.BACKOFF


class LanesStuckError(TargetError):
    """The target does not take what waits for these tables, and neither memory nor disk can hold
    more of it: they stop, or every other table would wait for them."""

    retry = Retry.RESTART

    def __init__(self, tables: Sequence[object]) -> None:
        names = ", ".join(map(str, tables))
        super().__init__(
            f"writes to {names} do not end, and there is no room left for what waits for them",
            hint="see what holds them up on the target (locks, a slow trigger), mend it, then run"
            " `penstock reload` for them",
            context={"tables": tuple(tables)},
        )


class SchemaMismatchError(TargetError):
    """A target table does not have the shape the source's rows need, or cannot take it on."""


class TablePrivilegeError(SchemaMismatchError):
    """The role may not do to one target table what its rows or its new shape need."""


class TablesStoppedError(PenstockError):
    """What was asked for is done, but for tables that have stopped."""


class ComparisonError(PenstockError):
    """Source and target could not be compared."""

    exit_code = 3


class StateError(PenstockError):
    """Penstock's own stored state could not be read or written."""

    retry = Retry.BACKOFF


class OutOfMemoryError(PenstockError):
    """The system ended the process for want of memory at the largest size it may have."""


class InvariantError(PenstockError):
    """Something that must always hold does not. Nobody catches it: crash, restart, replay."""
