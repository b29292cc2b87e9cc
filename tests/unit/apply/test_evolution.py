"""Which schema changes are applied, which are known already, and when they become known."""

from dataclasses import replace

import pytest

from engine.apply.evolution import LEFT, Evolution
from engine.errors import SchemaChangeError, SchemaMismatchError
from engine.model import relation_text
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.state import TableRecord, TableState

ID = Column("id", ColumnType("bytes"), number=1)
MORE = Column("more", ColumnType("bytes"), number=2)
LAST = Column("last", ColumnType("bytes"), number=3)
V1 = Relation(1, "public", "t", (ID,), key=(0,))
V2 = replace(V1, columns=(ID, MORE))
V3 = replace(V1, columns=(ID, MORE, LAST))
ADD = SchemaStep("add-column", "more", type="bytes")
ADD_LAST = SchemaStep("add-column", "last", type="bytes")


class Transaction:
    """Records what it is told; `refuse` makes the next evolve fail."""

    def __init__(self) -> None:
        self.evolved: list[SchemaChanged] = []
        self.saved: list[TableRecord] = []
        self.refuse = False

    async def evolve(self, change: SchemaChanged) -> None:
        if self.refuse:
            raise SchemaMismatchError("no")
        self.evolved.append(change)

    async def save_table(self, record: TableRecord) -> None:
        self.saved.append(record)


class Told:
    def __init__(
        self,
        *,
        follow: bool = True,
        known: Relation | None = V1,
        there: Relation | None = None,
    ) -> None:
        async def described(_table: TableName) -> Relation | None:
            return there

        self.evolved: list[str] = []
        self.left: list[TableName] = []
        self.evolution = Evolution(
            {known.table: known} if known is not None else {},
            follow=follow,
            evolved=lambda table, _what: self.evolved.append(str(table)),
            left=self.left.append,
            there=described if there is not None else None,
        )

    async def apply(self, *changes: SchemaChanged, lane: str = "lane") -> Transaction:
        """One transaction of the lane, not committed."""
        transaction = Transaction()
        self.evolution.started(lane)
        for change in changes:
            await self.evolution.evolve(lane, transaction, change)  # type: ignore[arg-type]
        return transaction


def changed(
    before: Relation | None, after: Relation | None, *steps: SchemaStep, exact: bool = True
) -> SchemaChanged:
    table = (before or after or V1).table
    return SchemaChanged(table, before, after, exact, steps)


async def test_a_change_is_applied_from_the_version_that_the_target_has() -> None:
    told = Told()
    transaction = await told.apply(changed(V1, V2, ADD))
    (applied,) = transaction.evolved
    assert (applied.before, applied.after) == (V1, V2)
    (record,) = transaction.saved
    assert relation_text.parse(record.relation).columns == V2.columns


async def test_a_version_that_is_described_again_changes_nothing() -> None:
    told = Told()
    transaction = await told.apply(changed(None, V1, exact=False))
    assert (transaction.evolved, transaction.saved) == ([], [])


async def test_what_only_the_source_must_know_is_kept_for_it() -> None:
    """A default, say: no step for the target, also where changes are to stop the table."""
    v1 = replace(V1, columns=(replace(ID, number=0),))
    told = replace(v1, native="default 8", since="p2")
    transaction = await Told(follow=False, known=v1).apply(changed(v1, told))
    assert transaction.evolved == []
    (saved,) = transaction.saved
    assert relation_text.parse(saved.relation).native == "default 8"
    assert not (await Told(known=told).apply(changed(v1, told))).saved


async def test_two_changes_in_one_transaction_build_on_each_other() -> None:
    told = Told()
    transaction = await told.apply(changed(V1, V2, ADD), changed(V2, V3, ADD_LAST))
    assert [applied.before for applied in transaction.evolved] == [V1, V2]


async def test_a_version_is_known_only_once_it_is_durable() -> None:
    told = Told()
    await told.apply(changed(V1, V2, ADD))
    assert told.evolved == []
    again = await told.apply(changed(V1, V2, ADD))  # the transaction is tried again
    assert len(again.evolved) == 1
    told.evolution.committed("lane")
    assert told.evolved == ["public.t"]
    assert (await told.apply(changed(V1, V2, ADD))).evolved == []


async def test_lanes_do_not_see_what_another_has_not_committed() -> None:
    told = Told()
    await told.apply(changed(V1, V2, ADD), lane="one")
    told.evolution.committed("other")
    assert told.evolved == []


