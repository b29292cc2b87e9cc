"""What one client of the API may use up of the daemon. (pure)"""

from dataclasses import dataclass
from typing import ClassVar, Final

from engine.config.kind import Duration, Integer, Size
from engine.config.section import Section, key

BODY_BYTES_MAX: Final = 4 << 20
"""Longest request. Table mappings of 10,000 tables have 1.5 MB, settings a tenth of it."""

BODIES_BYTES_MAX: Final = 64 << 20
"""Sixteen of the longest at once, from anybody: what a small machine can spare."""

HEADER_BYTES_MAX: Final = 16 << 10
"""Ten times the headers that SDKs send."""

JSON_DEPTH_MAX: Final = 32
"""AWS's deepest request has four levels; the rest is for members of a newer client."""

JSON_VALUES_MAX: Final = 200_000
"""Tables to reload by the ten thousands, and no more work than a second's."""

SKEW_SECONDS_MAX: Final = 300.0
"""How far a client's clock may be off: AWS's own five minutes."""

HEADER_SECONDS: Final = 10.0
"""A client that drips its headers keeps a connection; none that means well takes as long."""

BODY_SECONDS: Final = 30.0
"""The longest body over a line of a megabit."""

CALL_SECONDS: Final = 55.0
"""SDKs give up waiting after 60 seconds, and should hear why first."""

IDLE_SECONDS: Final = 65.0
"""Longer than the 60 of load balancers in front, so that it is they who close a connection, never
the daemon while a request is on its way."""

STOP_SECONDS: Final = 5.0
"""Half of the time the daemon has to stop in."""

CONNECTIONS_MAX: Final = 512
"""Half of a process's usual 1,024 files, which workers and the store need too."""

CALLS_PER_SECOND: Final = 500
"""Ten dashboards that look at 200 replications each second ask for less; a loop that never waits
asks for more than a core can answer."""

CALLS_BURST: Final = 1_000
"""A `terraform apply` of a thousand resources begins at once."""


@dataclass(frozen=True, kw_only=True)
class Limits(Section):
    """`[limits]`."""

    TABLE: ClassVar[str] = "limits"

    body_bytes: int = key(
        Size(64 << 10, 64 << 20), "Longest request.", default=BODY_BYTES_MAX, name="body"
    )
    bodies_bytes: int = key(
        Size(64 << 20, 1 << 40),
        "Requests that are held at once, together; the next is answered 503.",
        default=BODIES_BYTES_MAX,
        name="bodies",
    )
    header_bytes: int = key(
        Size(4 << 10, 256 << 10),
        "Longest headers of a request, with its first line.",
        default=HEADER_BYTES_MAX,
        name="header",
    )
    json_depth: int = key(
        Integer(8, 512), "Objects and lists within each other.", default=JSON_DEPTH_MAX
    )
    json_values: int = key(
        Integer(1_000, 10_000_000), "Values in one request.", default=JSON_VALUES_MAX
    )
    skew_seconds: float = key(
        Duration(1, 3_600),
        "How far the clock of whoever signs a request may be off.",
        default=SKEW_SECONDS_MAX,
        name="clock_skew",
    )
    header_seconds: float = key(
        Duration(1, 3_600),
        "Time for the headers of a request.",
        default=HEADER_SECONDS,
        name="header_time",
    )
    body_seconds: float = key(
        Duration(1, 3_600),
        "Time for the rest of a request.",
        default=BODY_SECONDS,
        name="body_time",
    )
    call_seconds: float = key(
        Duration(1, 3_600), "Time of one operation.", default=CALL_SECONDS, name="call_time"
    )
    idle_seconds: float = key(
        Duration(1, 3_600),
        "How long a connection is kept between requests.",
        default=IDLE_SECONDS,
        name="idle_time",
    )
    stop_seconds: float = key(
        Duration(1, 3_600),
        "How long operations that run may go on when the daemon stops.",
        default=STOP_SECONDS,
        name="stop_time",
    )
    connections: int = key(
        Integer(8, 100_000),
        "Connections at once; the next is answered 503.",
        default=CONNECTIONS_MAX,
    )
    calls_per_second: int = key(
        Integer(0, 1_000_000),
        "Calls that one key may make, over time; the next is answered ThrottlingException. 0: any"
        " number.",
        default=CALLS_PER_SECOND,
    )
    calls_burst: int = key(
        Integer(1, 1_000_000),
        "Calls that one key may make at once, after a pause.",
        default=CALLS_BURST,
    )
