"""Names of a source's schemas as they were read last. (pure)

Whoever stores `refreshing` has them read; a daemon that finds one at its start reads them again.
"""

from enum import StrEnum
from typing import Final

from engine.control.resources.document import Stored

KIND: Final = "schemas"


class Status(StrEnum):
    """`RefreshSchemasStatus.Status` on the wire."""

    REFRESHING = "refreshing"
    SUCCESSFUL = "successful"
    FAILED = "failed"


class Schemas(Stored, frozen=True, kw_only=True):
    """Its record has the endpoint's id and the field `status`."""

    instance: str
    """Resource id of the instance that was asked to."""
    status: Status
    refreshed: float | None = None
    """When they were read last, whatever became of a later try."""
    failure: str = ""
    names: tuple[str, ...] = ()
    """Sorted."""

    @property
    def fields(self) -> dict[str, str]:
        """What its record is found by."""
        return {"status": self.status}
