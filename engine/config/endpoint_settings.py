"""AWS endpoint settings (`PostgreSQLSettings`) under AWS's names. (pure)

The declared keys have effect. The others are known to AWS; they are accepted so that an existing
endpoint can be carried over, and reported as having no effect yet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Password, Text, Word
from engine.config.secret import Secret
from engine.config.section import Section, key

EXECUTE_TIMEOUT_SECONDS: Final = 60
"""AWS's default: a catalog query that takes longer waits for a lock or a dying server."""

HEARTBEAT_FREQUENCY_MINUTES: Final = 5
"""AWS's default."""

_SLOT: Final = re.compile(r"[a-z0-9_]{1,63}")
_TEXT: Final = Text(empty=True)
_NUMBER: Final = Integer(0, 2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class AddressSettings(Section):
    """AWS's way to say where the server is, instead of `url`."""

    server_name: str = key(_TEXT, "Host, instead of `url`.", default="", name="ServerName")
    port: int = key(Integer(1, 65535), "Port, beside `ServerName`.", default=5432, name="Port")
    database_name: str = key(
        _TEXT, "Database, beside `ServerName`.", default="", name="DatabaseName"
    )
    username: str = key(_TEXT, "User, beside `ServerName`.", default="", name="Username")
    password: Secret | None = key(
        Password(),
        "Password, beside `ServerName`; `password_file` keeps it out of the file.",
        default=None,
        name="Password",
    )


@dataclass(frozen=True, kw_only=True)
class PostgresSourceSettings(Section):
    """Settings of a PostgreSQL source that have effect."""

    TABLE: ClassVar[str] = "source.settings"

    slot_name: str = key(
        Text("1 to 63 of a-z, 0-9 and _", _SLOT, empty=True),
        "Replication slot to use. A slot named here is never dropped. Default: `penstock_<id>`,"
        " made and dropped by Penstock.",
        default="",
        name="SlotName",
    )
    heartbeat_enable: bool = key(
        Flag(),
        "Write a heartbeat (a logical message, no table) to the source. An idle database needs"
        " none; it helps when other databases of the same server write much.",
        default=False,
        name="HeartbeatEnable",
    )
    heartbeat_frequency_minutes: int = key(
        Integer(1, 1440),
        "Minutes between heartbeats, when `HeartbeatEnable` is true.",
        default=HEARTBEAT_FREQUENCY_MINUTES,
        name="HeartbeatFrequency",
    )
    capture_ddls: bool = key(
        Flag(),
        "Install an event trigger, where the role may, so that schema changes are followed"
        " exactly. false: only what the stream itself tells.",
        default=True,
        name="CaptureDdls",
    )
    ddl_artifacts_schema: str = key(
        _TEXT,
        "Schema of the event trigger's function. Default: `penstock`.",
        default="",
        name="DdlArtifactsSchema",
    )
    execute_timeout_seconds: int = key(
        Integer(1, 86400),
        "Longest time of one catalog query, in seconds.",
        default=EXECUTE_TIMEOUT_SECONDS,
        name="ExecuteTimeout",
    )


@dataclass(frozen=True, kw_only=True)
class PostgresTargetSettings(Section):
    """Settings of a PostgreSQL target that have effect."""

    TABLE: ClassVar[str] = "target.settings"

    after_connect_script: str = key(
        _TEXT,
        "Only `SET session_replication_role = replica` has effect, it means"
        " `session_replication_role`; any other script has no effect yet.",
        default="",
        name="AfterConnectScript",
    )
    execute_timeout_seconds: int = key(
        Integer(1, 86400),
        "Longest time of one catalog query, in seconds.",
        default=EXECUTE_TIMEOUT_SECONDS,
        name="ExecuteTimeout",
    )


REPLICA_SCRIPT: Final = re.compile(
    r"\s*SET\s+(?:SESSION\s+)?session_replication_role\s*(?:=|\sTO\s)\s*'?replica'?\s*;?\s*",
    re.IGNORECASE,
)
"""What AWS's guide tells users of PostgreSQL targets to write in AfterConnectScript."""

POSTGRES_NO_EFFECT: Final[Mapping[str, Kind[Any]]] = {
    "AfterConnectScript": _TEXT,
    "AuthenticationMethod": Word(("password",)),
    "BabelfishDatabaseName": _TEXT,
    "CaptureDdls": Flag(),
    "DatabaseMode": Word(("default", "babelfish")),
    "DdlArtifactsSchema": _TEXT,
    "DisableUnicodeSourceFilter": Flag(),
    "FailTasksOnLobTruncation": Flag(),
    "HeartbeatEnable": Flag(),
    "HeartbeatFrequency": _NUMBER,
    "HeartbeatSchema": _TEXT,
    "MapBooleanAsBoolean": Flag(),
    "MapJsonbAsClob": Flag(),
    "MapLongVarcharAs": Word(("wstring", "clob", "nclob")),
    "MaxFileSize": _NUMBER,
    "PluginName": Word(("no-preference", "test-decoding", "pglogical", "pgoutput")),
    "SecretsManagerAccessRoleArn": _TEXT,
    "SecretsManagerSecretId": _TEXT,
    "ServiceAccessRoleArn": _TEXT,
    "SlotName": _TEXT,
    "TrimSpaceInChar": Flag(),
}
"""AWS's other PostgreSQL settings; one that a side declares itself has effect there."""
