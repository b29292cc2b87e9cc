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
    """Those of `CreateEndpoint`, the settings' own included, without what is secret and without
    `Tags` and `ResourceIdentifier`."""
    sealed: dict[str, str] = field(default_factory=dict)
    """What is secret, sealed: by its place, such as `Password` or `PostgreSQLSettings.Password`."""
    ours: dict[str, Any] = field(default_factory=dict)
    """Keys of a file's table that AWS has no member for (`penstock apply`)."""