async def test_what_a_savepoint_took_back_does_not_become_known() -> None:
    told = Told()
    transaction = await told.apply(changed(V1, V2, ADD))
    told.evolution.savepoint("lane")
    await told.evolution.evolve("lane", transaction, changed(V2, V3, ADD_LAST))  # type: ignore[arg-type]
    told.evolution.rolled_back("lane")
    told.evolution.committed("lane")
    later = await told.apply(changed(V2, V3, ADD_LAST))
    assert [applied.before for applied in later.evolved] == [V2]


async def test_a_change_the_target_refuses_is_not_known() -> None:
    told = Told()
    transaction = Transaction()
    transaction.refuse = True
    with pytest.raises(SchemaMismatchError):
        await told.evolution.evolve("lane", transaction, changed(V1, V2, ADD))  # type: ignore[arg-type]
    assert transaction.saved == []


async def test_with_changes_to_be_stopped_at_none_is_applied() -> None:
    with pytest.raises(SchemaChangeError):
        await Told(follow=False).apply(changed(V1, V2, ADD))


async def test_rows_that_were_computed_anew_stop_the_table() -> None:
    with pytest.raises(SchemaChangeError):
        await Told().apply(changed(V1, V1, SchemaStep("rewrite", "id")))


async def test_a_table_without_a_known_version_begins_with_the_one_described() -> None:
    told = Told(known=None)
    transaction = await told.apply(changed(None, V1, exact=False))
    assert transaction.evolved == []
    assert [record.state for record in transaction.saved] == [TableState.STREAMING]


async def test_a_dropped_table_leaves_and_its_target_stays() -> None:
    told = Told()
    transaction = await told.apply(changed(V1, None))
    assert transaction.evolved == []
    assert [(r.state, r.reason) for r in transaction.saved] == [(TableState.NEEDS_RELOAD, LEFT)]
    assert told.left == []
    told.evolution.committed("lane")
    assert told.left == [V1.table]


async def test_another_table_of_the_same_name_is_not_taken_for_the_first() -> None:
    told = Told()
    transaction = await told.apply(changed(None, replace(V1, id=2), exact=False))
    assert [(r.state, r.reason) for r in transaction.saved] == [(TableState.NEEDS_RELOAD, LEFT)]
    told.evolution.committed("lane")
    assert told.left == [V1.table]


async def test_another_table_may_have_the_name_in_the_same_transaction() -> None:
    """Also under the same number, where a source makes that from the name."""
    told = Told()
    other = changed(None, V2)
    transaction = await told.apply(changed(V1, replace(V1, name="old")), other, other)
    assert transaction.evolved == []
    assert [(r.state, r.reason) for r in transaction.saved] == [(TableState.NEEDS_RELOAD, LEFT)]
    assert told.evolution.left("lane") == {V1.table}
    assert not told.evolution.left("another")
    told.evolution.committed("lane")
    assert (await told.apply(other)).saved == []
    told.evolution.reloaded(V2)
    assert not told.evolution.left("lane")


async def test_a_table_loaded_again_goes_on_from_its_new_version() -> None:
    told = Told()
    told.evolution.reloaded(V2)
    assert (await told.apply(changed(None, V2, exact=False))).evolved == []


@pytest.mark.parametrize(
    ("known", "after", "there", "applied"),
    [
        (V1, V2, V1, True),
        (V1, V2, V2, False),
        (V1, V2, V3, False),
        (V1, V2, replace(V2, columns=(ID, replace(MORE, type=ColumnType("other")))), True),
        (V2, V1, V1, False),
        (V2, V1, V2, True),
    ],
)
async def test_where_the_target_is_a_source_too_what_it_has_already_is_only_noted(
    known: Relation, after: Relation, there: Relation, applied: bool
) -> None:
    told = Told(known=known, there=there)
    transaction = await told.apply(SchemaChanged(after.table, known, after, False, (ADD,)))
    assert bool(transaction.evolved) == applied
    assert [relation_text.parse(record.relation) for record in transaction.saved] == [after]


async def test_rows_computed_anew_are_never_taken_for_known() -> None:
    told = Told(known=V1, there=V1)
    step = SchemaStep("rewrite-table", "", detail="values computed anew")
    with pytest.raises(SchemaChangeError):
        await told.apply(SchemaChanged(V1.table, V1, V1, True, (step,)))
