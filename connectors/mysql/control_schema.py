"""Database `penstock` on the target: its tables, and how versions follow. (pure)

One database per server serves every replication; rows carry the replication's id. DDL commits by
itself here, so every statement of a version can be run again, and the version is written last.
"""

from typing import Final

DATABASE: Final = "penstock"

LOCK: Final = "penstock.control"
"""User-level lock under which the tables are made and migrated."""

LOCK_SECONDS: Final = 60
"""How long another process may take to make them."""

EXISTS: Final = (
    b"SELECT COUNT(*) FROM information_schema.TABLES"
    b" WHERE TABLE_SCHEMA = 'penstock' AND TABLE_NAME = 'version'"
)
CURRENT: Final = b"SELECT COALESCE(MAX(version), 0) FROM penstock.version"

_OPTIONS: Final = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)


def _table(name: str, columns: str) -> str:
    return f"CREATE TABLE IF NOT EXISTS penstock.{name} ({columns}) {_OPTIONS}"


_NAMES: Final = "schema_name VARCHAR(128) NOT NULL, table_name VARCHAR(128) NOT NULL"
_REPLICATION: Final = "replication VARCHAR(128) NOT NULL"

_TABLES: Final = (
    (
        "CREATE DATABASE IF NOT EXISTS penstock DEFAULT CHARACTER SET utf8mb4"
        " DEFAULT COLLATE utf8mb4_bin"
    ),
    _table("version", "version INT NOT NULL PRIMARY KEY, made_at DATETIME(6) NOT NULL"),
    # Locked while a replication has no owner row yet.
    _table("owner_lock", f"{_REPLICATION} PRIMARY KEY"),
    _table(
        "owner",
        f"{_REPLICATION} PRIMARY KEY, epoch BIGINT NOT NULL, identity TEXT NOT NULL,"
        " fingerprint TEXT NOT NULL, process TEXT NOT NULL, token TEXT NOT NULL,"
        " session_ids MEDIUMTEXT NOT NULL, session_tokens MEDIUMTEXT NOT NULL",
    ),
    _table(
        "checkpoint",
        f"{_REPLICATION}, lane VARCHAR(512) NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,"
        " position MEDIUMTEXT NOT NULL, PRIMARY KEY (replication, lane)",
    ),
    _table(
        "table_state",
        f"{_REPLICATION}, {_NAMES}, state VARCHAR(32) NOT NULL, position MEDIUMTEXT NOT NULL,"
        " reason TEXT NOT NULL, relation MEDIUMTEXT NOT NULL, asked BIGINT NOT NULL DEFAULT 0,"
        " answered BIGINT NOT NULL DEFAULT 0, changed_at DATETIME(6) NOT NULL,"
        " PRIMARY KEY (replication, schema_name, table_name)",
    ),
    _table(
        "chunk",
        f"{_REPLICATION}, {_NAMES}, ordinal BIGINT NOT NULL, bounded_by VARCHAR(32) NOT NULL,"
        " low MEDIUMTEXT, high MEDIUMTEXT, snapshot MEDIUMTEXT NOT NULL, until MEDIUMTEXT NOT NULL,"
        " row_count BIGINT NOT NULL, PRIMARY KEY (replication, schema_name, table_name, ordinal)",
    ),
    _table(
        "quarantine",
        "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, rejected_at DATETIME(6) NOT NULL,"
        f" {_REPLICATION}, {_NAMES}, lane VARCHAR(512) NOT NULL, position MEDIUMTEXT NOT NULL,"
        " operation VARCHAR(32) NOT NULL, reason VARCHAR(64) NOT NULL, `sqlstate` VARCHAR(8) NOT"
        " NULL, message TEXT NOT NULL, payload LONGTEXT NOT NULL,"
        " KEY (replication, schema_name, table_name)",
    ),
    # A schema change that has begun: DDL commits, so what it was about to do is committed first.
    _table(
        "intent",
        f"{_REPLICATION}, {_NAMES}, `change` MEDIUMTEXT NOT NULL, before_shape TEXT NOT NULL,"
        " begun_at DATETIME(6) NOT NULL, PRIMARY KEY (replication, schema_name, table_name)",
    ),
)

VERSIONS: Final[tuple[tuple[str, ...], ...]] = (_TABLES,)
"""Statements of version 1, 2, ..."""

VERSION: Final = len(VERSIONS)
"""The version this code works with."""

TABLES: Final = (
    "quarantine",
    "chunk",
    "table_state",
    "checkpoint",
    "intent",
    "owner",
    "owner_lock",
)
"""Every table with rows of replications, the owner's last."""


def migration(found: int) -> list[bytes]:
    """Statements from version `found` (0: nothing there) to the current one."""
    steps: list[str] = []
    for number, statements in enumerate(VERSIONS[found:], found + 1):
        steps += statements
        steps.append(f"INSERT INTO penstock.version VALUES ({number}, UTC_TIMESTAMP(6))")
    return [step.encode() for step in steps]
