"""Every section and key of AWS DMS replication settings, with AWS's defaults. (pure)

Data, not behaviour: `settings.py` reads a document against it. Defaults are those the AWS API gives
a serverless replication.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Text, Word


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `null` in the document is accepted and means the default."""

    kind: Kind[Any]
    default: object


@dataclass(frozen=True, slots=True)
class Items:
    """A list of objects."""

    item: "Group"
    default: object = None


@dataclass(frozen=True, slots=True)
class Group:
    """An object. With `absent`, it is null until the user writes it."""

    keys: Mapping[str, "Setting | Items | Group"]
    absent: bool = False


Entry: TypeAlias = Setting | Items | Group

INT_MAX: Final = 2**31 - 1


def _flag(default: bool) -> Setting:
    return Setting(Flag(), default)


def _number(default: int, low: int = 0, high: int = INT_MAX) -> Setting:
    return Setting(Integer(low, high), default)


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
        "TargetTablePrepMode": _word("DROP_AND_CREATE", "DO_NOTHING", "TRUNCATE_BEFORE_LOAD"),
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
            absent=True,
        ),
        "TTRecordSettings": Group(
            {
                "EnableRawData": _flag(False),
                "RawDataFormat": _word("TEXT", "HEX"),
                "OperationsToLog": _text("ALL"),
                "MaxRecordSize": _number(64),
            },
            absent=True,
        ),
    },
    absent=True,
)

LOGGING: Final = Group(
    {
        "EnableLogging": _flag(False),
        "EnableLogContext": _flag(False),
        "LogComponents": Items(Group({"Id": _text(), "Severity": _LOG_SEVERITY})),
        "DeleteTaskLogs": _flag(False),
        "CloudWatchLogGroup": _text(None),
        "CloudWatchLogStream": _text(None),
        "LogConfiguration": Group(
            {"EnableTraceOnError": _flag(False), "TraceOnErrorMb": _number(10)}, absent=True
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
        "RecoveryTimeout": _number(-1, -1),
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
    absent=True,
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
            absent=True,
        ),
        "CharacterSetSettings": Group(
            {
                "CharacterReplacements": Items(_REPLACEMENT),
                "CharacterSetSupport": Group(
                    {"CharacterSet": _text(), "ReplaceWithCharacterCodePoint": _CODE_POINT},
                    absent=True,
                ),
            },
            absent=True,
        ),
        "LoopbackPreventionSettings": Group(
            {
                "EnableLoopbackPrevention": _flag(False),
                "SourceSchema": _text(),
                "TargetSchema": _text(),
            },
            absent=True,
        ),
        "BeforeImageSettings": Group(
            {
                "EnableBeforeImage": _flag(False),
                "FieldName": _text(),
                "ColumnFilter": _word("pk-only", "non-lob", "all"),
            },
            absent=True,
        ),
        "PostProcessingRules": Setting(Text(empty=True), None),
        "FailTaskWhenCleanTaskResourceFailed": _flag(False),
    }
)
