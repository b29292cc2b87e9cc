"""A replication as it is stored: what was asked for, and how its life went so far. (pure)"""

from typing import Any, Final

from msgspec import field

from engine.control.lifecycle import Begin, Provision, StartType, Status, StopReason
from engine.control.resources.document import Stored

KIND: Final = "replication"


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
    ours: dict[str, Any] = field(default_factory=dict)
    """What AWS has no name for: tables of a replication file, by name (`penstock apply`)."""
    created: float = 0.0
    updated: float = 0.0


class Wish(Stored, frozen=True, kw_only=True):
    """The newest `StartReplication`."""

    type: StartType
    begin: Begin
    start_time: float | None = None
    start_position: str = ""
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
    """The process that carries it: a later process with the same number started at another time."""

    pid: int
    started: float
    run: str
    """Name of this start (`logs.lines.run_id`)."""


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


class Replication(Stored, frozen=True, kw_only=True):
    """All of it; the id is that of its record."""

    config: Config
    life: Life = Life()
