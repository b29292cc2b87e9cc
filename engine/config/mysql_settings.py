"""AWS endpoint settings (`MySQLSettings`) under AWS's names. (pure)

Most of AWS's have nothing to do here: the log is pushed to us and not polled, TIMESTAMP is read in
UTC whatever the server's zone, and every table goes to the database of its name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS, AddressSettings
from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Text, Word
from engine.config.mysql_url import MYSQL_PORT
from engine.config.section import Section, key

_TEXT: Final = Text(empty=True)
_NUMBER: Final = Integer(0, 2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class MysqlAddressSettings(AddressSettings):
    """AWS's way to say where the server is, instead of `url`."""

    port: int = key(
        Integer(1, 65535), "Port, beside `ServerName`.", default=MYSQL_PORT, name="Port"
    )


@dataclass(frozen=True, kw_only=True)
class MysqlSourceSettings(Section):
    """Settings of a MySQL or MariaDB source that have effect."""

    TABLE: ClassVar[str] = "source.settings"

    execute_timeout_seconds: int = key(
        Integer(1, 86400),
        "Longest time of one catalog query, in seconds.",
        default=EXECUTE_TIMEOUT_SECONDS,
        name="ExecuteTimeout",
    )


@dataclass(frozen=True, kw_only=True)
class MysqlTargetSettings(Section):
    """Settings of a MySQL or MariaDB target that have effect."""

    TABLE: ClassVar[str] = "target.settings"

    after_connect_script: str = key(
        _TEXT,
        "Only `SET FOREIGN_KEY_CHECKS = 0` has effect, it means `session_replication_role ="
        ' "replica"`; any other script has no effect yet.',
        default="",
        name="AfterConnectScript",
    )


KEYS_OFF_SCRIPT: Final = re.compile(
    r"\s*SET\s+(?:SESSION\s+|@@session\.)?foreign_key_checks\s*:?=\s*(?:0|'?OFF'?)\s*;?\s*",
    re.IGNORECASE,
)
"""What AWS's guide tells users of MySQL targets to write in AfterConnectScript."""

MYSQL_NO_EFFECT: Final[Mapping[str, Kind[Any]]] = {
    "AfterConnectScript": _TEXT,
    "AuthenticationMethod": Word(("password",)),
    "CleanSourceMetadataOnMismatch": Flag(),
    "EventsPollInterval": _NUMBER,
    "ExecuteTimeout": _NUMBER,
    "MaxFileSize": _NUMBER,
    "ParallelLoadThreads": _NUMBER,
    "SecretsManagerAccessRoleArn": _TEXT,
    "SecretsManagerSecretId": _TEXT,
    "ServerTimezone": _TEXT,
    "ServiceAccessRoleArn": _TEXT,
    "TargetDbType": Word(("multiple-databases",)),
}
"""AWS's other MySQL settings; one that a side declares itself has effect there.

`specific-database`, which sends every table to one database, is refused and not ignored: the rows
would arrive elsewhere.
"""
