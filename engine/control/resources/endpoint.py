"""An endpoint as it is stored. (pure)

Fields of its record to find it by: `type` (source, target) and `engine` (AWS's name).
"""

from typing import Any, Final

from msgspec import field

from engine.control.resources.document import Stored

KIND: Final = "endpoint"


class Endpoint(Stored, frozen=True, kw_only=True):
    """What the user gave, in AWS's terms."""

    members: dict[str, Any]
    """Those of `CreateEndpoint`, the settings' own included, without `Tags` and
    `ResourceIdentifier`. What is secret is sealed where it stands (`engine.control.sealing`, for
    the place `members_place`)."""
    ours: dict[str, Any] = field(default_factory=dict)
    """Keys of a file's table that AWS has no member for (`penstock apply`)."""


def members_place(id: str) -> str:
    """Where the members of the endpoint with this id are: what its secrets are sealed for."""
    return f"{KIND}/{id}/members"
