"""Settings of AWS's that only make sense together. (pure)

Each rule is one of AWS's guide: a document against it would be refused there, or fail at a start.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from engine.config.problems import Problems


@dataclass(frozen=True, slots=True)
class Rule:
    """Where `key` has the value `on`, `needs` must have one of the values `allowed`; an empty tuple
    asks for any text that is not empty."""

    key: str
    on: object
    needs: str
    allowed: tuple[object, ...]
    constraint: str


RULES: Final = (
    Rule(
        "Logging.EnableLogContext",
        True,
        "Logging.EnableLogging",
        (True,),
        "needs Logging.EnableLogging to be true",
    ),
    Rule(
        "BeforeImageSettings.EnableBeforeImage",
        True,
        "BeforeImageSettings.FieldName",
        (),
        "needs BeforeImageSettings.FieldName, the name of the attribute",
    ),
    Rule(
        "LoopbackPreventionSettings.EnableLoopbackPrevention",
        True,
        "TargetMetadata.BatchApplyEnabled",
        (False,),
        "needs TargetMetadata.BatchApplyEnabled to be false",
    ),
    Rule(
        "ValidationSettings.ValidationOnly",
        True,
        "FullLoadSettings.TargetTablePrepMode",
        ("DO_NOTHING",),
        "needs FullLoadSettings.TargetTablePrepMode to be DO_NOTHING",
    ),
    Rule(
        "FullLoadSettings.StopTaskCachedChangesApplied",
        True,
        "FullLoadSettings.StopTaskCachedChangesNotApplied",
        (False,),
        "cannot be true beside StopTaskCachedChangesNotApplied",
    ),
)


def check_consistency(
    value: Callable[[str], object], written: Collection[str], problems: Problems
) -> None:
    """Record what breaks a rule, under the key that asks for something."""
    for rule in RULES:
        if rule.key not in written or value(rule.key) != rule.on:
            continue
        found = value(rule.needs)
        if not (found in rule.allowed if rule.allowed else found):
            problems.add(rule.key, rule.constraint)
    _check_batch_times(value, problems)


def _check_batch_times(value: Callable[[str], object], problems: Problems) -> None:
    section = "ChangeProcessingTuning"
    low, high = (value(f"{section}.BatchApplyTimeout{end}") for end in ("Min", "Max"))
    if isinstance(low, int) and isinstance(high, int) and low > high:
        problems.add(f"{section}.BatchApplyTimeoutMin", "must not be above BatchApplyTimeoutMax")
