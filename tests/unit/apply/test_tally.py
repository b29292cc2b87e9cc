"""What was applied is counted by table and kind, whichever way it is counted."""

from hypothesis import given
from hypothesis import strategies as st

from engine.apply.fold import arrange
from engine.apply.tally import Tally
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event, SchemaChanged, Truncate
from engine.model.relation import Column, ColumnType, Relation

TABLE = Relation(1, "public", "t", ())
NEWER = Relation(1, "public", "t", ())
CHANGED = SchemaChanged(TABLE.table, TABLE, NEWER, exact=True)
EMPTIED = Truncate((TABLE,))


def change(kind: int, relation: Relation) -> Change:
    row = (b"1",)
    return Change(kind, relation, None if kind == DELETE else row, row if kind == DELETE else None)


EVENTS = st.lists(
    st.builds(change, st.sampled_from([INSERT, UPDATE, DELETE]), st.sampled_from([TABLE, NEWER]))
    | st.sampled_from([CHANGED, EMPTIED]),
    max_size=40,
)


@given(EVENTS)
def test_a_table_that_is_known_is_counted_as_one_that_is_not(events: list[Event]) -> None:
    known, found = Tally(), Tally()
    known.add(events, TABLE.table)
    found.add(events)
    counts = found.tables.get(TABLE.table)
    if counts is not None:
        assert known.tables == {TABLE.table: counts}
    kinds = [event.kind for event in events if isinstance(event, Change)]
    assert sum(kinds.count(kind) for kind in (INSERT, UPDATE, DELETE)) == len(kinds)
    if counts is not None:
        assert (counts.inserts, counts.updates, counts.deletes, counts.truncates) == (
            kinds.count(INSERT),
            kinds.count(UPDATE),
            kinds.count(DELETE),
            events.count(EMPTIED),
        )


KEYED = Relation(2, "public", "k", (Column("id", ColumnType("int4", 23)),), key=(0,))


def keyed(kind: int, key: int) -> Change:
    row = (str(key).encode(),)
    return Change(kind, KEYED, None if kind == DELETE else row, row if kind == DELETE else None)


@given(
    st.lists(
        st.builds(keyed, st.sampled_from([INSERT, UPDATE, DELETE]), st.integers(1, 12)),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_changes_count_the_same_by_the_runs_that_they_became(
    changes: list[Change], grouped: bool
) -> None:
    arranged, each = Tally(), Tally()
    arranged.add_arranged(changes, arrange(changes, grouped=grouped), KEYED.table)
    each.add(changes)
    assert arranged.tables == each.tables
