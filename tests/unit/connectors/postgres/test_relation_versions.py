"""What is told of a new version, by whom, and only once."""

from dataclasses import replace

from connectors.postgres.ddl_capture_message import (
    DropTold,
    EmptiedTold,
    RewriteTold,
    TableTold,
    ToldColumn,
    UnreadTold,
)
from connectors.postgres.relation_versions import RelationVersions
from engine.model.change import SchemaStep
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity, TableName

OID = 7


def told(*columns: str, name: str = "t", new: str = "", identity: str = "default") -> TableTold:
    """Columns as `1a`: number and name; those in `new` were added by the same transaction."""
    described = tuple(
        ToldColumn(int(text[0]), text[1:], "integer", 23, -1, nullable=True, new=text[1:] in new)
        for text in columns
    )
    return TableTold(OID, "public", name, ReplicaIdentity(identity), described, (), ())


def relation(*names: str, name: str = "t", nullable: bool = True, oid: int = 23) -> Relation:
    """As a Relation message and the catalog give it: without numbers."""
    columns = tuple(Column(n, ColumnType("integer", oid), nullable=nullable) for n in names)
    return Relation(OID, "public", name, columns)


def test_a_version_that_was_announced_is_not_told_again() -> None:
    versions = RelationVersions({})
    (event,) = versions.told(told("1a", "2b", new="b"), relation("a", "b"))
    assert event.exact
    assert event.steps == (SchemaStep("add-column", "b", type="integer"),)
    after, events = versions.described(OID, relation("a", "b", nullable=False), ())
    assert after is event.after
    assert events == []


def test_a_version_that_nobody_announced_is_told_by_its_relation_message() -> None:
    known: dict[int, Relation] = {}
    versions = RelationVersions(known)
    facts = [SchemaStep("add-column", "b")]
    after, (event,) = versions.described(OID, relation("a", "b"), facts)
    assert (event.exact, event.before, event.after, event.steps) == (False, None, after, (*facts,))
    assert known[OID] is after


def test_a_command_that_changed_nothing_tells_nothing() -> None:
    versions = RelationVersions({})
    versions.told(told("1a"), relation("a"))
    assert versions.told(told("1a"), relation("a")) == []


def test_a_column_with_the_name_and_type_of_another_is_told() -> None:
    versions = RelationVersions({})
    versions.told(told("1a", "2b"), relation("a", "b"))
    assert len(versions.told(told("1a", "3b", new="b"), relation("a", "b"))) == 1


def test_a_rewrite_is_told_although_nothing_looks_different() -> None:
    versions = RelationVersions({})
    versions.told(told("1a"), relation("a"))
    versions.rewriting(RewriteTold(OID, 4, plain=False))
    (event,) = versions.told(told("1a"), relation("a"))
    assert [step.kind for step in event.steps] == ["rewrite"]


def test_a_rewrite_counts_for_its_own_transaction_only() -> None:
    versions = RelationVersions({})
    versions.told(told("1a"), relation("a"))
    versions.rewriting(RewriteTold(OID, 4, plain=False))
    versions.begin()
    assert versions.told(told("1a"), relation("a")) == []


def test_a_rename_is_told_to_both_names() -> None:
    versions = RelationVersions({})
    versions.told(told("1a"), relation("a"))
    left, came = versions.told(told("1a", name="u"), relation("a", name="u"))
    assert (left.table, left.steps) == (TableName("public", "t"), (SchemaStep("rename-table"),))
    assert (came.table, came.before) == (TableName("public", "u"), None)


def test_a_drop_is_told_of_a_table_that_was_never_seen_too() -> None:
    (event,) = RelationVersions({}).dropped(DropTold(OID, "public", "t"))
    assert event.table == TableName("public", "t")
    assert event.before is not None
    assert (event.before.id, event.after) == (OID, None)


def test_a_table_that_could_not_be_described_is_told_at_once() -> None:
    """Of one without a row so far too: what is kept until its next row would be lost by a restart
    before it. A table that is not read is nobody's."""
    name = TableName("public", "t")
    for known in ({}, {OID: relation("a")}):
        versions = RelationVersions(dict(known), {OID: name}.get)
        (event,) = versions.unread(UnreadTold(OID, "XX000"))
        assert (event.table, event.exact) == (name, True)
        assert event.after is not None
        assert event.after.id == OID
        assert [step.kind for step in event.steps] == ["other"]
    assert RelationVersions({}).unread(UnreadTold(OID, "XX000")) == []


def test_emptied_partitions_are_told_at_once_unless_the_whole_table_was_truncated() -> None:
    emptied = EmptiedTold(OID, "public", "t", frozenset({4, 5}))
    for known in ({}, {OID: relation("a")}):
        versions = RelationVersions(dict(known))
        versions.truncated(OID, (7 << 32) + 4)
        versions.truncated(OID + 1, 5)
        (event,) = versions.emptied(emptied)
        assert (event.table, event.exact) == (TableName("public", "t"), True)
        assert event.after is not None
        assert event.after.id == OID
        assert [step.kind for step in event.steps] == ["rewrite"]
        versions.truncated(OID, 5)
        assert versions.emptied(emptied) == []


def test_an_announced_version_is_judged_by_what_the_log_says_alone() -> None:
    versions = RelationVersions({})
    versions.told(told("1a"), relation("a"))
    dropped_type = replace(relation("a"), columns=(Column("a", ColumnType("???", 23)),))
    assert versions.described(OID, dropped_type, ())[1] == []
    _, events = versions.described(OID, relation("a", oid=20), ())
    assert [event.exact for event in events] == [False]
