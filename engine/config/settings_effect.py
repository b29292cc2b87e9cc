"""What each of AWS's replication settings does here, as data. (pure)

The reference page, the coverage page and "accepted, but has no effect" all read it: a key has its
place in exactly one of the three tables (`PAIRS`, `REFUSED`, `IDLE`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.config.endpoint_effect import IDLE_SETTINGS
from engine.config.reconcile import PAIRS, REFUSED, without_effect
from engine.config.settings import ReplicationSettings, defaults
from engine.config.settings_catalog import CATALOG, Entry, Group, Items


class Effect(StrEnum):
    DECIDES = "decides"
    """It sets a key of ours."""
    FIXED = "fixed"
    """One value only; every other one is refused."""
    NONE = "none"
    """Kept and answered, and does nothing."""


@dataclass(frozen=True, slots=True)
class KeyEffect:
    """One key by its dotted name. `default` is AWS's; `about` is our key, why other values are
    refused, or why there is nothing to do."""

    path: str
    default: object
    effect: Effect
    about: str


_LOBS: Final = "values are carried whole, whatever their size"
_ROW_BY_ROW: Final = "a row that cannot be applied is dealt with by apply.on_row_error"
_RETRIES: Final = "failures that may pass are tried again with growing pauses, by their cause"
_MEMORY: Final = "memory and batches are limited by [capacity] and [apply]"
_LATER: Final = "there is no such part yet"
_AWS_LOGS: Final = "files of AWS's form are the daemon's; the log of `penstock run` is always on"

ENDPOINT_TABLES: Final = ("source.settings", "target.settings")

IDLE: Final = {
    "TargetMetadata.SupportLobs": _LOBS,
    "TargetMetadata.FullLobMode": _LOBS,
    "TargetMetadata.LobChunkSize": _LOBS,
    "TargetMetadata.LimitedSizeLobMode": _LOBS,
    "TargetMetadata.LobMaxSize": _LOBS,
    "TargetMetadata.InlineLobMaxSize": _LOBS,
    "TargetMetadata.LoadMaxFileSize": "rows are streamed into the target, not by way of files",
    "TargetMetadata.Parallel": "for AWS's targets that are not databases",
    "TargetMetadata.TaskRecoveryTableEnabled": "positions are always in the target",
    "FullLoadSettings.CreatePkAfterFullLoad": "keys are made before the load, so that it can be"
    " continued; other indexes after it",
    "FullLoadSettings.StopTask": "use penstock run --stop-at",
    "FullLoadSettings.TransactionConsistencyTimeout": "the load waits for open transactions as"
    " long as load.snapshot_wait says",
    "FullLoadSettings.CommitRate": "a transaction of the load has load.rows_per_chunk rows",
    "TTSettings": "AWS's own diagnosis, written to its object storage",
    "Logging": _AWS_LOGS,
    "ControlTablesSettings": "control tables of AWS's form are not made yet",
    "StreamBufferSettings": _MEMORY,
    "ChangeProcessingTuning.BatchApplyPreserveTransaction": "for Oracle targets",
    "ChangeProcessingTuning.BatchApplyTimeout": "a batch leaves when the target is ready for it",
    "ChangeProcessingTuning.BatchApplyMemoryLimit": _MEMORY,
    "ChangeProcessingTuning.BatchSplitSize": "a batch has apply.batch_rows_max rows at most",
    "ChangeProcessingTuning.MinTransactionSize": "a batch leaves when the target is ready for it",
    "ChangeProcessingTuning.CommitTimeout": "a batch leaves when the target is ready for it",
    "ChangeProcessingTuning.Memory": _MEMORY,
    "ChangeProcessingTuning.StatementCacheSize": "the drivers keep their own",
    "ChangeProcessingTuning.RecoveryTimeout": _RETRIES,
    "ErrorBehavior.Data": _ROW_BY_ROW,
    "ErrorBehavior.EventErrorPolicy": "no event is skipped",
    "ErrorBehavior.TableError": "a table that fails stops, and the others go on",
    "ErrorBehavior.RecoverableError": _RETRIES,
    "ErrorBehavior.ApplyError": "this policy has no match: nothing is skipped without a trace, and"
    " no row is made up",
    "ErrorBehavior.ApplyErrorEscalation": _ROW_BY_ROW,
    "ErrorBehavior.ApplyErrorFailOnTruncationDdl": "a TRUNCATE is carried",
    "ErrorBehavior.FullLoadIgnoreConflicts": "changes of the time of the load are told from rows"
    " that it has copied: there are no such conflicts",
    "ErrorBehavior.FailOnTransactionConsistencyBreached": "for Oracle sources",
    "ErrorBehavior.FailOnNoTablesCaptured": "a mapping that selects no table is told by penstock"
    " check",
    "ValidationSettings": "use penstock compare",
    "ResyncSettings": "for Oracle and SQL Server sources",
    "CharacterSetSettings": _LATER,
    "LoopbackPreventionSettings": "use source.origin and target.replication_origin",
    "BeforeImageSettings": "for Kafka and Kinesis targets",
    "PostProcessingRules": "AWS does not say what it does",
    "FailTaskWhenCleanTaskResourceFailed": "there are no resources of AWS's to be cleaned",
}
"""Beginnings of names to why there is nothing to do; the longest one counts."""

BY_DAEMON: Final = (
    "FullLoadSettings.StopTaskCachedChanges",
    "Logging.EnableLogging",
    "Logging.LogComponents",
)
"""Beginnings of names of those among them that the daemon follows itself: how its logs are written,
and when a replication ends. The worker, and `penstock run`, does nothing with them."""


def key_effects() -> tuple[KeyEffect, ...]:
    """Every key, in the catalog's order."""
    return tuple(_effect(path, default) for path, default in _leaves(CATALOG, ""))


def _effect(path: str, default: object) -> KeyEffect:
    ours = next((f"{pair.section}.{pair.field}" for pair in PAIRS if path in pair.aws), "")
    if ours:
        return KeyEffect(path, default, Effect.DECIDES, ours)
    if path in REFUSED:
        return KeyEffect(path, default, Effect.FIXED, REFUSED[path][1])
    return KeyEffect(path, default, Effect.NONE, why_idle(path))


def why_idle(path: str) -> str:
    """Why a key that does nothing does nothing: one of AWS's replication settings, or of an
    endpoint's (`source.settings.PluginName`). Empty for every other name."""
    table, _, name = path.rpartition(".")
    if table in ENDPOINT_TABLES:
        return IDLE_SETTINGS.get(name, "")
    return max(
        ((len(begin), reason) for begin, reason in IDLE.items() if path.startswith(begin)),
        default=(0, ""),
    )[1]


def _leaves(entry: Entry, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(entry, Group):
        for name, inner in entry.keys.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, None if isinstance(entry, Items) else entry.default


def changed_without_effect(settings: ReplicationSettings, replication_type: str) -> tuple[str, ...]:
    """Keys without effect that have another value than AWS's default, sorted: what a start says."""
    plain = ReplicationSettings(expanded=defaults(replication_type))
    return tuple(
        path for path in without_effect(settings) if settings.value(path) != _value(plain, path)
    )


def _value(settings: ReplicationSettings, path: str) -> object:
    """The default in force, that of the catalog for what AWS does not show."""
    try:
        return settings.value(path)
    except KeyError:
        return dict(_leaves(CATALOG, ""))[path]
