"""What a session of the target sets before anything else. (pure)"""

from collections.abc import Iterator
from typing import Final

from connectors.mysql.flavour import Flavour
from connectors.mysql.target_config import MysqlTargetConfig

SQL_MODES: Final = (
    # A value that does not fit is an error, never another value.
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "NO_ENGINE_SUBSTITUTION",
    # 0 in an AUTO_INCREMENT column is 0.
    "NO_AUTO_VALUE_ON_ZERO",
    # What a MySQL source holds (days 0 and 31) is held here too; other sources have none of that.
    "ALLOW_INVALID_DATES",
    # Not NO_BACKSLASH_ESCAPES: MySQL writes a table's own expressions (defaults, checks) with
    # escapes, and reads them by the session's mode.
)

NETWORK_SECONDS: Final = 120
"""How long the server waits for the rest of a packet of ours, or of a LOAD DATA whose rows come
from the source; 30 s by default."""


def settings(config: MysqlTargetConfig, flavour: Flavour) -> Iterator[str]:
    """What follows SET, in order."""
    yield "NAMES utf8mb4 COLLATE utf8mb4_bin"
    yield f"SESSION sql_mode = '{','.join(SQL_MODES)}'"
    yield "SESSION time_zone = '+00:00'"
    yield "SESSION autocommit = 1"
    yield "SESSION completion_type = 'NO_CHAIN'"
    # A plain read sees what is committed now, and no range between rows is locked.
    yield "SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    yield f"SESSION innodb_lock_wait_timeout = {config.lock_timeout_seconds}"
    yield f"SESSION lock_wait_timeout = {config.lock_timeout_seconds}"
    yield f"SESSION foreign_key_checks = {int(config.checks_keys)}"
    yield "SESSION unique_checks = 1"
    yield "SESSION sql_safe_updates = 0"
    yield "SESSION sql_auto_is_null = 0"
    yield "SESSION sql_notes = 1"
    yield f"SESSION net_read_timeout = {NETWORK_SECONDS}"
    yield f"SESSION net_write_timeout = {NETWORK_SECONDS}"
    yield "SESSION wait_timeout = 31536000"
    if flavour.mariadb:
        yield f"SESSION idle_transaction_timeout = {config.idle_in_transaction_seconds}"
        yield "SESSION max_statement_time = 0"
    else:
        yield "SESSION max_execution_time = 0"
