"""Why endpoint settings of AWS's that have no effect need none, as data. (pure)

The reference page, the coverage page and "accepted, but has no effect" read it. A setting has
effect where a family declares it for that side.
"""

from collections.abc import Mapping
from typing import Final

_SOURCE: Final = "is for sources"
_AS_IT_IS: Final = "values are carried as they are, in types that hold them"
_NOT_IN_FILES: Final = "use password_file or password_env"

IDLE_SETTINGS: Final[Mapping[str, str]] = {
    "AfterConnectScript": "only the script of a target that switches foreign keys off is followed",
    "AuthenticationMethod": "a password is the only method",
    "BabelfishDatabaseName": "Babelfish is not run by Penstock",
    "CaptureDdls": _SOURCE,
    "CleanSourceMetadataOnMismatch": "the form of a table is followed in the log",
    "DatabaseMode": "Babelfish is not run by Penstock",
    "DdlArtifactsSchema": _SOURCE,
    "DisableUnicodeSourceFilter": "there are no filters yet",
    "EventsPollInterval": "the server pushes its log, nothing is polled",
    "ExecuteTimeout": _SOURCE,
    "FailTasksOnLobTruncation": "no value is ever truncated",
    "HeartbeatEnable": _SOURCE,
    "HeartbeatFrequency": "needs HeartbeatEnable, and a source",
    "HeartbeatSchema": "a heartbeat is a message in the log, it needs no table",
    "MapBooleanAsBoolean": _AS_IT_IS,
    "MapJsonbAsClob": _AS_IT_IS,
    "MapLongVarcharAs": _AS_IT_IS,
    "MaxFileSize": "rows are streamed into the target, not by way of files",
    "ParallelLoadThreads": "use load.parallel_tables and load.loaders_per_table",
    "PluginName": "pgoutput is used, which every server has",
    "SecretsManagerAccessRoleArn": _NOT_IN_FILES,
    "SecretsManagerSecretId": _NOT_IN_FILES,
    "ServerTimezone": "TIMESTAMP is read in UTC, whatever the server's zone",
    "ServiceAccessRoleArn": _NOT_IN_FILES,
    "SlotName": _SOURCE,
    "TargetDbType": "every table goes to the database of its name",
    "TrimSpaceInChar": _AS_IT_IS,
}
"""By AWS's name, which means the same in every family."""

USUAL: Final[Mapping[str, object]] = {
    "AuthenticationMethod": "password",
    "CaptureDdls": True,
    "CleanSourceMetadataOnMismatch": False,
    "DatabaseMode": "default",
    "DisableUnicodeSourceFilter": False,
    "EventsPollInterval": 5,
    "ExecuteTimeout": 60,
    "FailTasksOnLobTruncation": False,
    "HeartbeatEnable": False,
    "HeartbeatFrequency": 5,
    "HeartbeatSchema": "public",
    "MapBooleanAsBoolean": False,
    "MapJsonbAsClob": False,
    "MapLongVarcharAs": "wstring",
    "MaxFileSize": 32_768,
    "ParallelLoadThreads": 1,
    "PluginName": "no-preference",
    "TrimSpaceInChar": True,
}
"""AWS's defaults of settings without effect: one that has it was most likely written by nobody, as
AWS answers every key, and asks for nothing. Source: AWS DMS API reference, PostgreSQLSettings and
MySQLSettings."""
