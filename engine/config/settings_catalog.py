"""Every section and key of AWS DMS replication settings, with AWS's defaults. (pure)

Data, not behaviour: `settings.py` reads a document against it. Defaults are those the AWS API gives
a serverless replication.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Text, Word


class Shown(Enum):
    """What AWS answers for an entry that nobody wrote."""

    DEFAULT = "its default"
    NULL = "null"
    UNWRITTEN = "nothing: the key is not there"
    BY_SERVER = "what the server says, whatever was written"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `null` in the document is accepted and means the default. `by_type` holds other
    defaults, by replication type."""

    kind: Kind[Any]
    default: object
    shown: Shown = Shown.DEFAULT
    by_type: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Items:
    """A list of objects. With `identity`, what is written changes the items of the default that
    have the same value of that key; without, it replaces the list."""

    item: "Group"
    default: Sequence[Mapping[str, object]] | None = None
    identity: str = ""
    shown: Shown = Shown.DEFAULT


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """An object. `null_for` are replication types for which it is null until it is written. Each is
    one of its own, so that what is made of it can be kept by it."""

    keys: Mapping[str, "Setting | Items | Group"]
    shown: Shown = Shown.DEFAULT
    null_for: tuple[str, ...] = ()


Entry: TypeAlias = Setting | Items | Group

INT_MAX: Final = 2**31 - 1


def _flag(default: bool, shown: Shown = Shown.DEFAULT) -> Setting:
    return Setting(Flag(), default, shown)


def _number(
    default: int, low: int = 0, high: int = INT_MAX, shown: Shown = Shown.DEFAULT
) -> Setting:
    return Setting(Integer(low, high), default, shown)


def _text(default: str | None = "") -> Setting:
    return Setting(Text(empty=True), default)


def _word(default: str, *others: str) -> Setting:
    return Setting(Word((default, *others)), default)


_LOG_SEVERITY: Final = _word(
    "LOGGER_SEVERITY_DEFAULT",
    "LOGGER_SEVERITY_ERROR",
    "LOGGER_SEVERITY_WARNING",
    "LOGGER_SEVERITY_INFO",
    "LOGGER_SEVERITY_DEBUG",
    "LOGGER_SEVERITY_DETAILED_DEBUG",
)

TARGET_METADATA: Final = Group(
    {
        "TargetSchema": _text(),
        "SupportLobs": _flag(True),
        "FullLobMode": _flag(False),
        "LobChunkSize": _number(64),
        "LimitedSizeLobMode": _flag(True),
        "LobMaxSize": _number(32),
        "InlineLobMaxSize": _number(0, 0, 102_400),
        "LoadMaxFileSize": _number(0, 0, 100_000),
        "ParallelLoadThreads": _number(0, 0, 200),
        "ParallelLoadBufferSize": _number(0, 0, 1000),
        "ParallelLoadQueuesPerThread": _number(0, 0, 512),
        "ParallelApplyThreads": _number(0, 0, 32),
        "ParallelApplyBufferSize": _number(0, 0, 1000),
        "ParallelApplyQueuesPerThread": _number(0, 0, 512),
        "BatchApplyEnabled": _flag(False),
        "TaskRecoveryTableEnabled": _flag(False),
    }
)

FULL_LOAD: Final = Group(
    {
        "TargetTablePrepMode": Setting(
            Word(("DROP_AND_CREATE", "DO_NOTHING", "TRUNCATE_BEFORE_LOAD")),
            "DROP_AND_CREATE",
            by_type={"cdc": "DO_NOTHING"},
        ),
        "CreatePkAfterFullLoad": _flag(False),
        "StopTaskCachedChangesApplied": _flag(False),
        "StopTaskCachedChangesNotApplied": _flag(False),
        "MaxFullLoadSubTasks": _number(8, 1, 49),
        "TransactionConsistencyTimeout": _number(600),
        "CommitRate": _number(10_000, 1, 50_000),
    }
)

TIME_TRAVEL: Final = Group(
    {
        "EnableTT": _flag(False),
        "FailTaskOnTTFailure": _flag(False),
        "TTS3Settings": Group(
            {
                "EncryptionMode": _word("SSE_S3", "SSE_KMS"),
                "ServerSideEncryptionKmsKeyId": _text(),
                "ServiceAccessRoleArn": _text(),
                "BucketName": _text(),
                "BucketFolder": _text(),
                "EnableDeletingFromS3OnTaskDelete": _flag(False),
            },
            Shown.NULL,
        ),
        "TTRecordSettings": Group(
            {
                "EnableRawData": _flag(False),
                "RawDataFormat": _word("TEXT", "HEX"),
                "OperationsToLog": _text("ALL"),
                "MaxRecordSize": _number(64),
            },
            Shown.NULL,
        ),
    },
    null_for=("full-load",),
)

