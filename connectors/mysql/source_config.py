"""What a MySQL or MariaDB source is told. (pure)"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from engine.config.endpoint import PREPARED_MEMORY_BYTES, LoadSnapshot, ZeroDate
from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS
from engine.config.replication import ReplicationConfig
from engine.config.url import ConnectionUrl
from engine.errors import ConfigError

SERVER_ID_FIRST: Final = 2**31
"""Servers are numbered by people, from below; what is made from an id stays out of their way."""

SILENCE_SECONDS: Final = 20.0
"""Silence after which the link is given up: many times that of a server with nothing to send, for
one whose disk hangs a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlSourceConfig:
    """`replication` is the id. `engine` is as the user named it: mysql, mariadb or aurora.

    `server_id`: under which the log is asked for. `zero_dates`: what becomes of a date that no
    calendar has, where the target cannot hold it. `snapshot`: how MySQL's rows are read at places
    of the log that are known. `snapshot_wait_seconds`: longest time that what is committing is
    waited for before a table is read again; 0 is no limit. `execute_timeout_seconds`:
    longest time of one catalog question. `streams`: the log is read; `loads`: existing rows are.
    `prepared_bytes`: memory for rows of distributed transactions that are prepared.
    `silence_seconds`: see `SILENCE_SECONDS`.
    """

    replication: str
    engine: str
    url: ConnectionUrl = field(repr=False)
    server_id: int
    zero_dates: ZeroDate = ZeroDate.ERROR
    snapshot: LoadSnapshot = LoadSnapshot.AUTO
    prepared_bytes: int = PREPARED_MEMORY_BYTES
    streams: bool = True
    loads: bool = True
    snapshot_wait_seconds: float = 0.0
    execute_timeout_seconds: float = EXECUTE_TIMEOUT_SECONDS
    silence_seconds: float = SILENCE_SECONDS

    @classmethod
    def of(cls, config: ReplicationConfig) -> Self:
        """Raises ConfigError when the source has no URL."""
        source = config.source
        if source.url is None:
            raise ConfigError("source.url", "is missing")
        return cls(
            replication=config.id,
            engine=source.engine,
            url=source.url,
            server_id=source.server_id or derived_server_id(config.id),
            zero_dates=source.zero_dates,
            snapshot=source.snapshot,
            prepared_bytes=source.prepared_memory_bytes,
            snapshot_wait_seconds=config.load.snapshot_wait_seconds,
            streams=config.streams,
            loads=config.loads,
            execute_timeout_seconds=source.mysql.execute_timeout_seconds,
        )


def derived_server_id(replication: str) -> int:
    """A `server_id` from a replication's id, the same at every start.

    So a server that has not noticed the end of our last connection ends it when the next one comes,
    and two replications from one server hardly ever take each other for themselves.
    """
    digest = hashlib.sha256(f"penstock {replication}".encode()).digest()
    return SERVER_ID_FIRST | int.from_bytes(digest[:4])


def replica_uuid(config: MysqlSourceConfig, server_id: int) -> str:
    """Names us among MySQL's replicas: the same at every start, so that an older session of ours
    that the server has not missed yet is ended by it."""
    name = f"penstock {config.replication} {server_id}"
    digits = hashlib.sha256(name.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
