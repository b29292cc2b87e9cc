"""A subnet group as it is stored: kept and shown, and without effect. (pure)"""

from typing import Final

from engine.control.resources.document import Stored

KIND: Final = "subnet_group"


class SubnetGroup(Stored, frozen=True, kw_only=True):
    """What the user gave."""

    name: str
    description: str
    subnets: tuple[str, ...]