LOG_COMPONENTS: Final = (
    "DATA_STRUCTURE",
    "COMMUNICATION",
    "IO",
    "COMMON",
    "FILE_FACTORY",
    "FILE_TRANSFER",
    "REST_SERVER",
    "ADDONS",
    "TARGET_LOAD",
    "TARGET_APPLY",
    "SOURCE_UNLOAD",
    "SOURCE_CAPTURE",
    "TRANSFORMATION",
    "SORTER",
    "TASK_MANAGER",
    "TABLES_MANAGER",
    "METADATA_MANAGER",
    "PERFORMANCE",
    "VALIDATOR_EXT",
)
"""Those that AWS lists for every replication, in its order."""

_LOG_COMPONENT: Final = Group(
    {"Id": _word(*LOG_COMPONENTS, "VALIDATOR"), "Severity": _LOG_SEVERITY}
)

LOGGING: Final = Group(
    {
        "EnableLogging": _flag(False),
        "EnableLogContext": _flag(False),
        "LogComponents": Items(
            _LOG_COMPONENT,
            [{"Id": name, "Severity": "LOGGER_SEVERITY_DEFAULT"} for name in LOG_COMPONENTS],
            identity="Id",
        ),
        "DeleteTaskLogs": _flag(False, Shown.UNWRITTEN),
        "CloudWatchLogGroup": Setting(Text(empty=True), None, Shown.BY_SERVER),
        "CloudWatchLogStream": Setting(Text(empty=True), None, Shown.BY_SERVER),
        "LogConfiguration": Group(
            {"EnableTraceOnError": _flag(False), "TraceOnErrorMb": _number(10)}, Shown.UNWRITTEN
        ),
    }
)

CONTROL_TABLES: Final = Group(
    {
        "ControlSchema": _text(),
        "HistoryTimeslotInMinutes": _number(5, 1),
        "historyTimeslotInMinutes": _number(5, 1),
        "HistoryTableEnabled": _flag(False),
        "SuspendedTablesTableEnabled": _flag(False),
        "StatusTableEnabled": _flag(False),
        "FullLoadExceptionTableEnabled": _flag(False),
        "CommitPositionTableEnabled": _flag(False),
    }
)

STREAM_BUFFER: Final = Group(
    {
        "StreamBufferCount": _number(3, 1),
        "StreamBufferSizeInMB": _number(8, 1),
        "CtrlStreamBufferSizeInMB": _number(5, 1, 8),
    }
)

TUNING: Final = Group(
    {
        "BatchApplyPreserveTransaction": _flag(True),
        "BatchApplyTimeoutMin": _number(1),
        "BatchApplyTimeoutMax": _number(30),
        "BatchApplyMemoryLimit": _number(500),
        "BatchSplitSize": _number(0),
        "MinTransactionSize": _number(1000),
        "CommitTimeout": _number(1),
        "MemoryLimitTotal": _number(1024),
        "MemoryKeepTime": _number(60),
        "StatementCacheSize": _number(50, 0, 200),
        "RecoveryTimeout": _number(-1, -1, shown=Shown.UNWRITTEN),
    }
)

DDL_POLICY: Final = Group(
    {
        "HandleSourceTableDropped": _flag(True),
        "HandleSourceTableTruncated": _flag(True),
        "HandleSourceTableAltered": _flag(True),
    }
)


def _policy(default: str, *extra: str) -> Setting:
    words = ("IGNORE_RECORD", "LOG_ERROR", "SUSPEND_TABLE", "STOP_TASK", *extra)
    return Setting(Word(words), default)


