"""Folding as a machine: a source that makes changes, a target that applies batches of their runs.

After every batch both hold the same. Tables have single and composite keys, send old rows in full
or their key only, or have no key at all; a new version may come at any time.
"""

from collections import Counter
from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.apply.fold import arrange, in_order
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity
from engine.model.value import UNCHANGED, Row, Value

WIDTH = 4

SHAPES: dict[str, tuple[tuple[int, ...], ReplicaIdentity]] = {
    "plain": ((0,), ReplicaIdentity.DEFAULT),
    "pair": ((2, 0), ReplicaIdentity.INDEX),
    "full": ((1,), ReplicaIdentity.FULL),
    "keyless": ((), ReplicaIdentity.FULL),
}

VALUES = st.sampled_from([b"", b"x", b"y", None])
KEYS = st.sampled_from([b"1", b"2", b"3"])
TABLES = st.sampled_from(list(SHAPES))
CHOICE = st.integers(0, 1 << 30)


def relation(number: int, name: str) -> Relation:
    key, identity = SHAPES[name]
    full = identity is ReplicaIdentity.FULL
    columns = tuple(
        Column(f"c{place}", ColumnType("x"), identity=full or place in key)
        for place in range(WIDTH)
    )
    return Relation(number, "public", name, columns, key, identity)


def overlay(had: Row, row: Row) -> Row:
    return tuple(h if v is UNCHANGED else v for v, h in zip(row, had, strict=True))


