"""Folding against a naive model: applying the runs must give what applying the changes gives."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.apply.fold import arrange, in_order
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Column, ColumnType, Relation
from engine.model.value import UNCHANGED, Row, Value

TYPE = ColumnType("bytes")
TABLES = [
    Relation(
        number,
        "public",
        f"t{number}",
        (Column("id", TYPE, identity=True), Column("a", TYPE), Column("b", TYPE)),
        key=(0,),
    )
    for number in (1, 2)
]
KEYS = [b"1", b"2", b"3"]
VALUES: st.SearchStrategy[Value] = st.sampled_from([b"x", b"y", None, UNCHANGED])

State = dict[tuple[int, Value], Row]


class Log:
    """Makes only sequences that a correct log holds."""

    def __init__(self, state: State) -> None:
        self.state = dict(state)
        self.changes: list[Change] = []

    def step(self, table: Relation, key: Value, kind: int, a: Value, b: Value, to: Value) -> None:
        name = (table.id, key)
        had = self.state.get(name)
        if had is None:
            self._insert(table, key, a, b)
        elif kind == DELETE:
            self.changes.append(Change(DELETE, table, None, (key, UNCHANGED, UNCHANGED)))
            del self.state[name]
        elif to != key and (table.id, to) not in self.state:
            self._move(table, had, a, b, to)
        else:
            self._update(table, had, (key, a, b), None)

    def _insert(self, table: Relation, key: Value, a: Value, b: Value) -> None:
        row = (key, None if a is UNCHANGED else a, None if b is UNCHANGED else b)
        self.changes.append(Change(INSERT, table, row, None))
        self.state[table.id, key] = row

    def _move(self, table: Relation, had: Row, a: Value, b: Value, to: Value) -> None:
        self._update(table, had, (to, a, b), (had[0], UNCHANGED, UNCHANGED))
        del self.state[table.id, had[0]]

    def _update(self, table: Relation, had: Row, new: Row, old: Row | None) -> None:
        self.changes.append(Change(UPDATE, table, new, old))
        self.state[table.id, new[0]] = overlay(had, new)


def overlay(had: Row, new: Row) -> Row:
    return tuple(h if n is UNCHANGED else n for h, n in zip(had, new, strict=True))


def apply(state: State, runs: list[Run]) -> State:
    """A target that refuses what PostgreSQL would refuse."""
    state = dict(state)
    for run in runs:
        number = run.relation.id
        for index, row in enumerate(run.rows):
            if run.kind == INSERT:
                assert (number, row[0]) not in state
                assert UNCHANGED not in row
                state[number, row[0]] = row
            elif run.kind == DELETE:
                del state[number, row[0]]
            else:
                old = run.olds[index][0] if run.olds is not None else row[0]
                had = state.pop((number, old))
                assert run.sent == tuple(i for i, v in enumerate(row) if v is not UNCHANGED)
                new = overlay(had, row)
                assert (number, new[0]) not in state
                state[number, new[0]] = new
    return state


STEPS = st.lists(
    st.tuples(
        st.sampled_from(TABLES),
        st.sampled_from(KEYS),
        st.sampled_from([UPDATE, UPDATE, DELETE]),
        VALUES,
        VALUES,
        st.sampled_from(KEYS),
    ),
    max_size=24,
)
START = st.sets(st.tuples(st.sampled_from([1, 2]), st.sampled_from(KEYS)))


@settings(max_examples=600, deadline=None)
@given(START, STEPS, st.booleans())
def test_runs_do_what_the_changes_do(
    start: set[tuple[int, bytes]],
    steps: list[tuple[Relation, bytes, int, Value, Value, Value]],
    grouped: bool,
) -> None:
    state: State = {name: (name[1], b"0", b"0") for name in sorted(start)}
    log = Log(state)
    for step in steps:
        log.step(*step)
    assert apply(state, arrange(log.changes, grouped=grouped)) == log.state
    assert apply(state, in_order(log.changes)) == log.state


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_a_key_stands_in_one_net_run_between_two_cuts(
    steps: list[tuple[Relation, bytes, int, Value, Value, Value]],
) -> None:
    log = Log({})
    for step in steps:
        log.step(*step)
    seen: set[tuple[int, Value]] = set()
    for run in arrange(log.changes, grouped=True):
        if not run.net:
            seen = {name for name in seen if name[0] != run.relation.id}
            continue
        for row in run.rows:
            assert (run.relation.id, row[0]) not in seen
            seen.add((run.relation.id, row[0]))


def test_a_table_without_key_keeps_every_change_in_order() -> None:
    keyless = Relation(9, "public", "k", (Column("a", TYPE),))
    changes = [
        Change(INSERT, keyless, (b"1",), None),
        Change(UPDATE, keyless, (b"2",), (b"1",)),
        Change(DELETE, keyless, None, (b"2",)),
        Change(INSERT, keyless, (b"1",), None),
    ]
    runs = arrange(changes, grouped=True)
    assert [(run.kind, run.rows, run.net) for run in runs] == [
        (INSERT, [(b"1",)], False),
        (UPDATE, [(b"2",)], False),
        (DELETE, [(b"2",)], False),
        (INSERT, [(b"1",)], False),
    ]


def test_a_sequence_no_log_holds_is_left_to_the_target() -> None:
    table = TABLES[0]
    twice = [Change(INSERT, table, (b"1", None, None), None)] * 2
    update = Change(UPDATE, table, (b"1", b"x", None), None)
    delete = Change(DELETE, table, None, (b"1", UNCHANGED, UNCHANGED))
    runs = arrange([delete, update, *twice], grouped=True)
    assert [run.kind for run in runs] == [DELETE, UPDATE, INSERT]
    assert all(not run.net for run in runs)