ERRORS: Final = Group(
    {
        "DataErrorPolicy": _policy("LOG_ERROR"),
        "EventErrorPolicy": _word("IGNORE", "STOP_TASK"),
        "DataTruncationErrorPolicy": _policy("LOG_ERROR"),
        "DataMaskingErrorPolicy": _policy("STOP_TASK"),
        "DataErrorEscalationPolicy": _word("SUSPEND_TABLE", "STOP_TASK"),
        "DataErrorEscalationCount": _number(0),
        "TableErrorPolicy": _word("SUSPEND_TABLE", "STOP_TASK"),
        "TableErrorEscalationPolicy": _word("STOP_TASK"),
        "TableErrorEscalationCount": _number(0),
        "RecoverableErrorCount": _number(-1, -1),
        "RecoverableErrorInterval": _number(5),
        "RecoverableErrorThrottling": _flag(True),
        "RecoverableErrorThrottlingMax": _number(1800),
        "RecoverableErrorStopRetryAfterThrottlingMax": _flag(True),
        "ApplyErrorDeletePolicy": _policy("IGNORE_RECORD"),
        "ApplyErrorInsertPolicy": _policy("LOG_ERROR", "INSERT_RECORD"),
        "ApplyErrorUpdatePolicy": _policy("LOG_ERROR", "UPDATE_RECORD"),
        "ApplyErrorEscalationPolicy": _word("LOG_ERROR", "SUSPEND_TABLE", "STOP_TASK"),
        "ApplyErrorEscalationCount": _number(0),
        "ApplyErrorFailOnTruncationDdl": _flag(False),
        "FullLoadIgnoreConflicts": _flag(True),
        "FailOnTransactionConsistencyBreached": _flag(False),
        "FailOnNoTablesCaptured": _flag(True),
    }
)

VALIDATION: Final = Group(
    {
        "EnableValidation": _flag(False),
        "ValidationMode": _word("ROW_LEVEL", "GROUP_LEVEL"),
        "ValidationOnly": _flag(False),
        "ThreadCount": _number(5, 1),
        "PartitionSize": _number(10_000, 1),
        "FailureMaxCount": _number(10_000),
        "TableFailureMaxCount": _number(1000),
        "RecordFailureDelayInMinutes": _number(5),
        "RecordFailureDelayLimitInMinutes": _number(0),
        "RecordSuspendDelayInMinutes": _number(30),
        "MaxKeyColumnSize": _number(8096),
        "HandleCollationDiff": _flag(False),
        "SkipLobColumns": _flag(False),
        "ValidationPartialLobSize": _number(0),
        "ValidationQueryCdcDelaySeconds": _number(0),
    },
    Shown.UNWRITTEN,
)

_CODE_POINT: Final = Setting(
    Text("hexadecimal digits of a code point", re.compile("[0-9A-Fa-f]{1,6}")), "0"
)
"""A character of a replacement; 0 as the replacement deletes it."""

_REPLACEMENT: Final = Group(
    {"SourceCharacterCodePoint": _CODE_POINT, "TargetCharacterCodePoint": _CODE_POINT}
)

CATALOG: Final = Group(
    {
        "TargetMetadata": TARGET_METADATA,
        "FullLoadSettings": FULL_LOAD,
        "TTSettings": TIME_TRAVEL,
        "Logging": LOGGING,
        "ControlTablesSettings": CONTROL_TABLES,
        "StreamBufferSettings": STREAM_BUFFER,
        "ChangeProcessingTuning": TUNING,
        "ChangeProcessingDdlHandlingPolicy": DDL_POLICY,
        "ErrorBehavior": ERRORS,
        "ValidationSettings": VALIDATION,
        "ResyncSettings": Group(
            {
                "EnableResync": _flag(False),
                "ResyncSchedule": _text(),
                "MaxResyncTime": _number(0),
                "ValidationTaskId": _text(),
            },
            Shown.UNWRITTEN,
        ),
        "CharacterSetSettings": Group(
            {
                "CharacterReplacements": Items(_REPLACEMENT),
                "CharacterSetSupport": Group(
                    {"CharacterSet": _text(), "ReplaceWithCharacterCodePoint": _CODE_POINT},
                    Shown.NULL,
                ),
            },
            Shown.NULL,
        ),
        "LoopbackPreventionSettings": Group(
            {
                "EnableLoopbackPrevention": _flag(False),
                "SourceSchema": _text(),
                "TargetSchema": _text(),
            },
            Shown.NULL,
        ),
        "BeforeImageSettings": Group(
            {
                "EnableBeforeImage": _flag(False),
                "FieldName": _text(),
                "ColumnFilter": _word("pk-only", "non-lob", "all"),
            },
            Shown.NULL,
        ),
        "PostProcessingRules": Setting(Text(empty=True), None),
        "FailTaskWhenCleanTaskResourceFailed": _flag(False),
    }
)
