"""What a check finds on a memory server."""

from connectors.memory import preflight
from connectors.memory.definitions import table
from engine.model.finding import Severity
from engine.model.relation import ReplicaIdentity, TableName

NAME = TableName("public", "t")


def test_what_a_target_lacks_and_what_it_would_need_is_told() -> None:
    relation = table("public.t", ["id", "a", "b"], key=["id"]).relation
    there = table("public.t", ["id", "a", "x", "y"], key=["id"], required=["x"])
    found = preflight.of_target([relation], {NAME: there})
    assert {f.severity for f in found} == {Severity.BLOCKS}
    assert [f.subject for f in found] == ["public.t"] * 2
    assert "has no column b" in found[0].message
    assert "column x is NOT NULL" in found[1].message
    assert all(f.remedy for f in found)
    assert preflight.of_target([relation], {}) == []
    assert preflight.of_target([relation], {NAME: table("public.t", ["id", "a", "b"])}) == []


def test_what_a_source_cannot_send_is_told() -> None:
    keyless, gone = table("public.t", ["a"]), table("public.gone", ["a"], key=["a"])
    full = table("public.full", ["a"], identity=ReplicaIdentity.FULL)
    given = {made.relation.table: made for made in (keyless, full)}
    relations = [made.relation for made in (keyless, gone, full)]
    found = preflight.of_source(relations, given)
    assert [(f.check, f.severity, f.subject) for f in found] == [
        ("replica-identity", Severity.WARNS, "public.t"),
        ("table", Severity.BLOCKS, "public.gone"),
    ]
