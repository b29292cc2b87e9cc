"""A replication as it is stored: what was asked for, and how its life went so far. (pure)

A classic task is one too, put on an instance: the same record kind and ids, so that whoever runs
replications need not tell them apart. What differs is its face: the type in its ARN (`task`), its
identifiers, which are a space of their own (`record_name`), and the words of its status.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import field

from engine.control.lifecycle import Begin, Provision, StartType, Status, StopReason
from engine.control.resources.document import Stored

KIND: Final = "replication"


class Face(StrEnum):
    """Which of AWS's two resources it is: the record's field `face`."""

    CONFIG = "config"
    TASK = "task"


def record_name(face: Face, identifier: str) -> str:
    """The record's name. Identifiers are unique ignoring case, those of tasks among tasks: no
    identifier has a colon."""
    folded = identifier.lower()
    return f"task:{folded}" if face is Face.TASK else folded


class Compute(Stored, frozen=True, kw_only=True):
    """`ComputeConfig`. What stands for a cloud's network is kept and shown, and has no effect."""

    units_max: int
    units_min: int = 1
    multi_az: bool = False
    window: str = ""
    """Maintenance window; drawn at creation where none was given, and kept for good."""
    availability_zone: str = ""
    dns_name_servers: str = ""
    kms_key: str = ""
    subnet_group: str = ""
    security_groups: tuple[str, ...] = ()


class Config(Stored, frozen=True, kw_only=True):
    """What the user asked for, in AWS's terms."""

    name: str
    source: str
    """Resource id of the endpoint; so is `target`."""
    target: str
    type: str
    compute: Compute
    mappings: str
    """Table mappings, JSON text as it is shown."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Replication settings as they were given: only what the user wrote. They are shown expanded,
    with the defaults of the version that runs."""
    supplemental: str = ""
    instance: str = ""
    """Resource id of the instance that a task was put on; empty: no task, but serverless."""
    ours: dict[str, Any] = field(default_factory=dict)
    """What AWS has no name for: tables of a replication file, by name (`penstock apply`)."""
    created: float = 0.0
    updated: float = 0.0

    @property
    def face(self) -> Face:
        """Whether it is a classic task."""
        return Face.TASK if self.instance else Face.CONFIG

    @property
    def fields(self) -> dict[str, str]:
        """What its record is found by beside id and name."""
        found = {"source": self.source, "target": self.target, "face": str(self.face)}
        if self.instance:
            found |= {"instance": self.instance, "type": self.type}
        return found

    @property
    def record_name(self) -> str:
        """Its record's name."""
        return record_name(self.face, self.name)


class Wish(Stored, frozen=True, kw_only=True):
    """The newest `StartReplication`."""

    type: StartType
    begin: Begin
    start_time: float | None = None
    start_position: str = ""
    """As it was given: a native position or AWS's checkpoint, both of which
    `translate.positions.start_position` reads for this source; so is `stop_position`."""
    stop_position: str = ""
    at: float = 0.0


class Provisioned(Stored, frozen=True, kw_only=True):
    """What of the machine it has, or had last."""

    state: Provision
    units: int
    at: float


class Times(Stored, frozen=True, kw_only=True):
    """Seconds since 1970; None: not yet."""

    fresh_start: float | None = None
    """Of the first start, or the newest that began everything anew."""
    start: float | None = None
    stop: float | None = None
    load_start: float | None = None
    load_end: float | None = None


class Worker(Stored, frozen=True, kw_only=True):
    """The process that carries it: a later process with the same number started at another time,
    in seconds since its machine did."""

    pid: int
    started: float
    run: str
    """Name of this start (`logs.lines.run_id`)."""
    host: str = ""
    """The machine on which the number means anything."""


class Progress(Stored, frozen=True, kw_only=True):
    """Its tables all together (`resources.table.progress`), so that a list of replications reads no
    table: whoever writes facts of tables writes it too."""

    percent: int = 0
    """Of the rows of the load, by the source's estimates; 100 when every table is loaded."""
    loaded: int = 0
    loading: int = 0
    queued: int = 0
    errored: int = 0


class Life(Stored, frozen=True, kw_only=True):
    """How far it has come. `wanted`: it is to run, whatever happens to the daemon."""

    status: Status = Status.CREATED
    wanted: bool = False
    ran: bool = False
    """It was `running` once: there is something to go on from."""
    wish: Wish | None = None
    provisioned: Provisioned | None = None
    worker: Worker | None = None
    stop_reason: StopReason | None = None
    failures: tuple[str, ...] = ()
    checkpoint: str = ""
    """The source's position that is durable in the target, in the source's own form."""
    times: Times = Times()
    progress: Progress = Progress()


class Replication(Stored, frozen=True, kw_only=True):
    """All of it; the id is that of its record."""

    config: Config
    life: Life = Life()
