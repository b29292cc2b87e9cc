"""Lane groups and checkpoint names."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model.relation import TableName
from engine.plan.lanes import WHOLE, checkpoint_name, groups

NAMES = st.text(st.sampled_from('ab."*:_'), min_size=1, max_size=4)
TABLES = st.builds(TableName, NAMES, NAMES)


def t(name: str) -> TableName:
    return TableName("public", name)


@given(TABLES, TABLES)
def test_no_two_tables_share_a_checkpoint_name(one: TableName, other: TableName) -> None:
    assert (checkpoint_name(one) == checkpoint_name(other)) == (one == other)


@given(TABLES)
def test_no_table_has_the_name_of_another_kind_of_checkpoint(table: TableName) -> None:
    assert checkpoint_name(table) not in (WHOLE, "frontier")
    assert not checkpoint_name(table).startswith(("load:", "finish:"))


def test_plain_names_are_not_quoted() -> None:
    assert checkpoint_name(t("a")) == "public.a"


def test_tables_without_foreign_keys_are_alone() -> None:
    assert groups([t("b"), t("a")], []) == [(t("a"),), (t("b"),)]


def test_foreign_keys_tie_tables_also_over_a_third() -> None:
    keys = [(t("c"), t("b")), (t("b"), t("a"))]
    assert groups([t("a"), t("b"), t("c"), t("d")], keys) == [(t("a"), t("b"), t("c")), (t("d"),)]


def test_a_table_that_is_not_carried_ties_nothing() -> None:
    keys = [(t("a"), t("out")), (t("b"), t("out"))]
    assert groups([t("a"), t("b")], keys) == [(t("a"),), (t("b"),)]


@given(st.lists(st.tuples(TABLES, TABLES), max_size=8), st.permutations(range(4)))
def test_groups_do_not_depend_on_the_order_of_what_is_given(
    keys: list[tuple[TableName, TableName]], order: list[int]
) -> None:
    tables = sorted({table for key in keys for table in key})
    found = groups(tables, keys)
    assert groups(reversed(tables), list(reversed(keys))) == found
    assert sorted(table for group in found for table in group) == tables
    assert all(any(child in group and parent in group for group in found) for child, parent in keys)
