"""AWS's names and ours for the same thing, brought together. (pure)

Each thing has one key of ours and may have AWS's; written both ways it is an error, because one of
the two would be ignored. A value of AWS's that asks us to spare something we would touch, and that
we cannot honour yet, is refused; other keys are accepted and listed as having no effect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.config.problems import Problems
from engine.config.replication import ApplyMode, OnRowError, OnSchemaChange, Prepare
from engine.config.settings import ReplicationSettings

PREPARE: Final[Mapping[object, Prepare]] = {
    "DO_NOTHING": Prepare.DO_NOTHING,
    "DROP_AND_CREATE": Prepare.DROP_AND_CREATE,
    "TRUNCATE_BEFORE_LOAD": Prepare.TRUNCATE,
}

ROW_POLICY: Final[Mapping[object, OnRowError]] = {
    "LOG_ERROR": OnRowError.QUARANTINE,
    "SUSPEND_TABLE": OnRowError.STOP_TABLE,
    "STOP_TASK": OnRowError.STOP,
}
"""AWS's policies that match ours. IGNORE_RECORD, INSERT_RECORD and UPDATE_RECORD do not: nothing
is skipped without a trace here, and a missing row is never made up."""

ROW_POLICY_KEYS: Final = tuple(
    f"ErrorBehavior.ApplyError{operation}Policy" for operation in ("Insert", "Update", "Delete")
)

DDL_KEYS: Final = tuple(
    f"ChangeProcessingDdlHandlingPolicy.HandleSourceTable{what}" for what in ("Altered", "Dropped")
)

TRUNCATED: Final = "ChangeProcessingDdlHandlingPolicy.HandleSourceTableTruncated"

_STRICTNESS: Final = (OnRowError.QUARANTINE, OnRowError.STOP_TABLE, OnRowError.STOP)


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing with two names. `meaning` turns AWS's settings into our value, None for "says
    nothing"."""

    section: str
    field: str
    aws: tuple[str, ...]
    meaning: Callable[[ReplicationSettings, tuple[str, ...]], Any]


def _prepare(settings: ReplicationSettings, keys: tuple[str, ...]) -> Prepare:
    return PREPARE[settings.value(keys[0])]


def _itself(settings: ReplicationSettings, keys: tuple[str, ...]) -> object:
    return settings.value(keys[0])


def _mode(settings: ReplicationSettings, keys: tuple[str, ...]) -> ApplyMode:
    return ApplyMode.TABLE_PARALLEL if settings.value(keys[0]) else ApplyMode.TRANSACTIONAL


def _row_error(settings: ReplicationSettings, keys: tuple[str, ...]) -> OnRowError | None:
    """The strictest of the written policies that match one of ours."""
    policies = {ROW_POLICY.get(settings.value(name)) for name in keys if name in settings.written}
    return next((policy for policy in reversed(_STRICTNESS) if policy in policies), None)


def _schema_change(settings: ReplicationSettings, keys: tuple[str, ...]) -> OnSchemaChange:
    """AWS's `false` leaves the target as it is; the table stops here rather than differ."""
    return OnSchemaChange.APPLY if all(map(settings.value, keys)) else OnSchemaChange.STOP


PAIRS: Final = (
    Pair("load", "prepare", ("FullLoadSettings.TargetTablePrepMode",), _prepare),
    Pair("load", "parallel_tables", ("FullLoadSettings.MaxFullLoadSubTasks",), _itself),
    Pair("apply", "mode", ("TargetMetadata.BatchApplyEnabled",), _mode),
    Pair("apply", "on_row_error", ROW_POLICY_KEYS, _row_error),
    Pair("apply", "on_schema_change", DDL_KEYS, _schema_change),
)
"""Everything that has a key of ours and one of AWS's replication settings."""

REFUSED: Final[Mapping[str, tuple[object, str]]] = {
    "TargetMetadata.TargetSchema": (
        "",
        "is not supported yet: rows would go to the source's schema",
    ),
    TRUNCATED: (
        True,
        "is not supported yet: a TRUNCATE on the source would empty the target's table",
    ),
    "ValidationSettings.ValidationOnly": (
        False,
        "is not supported here: rows would be written; use penstock compare",
    ),
}
"""Keys whose only accepted value is the one given: any other would be ignored at a cost."""


def merge_settings(
    settings: ReplicationSettings,
    arguments: Mapping[str, dict[str, Any]],
    problems: Problems,
) -> None:
    """Add what AWS's settings say to our sections' constructor arguments.

    `arguments` holds, per section, the fields the user wrote in the TOML file.
    """
    for pair in PAIRS:
        written = [name for name in pair.aws if name in settings.written]
        if not written:
            continue
        if pair.field in arguments[pair.section]:
            problems.add(
                f"{pair.section}.{pair.field}",
                f"is also set as {written[0]} in the settings file; keep one of the two",
            )
            continue
        meaning = pair.meaning(settings, pair.aws)
        if meaning is not None:
            arguments[pair.section][pair.field] = meaning


def refuse_unsupported(settings: ReplicationSettings, problems: Problems) -> None:
    """Record the values that must not be ignored."""
    for name, (allowed, reason) in REFUSED.items():
        if name in settings.written and settings.value(name) != allowed:
            problems.add(name, reason)


def without_effect(settings: ReplicationSettings) -> tuple[str, ...]:
    """The written keys that do nothing yet, sorted."""
    effective = {name for pair in PAIRS for name in pair.aws} | REFUSED.keys()
    return tuple(sorted(name for name in settings.written if not _used(name, settings, effective)))


def _used(name: str, settings: ReplicationSettings, effective: set[str]) -> bool:
    return name in effective and (name not in ROW_POLICY_KEYS or settings.value(name) in ROW_POLICY)