class Target:
    """Refuses what a server refuses: two rows of one key, and a change of no row."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[Row]] = {name: Counter() for name in SHAPES}

    def apply(self, runs: Sequence[Run]) -> None:
        for run in runs:
            for index, row in enumerate(run.rows):
                old = None if run.olds is None else run.olds[index]
                self._change(run, row, old)

    def _change(self, run: Run, row: Row, old: Row | None) -> None:
        rows = self.rows[run.relation.name]
        if run.kind != INSERT:
            named = row if run.kind == DELETE or old is None else old
            had = self._find(run.relation, rows, named)
            rows[had] -= 1
            rows += Counter()
            if run.kind == DELETE:
                return
            assert run.sent == tuple(i for i, value in enumerate(row) if value is not UNCHANGED)
            row = overlay(had, row)
        assert UNCHANGED not in row
        key = run.relation.key_of(row)
        assert not key or all(run.relation.key_of(other) != key for other in rows.elements())
        rows[row] += 1

    @staticmethod
    def _find(relation: Relation, rows: Counter[Row], named: Row) -> Row:
        """By the key, or by the whole image of a table without one."""
        if not relation.key:
            assert rows[named] > 0
            return named
        (found,) = [
            row for row in rows.elements() if relation.key_of(row) == relation.key_of(named)
        ]
        return found


class Folding(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.relations = {name: relation(n, name) for n, name in enumerate(SHAPES, 1)}
        self.source: dict[str, list[Row]] = {name: [] for name in SHAPES}
        self.pending: list[Change] = []
        self.folded, self.plain = Target(), Target()

    @initialize(rows=st.lists(st.tuples(TABLES, KEYS, KEYS, VALUES), max_size=6))
    def begin(self, rows: list[tuple[str, bytes, bytes, Value]]) -> None:
        for table, a, b, value in rows:
            self.insert(table, a, b, value)
        self.flush(grouped=False)

    # --- the source ---------------------------------------------------------------------------

    @rule(table=TABLES, a=KEYS, b=KEYS, value=VALUES)
    def insert(self, table: str, a: bytes, b: bytes, value: Value) -> None:
        row: Row = (a, b, a, value)
        if self._free(table, row):
            self.source[table].append(row)
            self._log(INSERT, table, row, None)

    @rule(table=TABLES, which=CHOICE, value=VALUES, kept=st.booleans())
    def update(self, table: str, which: int, value: Value, kept: bool) -> None:
        """A value of no key; `kept`: another value travels as UNCHANGED."""
        if (had := self._pick(table, which)) is None:
            return
        new = (*had[:3], value)
        self._replace(table, had, new, {3} if kept and had[3] == value else set[int]())

    @rule(table=TABLES, which=CHOICE)
    def update_nothing(self, table: str, which: int) -> None:
        """All that is not of the key travels as UNCHANGED."""
        if (had := self._pick(table, which)) is not None:
            key = self.relations[table].key
            self._replace(table, had, had, set(range(WIDTH)).difference(key))

    @rule(table=TABLES, which=CHOICE, a=KEYS, b=KEYS, kept=st.booleans())
    def move(self, table: str, which: int, a: bytes, b: bytes, kept: bool) -> None:
        """To another key, with a large value that travels as UNCHANGED."""
        if (had := self._pick(table, which)) is None:
            return
        new = (a, b, had[2], had[3])
        if self.relations[table].key_of(new) == self.relations[table].key_of(had):
            return
        if self._free(table, new):
            self._replace(table, had, new, {3} if kept else set[int]())

    @rule(table=TABLES, which=CHOICE)
    def delete(self, table: str, which: int) -> None:
        if (had := self._pick(table, which)) is not None:
            self.source[table].remove(had)
            self._log(DELETE, table, None, self._old(table, had))

    @rule(table=TABLES, which=CHOICE, value=VALUES)
    def replace(self, table: str, which: int, value: Value) -> None:
        """Deleted, and inserted again with another value."""
        if (had := self._pick(table, which)) is not None:
            self.delete(table, which)
            self.insert(table, had[0] or b"", had[1] or b"", value)

    @rule(table=TABLES)
    def version(self, table: str) -> None:
        """The same table described again as another version: its changes fold apart."""
        self.relations[table] = relation(self.relations[table].id, table)

    # --- the target -------------------------------------------------------------------------------

    @precondition(lambda self: self.pending)
    @rule(grouped=st.booleans())
    def flush(self, grouped: bool) -> None:
        """Versions are barriers: a batch that gathers holds one of each table."""
        batch, self.pending = self.pending, []
        several = len({(change.relation.id, id(change.relation)) for change in batch}) > len(
            {change.relation.id for change in batch}
        )
        before = list(batch)
        self.folded.apply(arrange(batch, grouped=grouped and not several))
        self.plain.apply(in_order(batch))
        assert batch == before
        expected = {name: Counter(rows) for name, rows in self.source.items()}
        assert self.folded.rows == expected
        assert self.plain.rows == expected

    @invariant()
    def a_net_run_names_a_key_once(self) -> None:
        for grouped in (False, True):
            for run in arrange(self.pending, grouped=grouped):
                keys = [run.relation.key_of(row) for row in run.rows if run.relation.key]
                assert not run.net or len(set(keys)) == len(keys)
                assert not run.net or run.relation.key or run.kind == INSERT

    # --- how changes are logged -------------------------------------------------------------------

    def _pick(self, table: str, which: int) -> Row | None:
        rows = self.source[table]
        return rows[which % len(rows)] if rows else None

    def _free(self, table: str, row: Row) -> bool:
        relation = self.relations[table]
        key = relation.key_of(row)
        return not key or all(relation.key_of(other) != key for other in self.source[table])

    def _old(self, table: str, had: Row) -> Row:
        relation = self.relations[table]
        return tuple(
            value if column.identity else UNCHANGED
            for value, column in zip(had, relation.columns, strict=True)
        )

    def _replace(self, table: str, had: Row, new: Row, kept: set[int]) -> None:
        relation = self.relations[table]
        rows = self.source[table]
        rows[rows.index(had)] = new
        full = relation.replica_identity is ReplicaIdentity.FULL
        sent: Row = tuple(UNCHANGED if i in kept and not full else v for i, v in enumerate(new))
        moved = relation.key_of(had) != relation.key_of(new)
        self._log(UPDATE, table, sent, self._old(table, had) if full or moved else None)

    def _log(self, kind: int, table: str, new: Row | None, old: Row | None) -> None:
        self.pending.append(Change(kind, self.relations[table], new, old))


Folding.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestFolding = Folding.TestCase
