"""Verdicts on single keys from what was read of them on both sides (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.model.compared import Digest, RowKey
from engine.validate.report import KeyDifference, TableReport

NOTHING: Final = Digest(0, 0)
"""What is read of a key that a side does not have."""


@dataclass(slots=True)
class Sightings:
    """What was seen of some keys in one round. A target's sighting counts only when the applied
    position had passed the source's first one of the round."""

    source: dict[RowKey, set[Digest]] = field(default_factory=dict[RowKey, set[Digest]])
    target: dict[RowKey, set[Digest]] = field(default_factory=dict[RowKey, set[Digest]])

    def see_source(self, keys: Iterable[RowKey], found: Mapping[RowKey, Digest]) -> None:
        _see(self.source, keys, found)

    def see_target(self, keys: Iterable[RowKey], found: Mapping[RowKey, Digest]) -> None:
        _see(self.target, keys, found)

    def met(self, key: RowKey) -> Digest | None:
        """What both sides have held in this round: the target went through the source's state."""
        return next(iter(self.source[key] & self.target[key]), None)

    def still(self, key: RowKey) -> bool:
        """The source did not move in this round."""
        return len(self.source[key]) == 1


def suspects(
    source: Mapping[RowKey, Digest], target: Mapping[RowKey, Digest]
) -> tuple[list[RowKey], int]:
    """Keys whose rows differ, and the number of rows that do not."""
    keys = [key for key, digest in source.items() if target.get(key) != digest]
    keys += [key for key in target if key not in source]
    differing = sum(source[key].rows for key in keys if key in source)
    return keys, sum(digest.rows for digest in source.values()) - differing


def count_equal(report: TableReport, rows: int) -> None:
    """These rows are the same on both sides."""
    report.rows_source += rows
    report.rows_target += rows


def count_different(
    report: TableReport, key: RowKey, source: Digest, target: Digest, keys_max: int
) -> None:
    """This key differs for good."""
    report.rows_source += source.rows
    report.rows_target += target.rows
    kind, amount = _kind(report.keyed, source, target)
    if kind == "missing":
        report.missing += amount
    elif kind == "extra":
        report.extra += amount
    else:
        report.different += amount
    if len(report.keys) < keys_max:
        report.keys.append(KeyDifference(kind, key))


def _kind(keyed: bool, source: Digest, target: Digest) -> tuple[str, int]:
    """Without key, equal rows are one name that stands for several."""
    if target.rows == 0 or (not keyed and source.rows > target.rows):
        return "missing", source.rows - target.rows
    if source.rows == 0 or not keyed:
        return "extra", target.rows - source.rows
    return "different", 1


def _see(
    seen: dict[RowKey, set[Digest]], keys: Iterable[RowKey], found: Mapping[RowKey, Digest]
) -> None:
    for key in keys:
        seen.setdefault(key, set()).add(found.get(key, NOTHING))
