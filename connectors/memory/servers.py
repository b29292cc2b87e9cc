"""The memory servers of this operating system process, by name: what a replication file can reach.

A server is made when its name is first asked for and lives as long as the process. `[source]` and
`[target]` with `engine = "memory"` name theirs by the database in `url`; without one they are
called `source` and `target`.
"""

from typing import Final

from connectors.memory.database import MemoryDatabase
from engine.machine import Clock

_servers: Final[dict[str, MemoryDatabase]] = {}


def server(name: str, clock: Clock) -> MemoryDatabase:
    """The server of that name; `clock` gives the commit times of one made now."""
    if name not in _servers:
        _servers[name] = MemoryDatabase(name, wall=clock.wall)
    return _servers[name]


def forget(name: str) -> None:
    """Take a server away, rows and all. No error when there is none."""
    _servers.pop(name, None)
