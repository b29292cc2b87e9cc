"""What is stored beside the data in the target: ownership, lanes, tables, rejected rows."""

from dataclasses import dataclass, field
from enum import Enum

from engine.model.relation import TableName

FRONTIER = "frontier"
"""Name of the checkpoint row that holds the replication's frontier."""


class TableState(Enum):
    """A table's durable state.

    PENDING -> LOADING -> LOADED -> STREAMING is the way; SUSPENDED and NEEDS_RELOAD leave it. The
    first three mean that rows of the existing data may be missing. LOADED: every chunk is durable,
    finish work (indexes, keys, sequences) may be open. SUSPENDED: stopped at `position`, its later
    changes wait in a spool. NEEDS_RELOAD: changes were dropped; only a new load makes it whole.
    """

    PENDING = "pending"
    LOADING = "loading"
    LOADED = "loaded"
    STREAMING = "streaming"
    SUSPENDED = "suspended"
    NEEDS_RELOAD = "needs-reload"


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane's checkpoint: who may move it, how often it moved, how far it is."""

    epoch: int
    seq: int
    position: str


@dataclass(frozen=True, slots=True)
class Fence:
    """The compare-and-set of one lane: (epoch, seq) must hold, seq becomes seq + 1."""

    lane: str
    epoch: int
    seq: int
    position: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs a replication. `sessions` are its target sessions as (pid, backend start)."""

    epoch: int
    identity: str
    fingerprint: str
    process: str
    """Who it is, for people: `host:pid`, never used to decide anything."""
    token: str = ""
    """Made anew by every process: a claim whose outcome was unknown is known again by it."""
    sessions: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A table's durable state in one replication. `position` is where it stands when suspended,
    `reason` why, for people; `relation` is the JSON of the relation version last applied.

    `asked` counts how often a person asked for it to be loaded again, `answered` up to which of
    these that was done. They stand apart from the state, which others write at any time.
    """

    table: TableName
    state: TableState
    position: str = ""
    reason: str = ""
    relation: str = ""
    asked: int = 0
    answered: int = 0

    @property
    def requested(self) -> bool:
        """Whether it is to be loaded again."""
        return self.asked > self.answered

    @property
    def stopped(self) -> bool:
        """Whether changes or rows of it are missing."""
        return self.state in (TableState.SUSPENDED, TableState.NEEDS_RELOAD)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not applied, kept with everything needed to apply it later.

    `payload` holds the change (JSON, values included, sealed where there is a key:
    `engine.quarantine`): it goes to the quarantine table and nowhere else. `reason` is a short
    fixed word, for the metric's label.
    """

    table: TableName
    lane: str
    position: str
    operation: str
    reason: str
    sqlstate: str
    message: str
    payload: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A rejected row as the quarantine table has it: its number there, which grows, and when."""

    number: int
    at: str
    row: RejectedRow
