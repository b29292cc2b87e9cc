"""What a PostgreSQL target is told. (pure)"""

from dataclasses import dataclass, field
from typing import Final

from engine.config.endpoint import ReplicationOrigin
from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS
from engine.errors import ConfigError

LOCK_TIMEOUT_SECONDS: Final = 10.0
"""Wait for a lock on the target before the transaction is tried again. A predecessor that hangs is
found out after one of these; an ordinary lock of the target's own users is over sooner."""

IDLE_IN_TRANSACTION_SECONDS: Final = 60.0
"""After this the server ends a session that stands still inside a transaction, so a frozen process
keeps no lock for ever. Longer than any pause between two statements of ours: chunks of a load wait
for the source."""

CONNECT_SECONDS: Final = 10.0
"""Time to connect when the connection string has no `connect_timeout`."""

CHECK_CLIENT_SECONDS: Final = 5.0
"""How often a busy server looks whether we are still there (14+): a killed process's last statement
then ends, and with it its locks."""

SYNCHRONOUS: Final = ("on", "local", "remote_write", "remote_apply")
ROLES: Final = ("origin", "replica")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTargetConfig:
    """`conninfo`: a libpq connection string or URL, never shown. `replication` is the id under
    which control rows are kept.

    `session_replication_role`: with `replica` foreign keys and triggers of the target do not fire,
    and deferrable unique constraints are not checked at all. `drop_columns`, `drop_tables`: what
    the source drops is dropped here too; else it stays, with its values. `execute_timeout_seconds`:
    longest time of one catalog question, outside of the transactions that write.
    `writers`: sessions that write rows at the same time at the smallest size, `other_writers` those
    of them that are no appliers; each with a replication origin of its own where
    `replication_origin` says so. `two_way`: another replication carries the same tables back, so
    that marks are missed where they are missing. `streams`: changes come, not only existing rows.
    """

    replication: str
    conninfo: str = field(repr=False)
    synchronous_commit: str = "on"
    session_replication_role: str = "origin"
    drop_columns: bool = False
    drop_tables: bool = False
    replication_origin: ReplicationOrigin = ReplicationOrigin.OFF
    writers: int = 1
    other_writers: int = 0
    two_way: bool = False
    streams: bool = True
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
    idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS
    execute_timeout_seconds: float = EXECUTE_TIMEOUT_SECONDS

    def validate(self) -> None:
        """Raises ConfigError."""
        if not self.replication:
            raise ConfigError("replication.id", "must not be empty")
        if self.synchronous_commit not in SYNCHRONOUS:
            raise ConfigError("target.synchronous_commit", f"must be one of {SYNCHRONOUS}")
        if self.session_replication_role not in ROLES:
            raise ConfigError("target.session_replication_role", f"must be one of {ROLES}")
        if self.lock_timeout_seconds <= 0 or self.idle_in_transaction_seconds <= 0:
            raise ConfigError("target", "timeouts must be greater than 0")

    @property
    def replica(self) -> bool:
        return self.session_replication_role == "replica"

    @property
    def application_name(self) -> str:
        return f"penstock/{self.replication}"
