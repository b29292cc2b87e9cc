"""The memory servers of this operating system process, by name: what a replication file can reach.

A server is made when its name is first asked for and lives as long as the process. `[source]` and
`[target]` with `engine = "memory"` name theirs by the database in `url`; without one they are
called `source` and `target`. One is a source or a target and never both: a target's log, which
would hold its control rows, is not kept.
"""

from typing import Final, Literal, TypeAlias

from connectors.memory.database import MemoryDatabase
from engine.config.replication import ReplicationConfig
from engine.errors import ConfigError
from engine.machine import Clock

Side: TypeAlias = Literal["source", "target"]

_servers: Final[dict[str, tuple[MemoryDatabase, Side]]] = {}


def server(name: str, side: Side, clock: Clock | None = None) -> MemoryDatabase:
    """The server of that name; `clock` gives the commit times of one made now, else they are 0.

    Raises:
        ConfigError: the other side has it.
    """
    if name not in _servers:
        wall = no_time if clock is None else clock.wall
        _servers[name] = MemoryDatabase(name, logging=side == "source", wall=wall), side
    database, given = _servers[name]
    if given != side:
        raise ConfigError(
            f"{side}.url",
            f"names the memory server {name}, which is a {given} in this process",
            hint="give each side a server of its own, by the database in its url, or leave both"
            " addresses out",
        )
    return database


def named(config: ReplicationConfig, side: Side, clock: Clock | None = None) -> MemoryDatabase:
    """The server that a replication file names for a side. Raises ConfigError."""
    url = config.source.url if side == "source" else config.target.url
    return server(url.database if url else side, side, clock)


def no_time() -> float:
    return 0.0


def forget(name: str) -> None:
    """Take a server away, rows and all. No error when there is none."""
    _servers.pop(name, None)
