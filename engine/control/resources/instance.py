"""A classic replication instance as it is stored. (pure)

Nothing runs on it: it is a name that tasks, connections and refreshed schemas are put under, since
AWS's classic operations ask for one. The instance `penstock` always is, without a record: it stands
for this daemon.
"""

from typing import Final

from engine.control.resources.document import Stored

KIND: Final = "instance"

DEFAULT_ID: Final = "penstock"
"""Last part of the ARN, and identifier, of the instance that is this daemon."""


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
