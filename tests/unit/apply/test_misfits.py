"""A value without a form in the stream refuses its row, and nothing else."""

from dataclasses import replace

import pytest

from engine.apply.fold import arrange, in_order
from engine.apply.misfits import refuse_misfits
from engine.errors import RowRejectedError
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.plain_events import PlainEvents
from engine.model.rejected import payload
from engine.model.relation import Column, ColumnType, Relation
from engine.model.value import UNCHANGED, Misfit

ZERO = Misfit("zero-date", "holds a date without a day; set zero_dates in [source]")
COLUMNS = tuple([Column(name, ColumnType("date")) for name in ("id", "on", "note")])
RELATION = Relation(1, "s", "t", COLUMNS, key=(0,), misfits=(1,))
KEYED = replace(RELATION, misfits=(0, 1))
KEYLESS = replace(RELATION, key=())


def changes(relation: Relation, kind: int, new: object, old: object = None) -> list[Change]:
    return [Change(kind, relation, new, old)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "refused",
    [
        changes(RELATION, INSERT, (b"1", ZERO, b"x")),
        changes(RELATION, UPDATE, (b"1", ZERO, UNCHANGED)),
        changes(KEYED, DELETE, None, (ZERO, b"d", b"x")),
        changes(KEYED, UPDATE, (b"2", b"d", b"x"), (ZERO, b"d", b"x")),
        changes(KEYLESS, DELETE, None, (b"1", ZERO, b"x")),
    ],
)
def test_a_row_with_a_misfit_in_what_is_used_is_refused(refused: list[Change]) -> None:
    with pytest.raises(RowRejectedError, match=r"^s\.t: column \w+ holds a date without a day"):
        refuse_misfits(in_order(refused))


@pytest.mark.parametrize(
    "taken",
    [
        changes(RELATION, INSERT, (b"1", b"d", b"x")),
        changes(RELATION, UPDATE, (b"1", b"d", b"x"), (b"2", ZERO, b"x")),
        changes(RELATION, DELETE, None, (b"1", ZERO, b"x")),
        changes(RELATION, INSERT, (b"1", ZERO, b"x"))
        + changes(RELATION, UPDATE, (b"1", b"d", b"x")),
    ],
)
def test_what_is_not_used_does_not_matter(taken: list[Change]) -> None:
    refuse_misfits(arrange(taken, grouped=True))


def test_a_misfit_waits_in_overflow_and_comes_back() -> None:
    plain = PlainEvents()
    (event,) = changes(RELATION, UPDATE, (b"1", ZERO, UNCHANGED), (b"1", None, b"x"))
    assert plain.event(plain.plain(event)) == event


def test_the_quarantine_leaves_a_misfit_out() -> None:
    kept = payload("insert", RELATION, (b"1", ZERO, None), None)
    assert '"new":{"id":"MQ==","note":null}' in kept
