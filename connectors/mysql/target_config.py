"""What a MySQL or MariaDB target is told. (pure)"""

from dataclasses import dataclass
from typing import Final

from engine.config.url import ConnectionUrl
from engine.errors import ConfigError

LOCK_TIMEOUT_SECONDS: Final = 10
"""Wait for a lock on the target before the transaction is tried again, in whole seconds as the
server counts them. A predecessor that hangs is found out after one of these."""

IDLE_IN_TRANSACTION_SECONDS: Final = 60
"""After this the server ends a session that stands still inside a transaction, so a frozen process
keeps no lock for ever. Longer than any pause between two statements of ours: chunks of a load wait
for the source."""

ROLES: Final = ("origin", "replica")


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlTargetConfig:
    """`replication` is the id under which control rows are kept.

    `session_replication_role`: with `replica` foreign keys are not checked and do nothing by
    themselves (`foreign_key_checks = 0`); triggers fire all the same. `drop_columns`: what the
    source drops is dropped here too; else it stays, with its values. `local_infile` False: loads go
    as INSERT statements, whatever the server allows. `streams`: changes come, not only existing
    rows.
    """

    replication: str
    url: ConnectionUrl
    session_replication_role: str = "origin"
    drop_columns: bool = False
    local_infile: bool = True
    streams: bool = True
    lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS
    idle_in_transaction_seconds: int = IDLE_IN_TRANSACTION_SECONDS

    def validate(self) -> None:
        """Raises ConfigError."""
        if not self.replication:
            raise ConfigError("replication.id", "must not be empty")
        if self.session_replication_role not in ROLES:
            raise ConfigError("target.session_replication_role", f"must be one of {ROLES}")
        if self.lock_timeout_seconds < 1 or self.idle_in_transaction_seconds < 1:
            raise ConfigError("target", "timeouts must be at least 1 second")

    @property
    def program(self) -> str:
        """What the server's list of sessions calls ours."""
        return f"penstock/{self.replication}"

    @property
    def checks_keys(self) -> bool:
        """Whether foreign keys are checked in apply sessions."""
        return self.session_replication_role == "origin"
