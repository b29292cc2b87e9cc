"""How two sides read one table so that their hashes can be compared (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.errors import ComparisonError
from engine.model.canonical import CANONICAL, TextForm
from engine.model.compared import Reading, TableShape

BUCKET_ROWS: Final = 8_192
"""Rows aimed at per hash bucket: listing a differing one takes milliseconds."""

BUCKETS_MAX: Final = 65_536
"""A power of two, as every number of buckets. Their digests take about 10 MiB."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The two readings of one table. `left_out`: generated columns that the target lacks.
    `uncompared`: columns whose values the two systems print in no common text."""

    source: Reading
    target: Reading
    left_out: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()


def agree(source: TableShape, target: TableShape, method: str) -> Readings:
    """Read the source's columns on both sides, by a key that both find.

    Columns that only the target has are passed over, and so are generated ones that it lacks.

    Raises:
        ComparisonError: the target lacks a column, or no column can be compared.
    """
    there, left_out = _columns(source, target)
    forms = _forms(source, target, there) if method == CANONICAL else {}
    columns = tuple(forms) if method == CANONICAL else there
    if not columns:
        raise ComparisonError(f"{source.table} has no column whose values both sides print alike")
    key = source.key if set(source.key) <= set(columns) else ()
    rows = max(source.rows_estimated, target.rows_estimated)
    searchable = all(forms[name].searchable for name in key if name in forms)
    indexed = searchable and _indexed(source, target, key)
    reading = Reading(
        source.table,
        columns,
        key,
        method,
        indexed=indexed,
        ranged=indexed and _ordered_alike(source, target, key),
        buckets=_buckets(rows),
        forms=forms,
    )
    uncompared = tuple(name for name in there if name not in columns)
    return Readings(reading, replace(reading, table=target.table), left_out, uncompared)


def common_method(source: Mapping[str, str], target: Mapping[str, str]) -> str:
    """The first row hash that gives the same on both sides.

    Raises:
        ComparisonError: there is none.
    """
    for method, probe in source.items():
        if target.get(method) == probe:
            return method
    raise ComparisonError("source and target have no row hash in common")


def _columns(source: TableShape, target: TableShape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lacking = [name for name in source.columns if name not in target.columns]
    plain = [name for name in lacking if name not in source.generated]
    if plain:
        raise ComparisonError(
            f"target: {target.table} lacks columns of {source.table}: {', '.join(plain)}",
            hint="add them or reload the table",
        )
    return tuple(name for name in source.columns if name not in lacking), tuple(lacking)


def _forms(source: TableShape, target: TableShape, columns: tuple[str, ...]) -> dict[str, TextForm]:
    """The source's best text of each column that the target prints too."""
    found: dict[str, TextForm] = {}
    for name in columns:
        there = target.forms.get(name, ())
        common = [form for form in source.forms.get(name, ()) if form in there]
        if common:
            found[name] = common[0]
    return found


def _indexed(source: TableShape, target: TableShape, key: tuple[str, ...]) -> bool:
    found = all(any(i[: len(key)] == key for i in side.indexes) for side in (source, target))
    known = all(name in side.orders for side in (source, target) for name in key)
    return bool(key) and found and known


def _ordered_alike(source: TableShape, target: TableShape, key: tuple[str, ...]) -> bool:
    return all(source.orders[name] == target.orders[name] != "" for name in key)


def _buckets(rows: int) -> int:
    wanted = max(rows // BUCKET_ROWS, 1)
    return min(1 << (wanted - 1).bit_length(), BUCKETS_MAX)
