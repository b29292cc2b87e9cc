"""Messages of the event triggers, as they are read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.ddl_capture_message import (
    COMPUTED,
    TOO_LONG,
    DropTold,
    EmptiedTold,
    PartitionTold,
    RewriteTold,
    TableTold,
    ToldColumn,
    UnreadTold,
    parse,
)
from engine.errors import DecodeError
from engine.model.change import SchemaStep
from engine.model.relation import Column, ColumnType, Relation, ReplicaIdentity

COLUMN = ToldColumn(3, "c", "integer", 23, -1, nullable=True, new=True)


def column(number: int, name: str, **facts: object) -> dict[str, object]:
    base = {"number": number, "name": name, "oid": 23, "mod": -1, "type": "integer"}
    return {**base, "nullable": True, "new": False, "default": None, **facts}


def table(*columns: dict[str, object], **facts: object) -> bytes:
    base = {"v": 4, "event": "table", "oid": 7, "schema": "public", "name": "t", "identity": "d"}
    raw = {**base, "primary": None, "key": None, "columns": columns, **facts}
    return json.dumps(raw).encode()


def told(content: bytes) -> TableTold:
    found = parse(content)
    assert isinstance(found, TableTold)
    return found


def test_a_table_is_the_relation_message_that_will_follow() -> None:
    message = told(table(column(1, "a"), column(4, "Ä"), key=[4])).message
    assert (message.oid, message.schema, message.name) == (7, "public", "t")
    assert [(c.name, c.identity) for c in message.columns] == [("a", False), ("Ä", True)]
    full = told(table(column(1, "a"), column(4, "b"), identity="f")).message
    assert [c.identity for c in full.columns] == [True, True]


def test_what_was_true_then_wins_over_what_the_catalog_says_now() -> None:
    found = told(table(column(2, "a", nullable=False), column(4, "b"), key=[4, 2]))
    now = Relation(7, "public", "t", tuple(
        Column(name, ColumnType("???", 23), nullable=True) for name in "ab"
    ))  # fmt: skip
    then = found.completed(now)
    assert [(c.number, c.type.name, c.nullable) for c in then.columns] == [
        (2, "integer", False),
        (4, "integer", True),
    ]
    assert then.key == (1, 0)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [(ReplicaIdentity.FULL, (0,)), (ReplicaIdentity.DEFAULT, (1,)), (ReplicaIdentity.NOTHING, ())],
)
def test_the_key_goes_by_the_replica_identity(
    identity: ReplicaIdentity, expected: tuple[int, ...]
) -> None:
    found = told(table(column(1, "a"), column(2, "b"), primary=[1], key=[2]))
    columns = tuple(Column(name, ColumnType("integer", 23)) for name in "ab")
    now = Relation(7, "public", "t", columns, replica_identity=identity)
    assert replace(found, identity=identity).completed(now).key == expected


@pytest.mark.parametrize(
    ("facts", "rewritten", "default", "detail"),
    [
        ({}, False, "", ""),
        ({}, True, "", ""),
        ({"value": "it's \\"}, False, " E'it''s \\\\'", ""),
        ({"value": ""}, True, "''", ""),
        ({"expression": "lower('A')"}, True, "lower('A')", ""),
        ({"expression": "lower('A')"}, False, "", ""),
        ({"computed": True}, True, "", COMPUTED),
        ({"computed": True}, False, "", ""),
        ({"long": True}, False, "", TOO_LONG),
    ],
)
def test_existing_rows_have_what_the_catalog_stores_or_a_rewrite_wrote(
    facts: dict[str, object], rewritten: bool, default: str, detail: str
) -> None:
    step = replace(COLUMN, **facts).added(rewritten=rewritten)  # type: ignore[arg-type]
    assert step == SchemaStep("add-column", "c", "", "integer", default, detail)


@pytest.mark.parametrize(("reason", "plain", "told"), [(4, False, True), (4, True, False),
                                                       (6, False, True), (2, False, False),
                                                       (1, False, False)])  # fmt: skip
def test_only_a_column_that_was_converted_with_using_was_computed(
    reason: int, plain: bool, told: bool
) -> None:
    assert (RewriteTold(7, reason, plain).step is not None) == told


def test_short_messages_are_read() -> None:
    assert parse(b'{"v": 4, "event": "drop", "oid": 7, "schema": "s", "name": "t"}') == DropTold(
        7, "s", "t"
    )
    moved = parse(b'{"v": 4, "event": "partition", "oid": 7, "what": "attached"}')
    assert isinstance(moved, PartitionTold)
    assert moved.step.kind == "rewrite"
    assert "a partition was attached" in moved.step.detail
    emptied = b'{"v": 4, "event": "emptied", "oid": 7, "schema": "s", "name": "t", "by": [5, 4]}'
    assert parse(emptied) == EmptiedTold(7, "s", "t", frozenset({4, 5}))
    unread = parse(b'{"v": 4, "event": "unread", "oid": 7, "sqlstate": "XX000"}')
    assert isinstance(unread, UnreadTold)
    assert "XX000" in unread.step.detail


@pytest.mark.parametrize(("version", "hint"), [(99, "use a newer"), (3, "told by an older")])
def test_another_version_is_refused_with_both_numbers(version: int, hint: str) -> None:
    with pytest.raises(DecodeError, match=f"version {version}, this program knows 4") as caught:
        parse(b'{"v": %d, "event": "anything"}' % version)
    assert hint in caught.value.hint


@given(st.one_of(st.binary(), st.recursive(
    st.one_of(st.none(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
).map(lambda raw: json.dumps(raw).encode()), st.sampled_from([
    b'{"v": 4, "event": "table", "oid": 1, "schema": "s", "name": "t", "identity": "q"}',
    b'{"v": 4, "event": "table", "columns": 3}', b'{"v": 1, "event": []}',
])))  # fmt: skip
def test_anything_else_is_a_decode_error(content: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(content)


def test_a_generated_column_in_a_key_leaves_no_key() -> None:
    """It has a number, and the log has none of its values; without them the others are no key."""
    now = Relation(7, "public", "t", (Column("a", ColumnType("integer", 23), identity=True),))
    keyed = told(table(column(1, "a"), key=[1, 2])).completed(now)
    assert (keyed.key, keyed.replica_identity) == ((), ReplicaIdentity.NOTHING)
    full = replace(now, replica_identity=ReplicaIdentity.FULL)
    whole = told(table(column(1, "a"), primary=[1, 2], identity="f")).completed(full)
    assert (whole.key, whole.replica_identity) == ((), ReplicaIdentity.FULL)
