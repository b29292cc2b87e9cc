"""A classic replication instance as it is stored. (pure)

Nothing runs on it: it is a name that tasks, connections and refreshed schemas are put under, since
AWS's classic operations ask for one. The instance `penstock` always is, without a record: it stands
for this daemon.
"""

from collections.abc import Mapping
from typing import Final

from engine.config.capacity import UNITS
from engine.control.resources.document import Stored

KIND: Final = "instance"

DEFAULT_ID: Final = "penstock"
"""Last part of the ARN, and identifier, of the instance that is this daemon."""

UNIT_GIB: Final = 2
"""Memory of one of AWS's capacity units."""

_SIZES: Final = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"
_STEPS: Final = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""How much more of everything each of these has than `large`."""


def _family(name: str, gib: float, sizes: str = _SIZES) -> dict[str, float]:
    steps = dict(zip(_SIZES.split(), _STEPS, strict=True))
    return {f"dms.{name}.{size}": gib * steps[size] for size in sizes.split()}


CLASS_GIB: Final[Mapping[str, float]] = {
    "dms.t2.micro": 1,
    "dms.t2.small": 2,
    "dms.t2.medium": 4,
    "dms.t2.large": 8,
    "dms.t3.micro": 1,
    "dms.t3.small": 2,
    "dms.t3.medium": 4,
    "dms.t3.large": 8,
    **_family("c4", 3.75, "large xlarge 2xlarge 4xlarge"),
    **_family("c5", 4, "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge"),
    "dms.c5.9xlarge": 72,
    "dms.c5.18xlarge": 144,
    **_family("c6i", 4),
    **_family("c7i", 4, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    **_family("r4", 15.25, "large xlarge 2xlarge 4xlarge 8xlarge"),
    **_family("r5", 16, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
    **_family("r6i", 16),
    **_family("r7i", 16, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
}
"""Memory of each of AWS's instance classes. Source: AWS DMS user guide, "Choosing the right AWS DMS
replication instance for your migration", and the EC2 types of the same names."""


def units(size: str) -> int | None:
    """Capacity units that tasks on an instance of this class may grow to: as many as its memory
    holds. None for what is no class."""
    gib = CLASS_GIB.get(size.lower())
    if gib is None:
        return None
    return max((step for step in UNITS if step * UNIT_GIB <= gib), default=UNITS[0])


class Instance(Stored, frozen=True, kw_only=True):
    """What the user asked for. What stands for a cloud's machines is kept and shown, and has no
    effect but the class, which says how large its tasks may grow."""

    name: str
    size: str
    """`ReplicationInstanceClass`."""
    storage: int = 100
    """GB."""
    multi_az: bool = False
    window: str = ""
    """Maintenance window; drawn at creation where none was given, and kept for good."""
    engine_version: str = ""
    auto_upgrade: bool = True
    public: bool = True
    availability_zone: str = ""
    dns_name_servers: str = ""
    network_type: str = ""
    kms_key: str = ""
    subnet_group: str = ""
    security_groups: tuple[str, ...] = ()
    created: float = 0.0
