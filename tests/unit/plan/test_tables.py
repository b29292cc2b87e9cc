import json

from engine.config.endpoint import WithoutIdentity
from engine.config.load import parse_table_mapping
from engine.config.mapping import EVERYTHING, TableMapping, short_mapping
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity, TableName
from engine.plan.tables import LeftOut, Reason, select


def relation(text: str, *, key: bool = True, full: bool = False) -> Relation:
    schema, name = text.split(".")
    identity = ReplicaIdentity.FULL if full else ReplicaIdentity.DEFAULT
    columns = (Column("id", ColumnType("bigint")),)
    return Relation(1, schema, name, columns, (0,) if key else (), identity)


def chosen(mapping: TableMapping, *names: str) -> list[str]:
    return [str(r.table) for r in select(map(relation, names), mapping).tables]


def mapping(*rules: tuple[str, str, str, int]) -> TableMapping:
    return parse_table_mapping(
        json.dumps(
            {
                "rules": [
                    {
                        "rule-type": "selection",
                        "rule-id": str(number),
                        "rule-name": str(number),
                        "rule-action": action,
                        "object-locator": {"schema-name": schema, "table-name": table},
                    }
                    | ({"load-order": order} if order else {})
                    for number, (action, schema, table, order) in enumerate(rules, 1)
                ]
            }
        )
    )


def test_without_rules_every_user_table_is_carried_in_order_of_name() -> None:
    assert chosen(EVERYTHING, "b.x", "a.z", "a.y") == ["a.y", "a.z", "b.x"]


def test_exclude_wins_over_include_whatever_the_order() -> None:
    rules = mapping(("exclude", "s", "t", 0), ("include", "s", "%", 0), ("explicit", "s", "t", 0))
    assert chosen(rules, "s.t", "s.u") == ["s.u"]
    assert select([relation("s.t")], rules).left_out == (
        LeftOut(TableName("s", "t"), Reason.EXCLUDED, "1"),
    )


def test_higher_load_order_comes_first() -> None:
    rules = mapping(("include", "s", "%", 0), ("include", "s", "c", 9), ("include", "s", "b", 3))
    assert chosen(rules, "s.a", "s.b", "s.c") == ["s.c", "s.b", "s.a"]


def test_control_and_system_tables_are_never_carried() -> None:
    names = [
        "penstock.checkpoint",
        "public.awsdms_status",
        "pg_catalog.pg_class",
        "information_schema.x",
        "pg_temp_3.t",
    ]
    explicit = mapping(("include", "%", "%", 0), ("explicit", "penstock", "checkpoint", 0))
    result = select(map(relation, names), explicit)
    assert result.tables == ()
    assert {each.reason for each in result.left_out} == {Reason.CONTROL, Reason.SYSTEM}


def test_a_table_named_like_the_control_schema_is_an_ordinary_one() -> None:
    assert chosen(EVERYTHING, "public.penstock", "penstock_x.t") == [
        "penstock_x.t",
        "public.penstock",
    ]


def test_a_table_without_identity_is_left_out_when_changes_are_carried() -> None:
    tables = [
        relation("s.keyless", key=False),
        relation("s.full", key=False, full=True),
        relation("s.keyed"),
    ]
    result = select(tables, EVERYTHING, without_identity=WithoutIdentity.LEAVE_OUT)
    assert [str(t) for t in result.streamed] == ["s.full", "s.keyed"]
    assert result.left_out == (LeftOut(TableName("s", "keyless"), Reason.WITHOUT_IDENTITY),)


def test_a_table_without_identity_may_be_carried_insert_only() -> None:
    tables = [relation("s.keyless", key=False), relation("s.keyed")]
    result = select(tables, EVERYTHING, without_identity=WithoutIdentity.INSERT_ONLY)
    assert result.insert_only == {TableName("s", "keyless")}
    assert [str(t) for t in result.streamed] == ["s.keyed"]
    assert len(result.tables) == 2


def test_a_load_alone_needs_no_identity() -> None:
    result = select([relation("s.keyless", key=False)], EVERYTHING)
    assert len(result.tables) == 1
    assert result.insert_only == frozenset()


def test_including_rules_that_match_nothing_are_named() -> None:
    result = select(
        [relation("public.orders")], short_mapping(("public.orders", "public.ordres"), ("x.%",))
    )
    assert result.unmatched == ("include[2]",)
    assert result.left_out == ()


def test_what_no_rule_includes_is_left_out_with_that_reason() -> None:
    result = select([relation("other.t")], short_mapping(("public.%",), ()))
    assert result.left_out == (LeftOut(TableName("other", "t"), Reason.NOT_INCLUDED),)
