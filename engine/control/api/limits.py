"""What one client may use up of the daemon, in bytes, values and seconds. (pure)"""

from dataclasses import dataclass
from typing import Final

from engine.config.serve import BODY_BYTES_MAX, SKEW_SECONDS_MAX

HEADER_BYTES_MAX: Final = 16 * 2**10
"""Request line and headers together, in bytes: ten times what SDKs send."""

JSON_DEPTH_MAX: Final = 32
"""Objects and arrays within each other: AWS's deepest request has four, the rest is unknown members
of a newer client."""

JSON_VALUES_MAX: Final = 200_000
"""Values in one body: tables to reload by the ten thousands, and no more work than a second's."""

HEADER_SECONDS: Final = 10.0
"""Time for the headers of a request, in seconds; a client that drips them keeps a connection."""

BODY_SECONDS: Final = 30.0
"""Time for a body after its headers, in seconds: the largest over a line of a megabit."""

CALL_SECONDS: Final = 55.0
"""Time of one operation, in seconds: SDKs give up waiting after 60, and should hear why first."""

IDLE_SECONDS: Final = 65.0
"""How long a connection is kept between requests, in seconds. Longer than the 60 of load
balancers in front, so that it is they who close it, never while a request is on its way."""

CONNECTIONS_MAX: Final = 512
"""Connections at once; the next is answered 503. Far from a process's usual 1,024 files, which
workers and the store need too."""

STOP_SECONDS: Final = 5
"""How long calls that stand may go on when the daemon stops, in seconds: half of what it has."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits above, and those of the daemon's own file, as one value."""

    body_bytes: int = BODY_BYTES_MAX
    skew_seconds: float = SKEW_SECONDS_MAX
    header_bytes: int = HEADER_BYTES_MAX
    json_depth: int = JSON_DEPTH_MAX
    json_values: int = JSON_VALUES_MAX
    header_seconds: float = HEADER_SECONDS
    body_seconds: float = BODY_SECONDS
    call_seconds: float = CALL_SECONDS
    idle_seconds: float = IDLE_SECONDS
    connections: int = CONNECTIONS_MAX
    stop_seconds: int = STOP_SECONDS
