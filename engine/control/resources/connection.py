"""A connection between an instance and an endpoint as it was tested last. (pure)

Whoever stores `testing` has it looked at; a daemon that finds one at its start looks at it again.
"""

from enum import StrEnum
from typing import Final

from engine.control.resources.document import Stored

KIND: Final = "connection"


class Status(StrEnum):
    """`Connection.Status` on the wire."""

    TESTING = "testing"
    SUCCESSFUL = "successful"
    FAILED = "failed"


class Connection(Stored, frozen=True, kw_only=True):
    """Its record has the fields `endpoint`, `instance` and `status`."""

    endpoint: str
    """Resource id; so is `instance`."""
    instance: str
    status: Status
    failure: str = ""

    @property
    def id(self) -> str:
        """The record's: there is one for each pair."""
        return f"{self.endpoint}:{self.instance}"

    @property
    def fields(self) -> dict[str, str]:
        """What its record is found by."""
        return {"endpoint": self.endpoint, "instance": self.instance, "status": self.status}
