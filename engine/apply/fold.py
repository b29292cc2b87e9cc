"""Fold changes to their net effect and arrange them in runs (pure).

Contract: applying the runs in order to any state in which the original changes apply one after the
other gives the same state. Where that cannot be shown from the changes alone (no key, a sequence
that no correct log holds) the changes stay as they are, in order.

A key change cuts the fold: it is applied in place, so columns the log did not send survive.
The caller keeps the original changes; they are what the row-by-row fallback replays.
"""

from collections.abc import Iterable, Sequence
from typing import Final, cast

from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Row

_REPLACE: Final = 4
"""Deleted, then inserted: an update of every column, where the row is still there."""


def arrange(changes: Sequence[Change], *, grouped: bool) -> list[Run]:
    """Runs for a batch of changes. `grouped`: order between tables is not seen by anything, so the
    changes of each table may be gathered; else only neighbours of one table fold together."""
    runs: list[Run] = []
    for stretch in _stretches(changes, grouped):
        runs += fold(stretch)
    return runs


def _stretches(changes: Sequence[Change], grouped: bool) -> Iterable[list[Change]]:
    """Lists of changes of one relation version each."""
    if not grouped:
        return _neighbours(changes)
    by_relation: dict[int, list[Change]] = {}
    last: Relation | None = None
    for change in changes:
        if change[1] is not last:
            last = change[1]
            append = by_relation.setdefault(id(last), []).append
        append(change)
    return by_relation.values()


def _neighbours(changes: Sequence[Change]) -> Iterable[list[Change]]:
    stretches: list[list[Change]] = []
    last: Relation | None = None
    for change in changes:
        if change[1] is not last:
            last = change[1]
            stretches.append([])
        stretches[-1].append(change)
    return stretches


def fold(changes: list[Change]) -> list[Run]:
    """Runs for changes of one relation version, in order."""
    relation = changes[0][1]
    if _all_inserts(changes):
        rows = [change[2] for change in changes]
        return [Run(INSERT, relation, cast("list[Row]", rows), net=True)]
    if not relation.key:
        return in_order(changes)
    return _fold_keyed(relation, changes)


def _all_inserts(changes: list[Change]) -> bool:
    for change in changes:  # noqa: SIM110 - a generator costs more than the comparison
        if change[0] != INSERT:
            return False
    return True


def in_order(changes: Sequence[Change]) -> list[Run]:
    """The changes as they are: neighbours of one kind, one relation and one shape share a run."""
    runs: list[Run] = []
    for change in changes:
        kind, relation, new, old = change
        row = old if kind == DELETE else new
        assert row is not None
        sent = _sent(row) if kind == UPDATE else ()
        olds = kind == UPDATE and old is not None
        run = runs[-1] if runs else None
        if (
            run is None
            or run.kind != kind
            or run.relation is not relation
            or run.sent != sent
            or (run.olds is not None) != olds
        ):
            run = Run(kind, relation, [], sent, [] if olds else None)
            runs.append(run)
        run.rows.append(row)
        if run.olds is not None and old is not None:
            run.olds.append(old)
    return runs


def _sent(row: Row) -> tuple[int, ...]:
    return tuple([index for index, value in enumerate(row) if value is not UNCHANGED])


def _fold_keyed(relation: Relation, changes: list[Change]) -> list[Run]:
    runs: list[Run] = []
    net: dict[object, tuple[int, Row]] = {}
    start = 0
    key = relation.key
    single = key[0] if len(key) == 1 else None
    for position, (kind, _, new, old) in enumerate(changes):
        if kind == UPDATE:
            if old is not None and _key_changed(key, new, old):
                runs += _net_runs(relation, net)
                runs += in_order(changes[position : position + 1])
                net = {}
                start = position + 1
                continue
            row = new
        else:
            row = old if kind == DELETE else new
        assert row is not None
        name = row[single] if single is not None else tuple([row[i] for i in key])
        before = net.get(name)
        if before is None:
            net[name] = (kind, row)
        elif kind == UPDATE and before[0] != DELETE:
            net[name] = (before[0], row if UNCHANGED not in row else _overlay(before[1], row))
        elif not _merge(net, name, before[0], kind, row):
            return runs + in_order(changes[start:])
    return runs + _net_runs(relation, net)


def _key_changed(key: tuple[int, ...], new: Row | None, old: Row) -> bool:
    assert new is not None
    for index in key:
        value = new[index]
        if value is not UNCHANGED and old[index] != value:
            return True
    return False


def _merge(net: dict[object, tuple[int, Row]], name: object, was: int, kind: int, row: Row) -> bool:
    """Add one change to the net effect on its key; False for a sequence no correct log holds."""
    if kind == DELETE and was == INSERT:
        del net[name]
    elif kind == DELETE and was != DELETE:
        net[name] = (DELETE, row)
    elif kind == INSERT and was == DELETE:
        net[name] = (_REPLACE, row)
    else:
        return False
    return True


def _overlay(had: Row, row: Row) -> Row:
    """The later row, with what it did not send taken from the earlier."""
    return tuple(
        [earlier if value is UNCHANGED else value for value, earlier in zip(row, had, strict=True)]
    )


def _net_runs(relation: Relation, net: dict[object, tuple[int, Row]]) -> list[Run]:
    """Deletes free unique values that updates take, and both free what inserts need."""
    rows: dict[int, list[Row]] = {DELETE: [], _REPLACE: [], UPDATE: [], INSERT: []}
    partial: dict[tuple[int, ...], list[Row]] = {}
    for kind, row in net.values():
        if kind == UPDATE and UNCHANGED in row:
            partial.setdefault(_sent(row), []).append(row)
        else:
            rows[kind].append(row)
    whole = tuple(range(len(relation.columns)))
    runs = [
        Run(DELETE, relation, rows[DELETE], net=True),
        Run(UPDATE, relation, rows[_REPLACE], whole, net=True, replaced=True),
        Run(UPDATE, relation, rows[UPDATE], whole, net=True),
        *[Run(UPDATE, relation, some, sent, net=True) for sent, some in partial.items()],
        Run(INSERT, relation, rows[INSERT], net=True),
    ]
    return [run for run in runs if run.rows]
