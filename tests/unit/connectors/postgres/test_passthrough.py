"""Which pairs of types may meet."""

import pytest

from connectors.postgres.passthrough import Passage, judge
from engine.model.relation import ColumnType


def numeric(precision: int, scale: int) -> ColumnType:
    modifier = ((precision << 16) | (scale & 0x7FF)) + 4
    return ColumnType(f"numeric({precision},{scale})", 1700, modifier)


def text(name: str, oid: int, length: int = -5) -> ColumnType:
    return ColumnType(name, oid, length + 4)


INT2, INT4, INT8 = (ColumnType("i", oid) for oid in (21, 23, 20))
NUMERIC = ColumnType("numeric", 1700)
SAME, CAST, LABEL, REFUSED = Passage.SAME, Passage.CAST, Passage.LABEL, Passage.REFUSED


@pytest.mark.parametrize(
    ("source", "target", "passage"),
    [
        (INT4, INT4, SAME),
        (INT4, INT8, CAST),
        (INT8, INT4, REFUSED),
        (INT4, numeric(10, 0), CAST),
        (INT4, numeric(9, 0), REFUSED),
        (INT2, numeric(7, 2), CAST),
        (INT2, numeric(7, -2), REFUSED),
        (INT8, NUMERIC, CAST),
        (numeric(10, 2), numeric(10, 2), SAME),
        (numeric(10, 2), numeric(12, 4), CAST),
        (numeric(10, 2), numeric(11, 4), REFUSED),
        (numeric(10, 2), numeric(12, 1), REFUSED),
        (numeric(3, -2), numeric(5, 0), CAST),
        (numeric(3, -2), numeric(4, 0), REFUSED),
        (numeric(10, 2), NUMERIC, CAST),
        (NUMERIC, numeric(10, 2), REFUSED),
        (text("v", 1043, 10), text("v", 1043, 10), SAME),
        (text("v", 1043, 10), text("v", 1043, 9), REFUSED),
        (text("v", 1043, 10), text("t", 25), CAST),
        (text("t", 25), text("v", 1043), CAST),
        (text("t", 25), text("v", 1043, 10), REFUSED),
        (text("c", 1042, 5), text("c", 1042, 6), CAST),
        (text("c", 1042, 5), text("t", 25), REFUSED),
        (ColumnType("timestamp(3)", 1114, 3), ColumnType("timestamp(6)", 1114, 6), CAST),
        (ColumnType("timestamp", 1114), ColumnType("timestamp(3)", 1114, 3), REFUSED),
        (ColumnType("timestamp", 1114), ColumnType("timestamptz", 1184), REFUSED),
        (ColumnType("int4[]", 1007), ColumnType("int8[]", 1016), CAST),
        (ColumnType("int8[]", 1016), ColumnType("int4[]", 1007), REFUSED),
        (ColumnType("int4[]", 1007), INT8, REFUSED),
        (ColumnType("interval", 1186), ColumnType("interval day", 1186, 589823), REFUSED),
    ],
)
def test_built_in_types(source: ColumnType, target: ColumnType, passage: Passage) -> None:
    assert judge(source, target, 150000) is passage


def user(name: str, definition: str, oid: int = 20000) -> ColumnType:
    return ColumnType(name, oid, -1, definition)


@pytest.mark.parametrize(
    ("source", "target", "passage"),
    [
        (user("s.m", 'enum(["a"])'), user("s.m", 'enum(["a"])', 30000), SAME),
        (user("s.m", 'enum(["a"])'), user("s.m", 'enum(["a", "b"])'), LABEL),
        (user("s.m", 'enum(["a"])'), user("s.n", 'enum(["a"])'), REFUSED),
        (user("s.m", 'enum(["a"])'), text("t", 25), LABEL),
        (user("s.m", 'enum(["a"])'), text("v", 1043, 3), REFUSED),
        (
            user("s.p", 'composite("a" integer)'),
            user("s.p", 'composite("a" integer)', 9999999),
            SAME,
        ),
        (user("s.p", 'composite("a" integer)'), user("s.p", 'composite("a" bigint)'), REFUSED),
        (user("s.d", "domain(integer )"), INT4, REFUSED),
        (INT4, user("s.d", "domain(integer )"), REFUSED),
    ],
)
def test_user_types(source: ColumnType, target: ColumnType, passage: Passage) -> None:
    assert judge(source, target, 150000) is passage


@pytest.mark.parametrize(
    "definition",
    [
        'array(s.m = enum(["a"]))',
        'composite("a" integer)',
        'domain(s.m[] = array(s.m = enum(["a"])) )',
    ],
)
def test_servers_before_14_refuse_element_numbers_of_another_database(definition: str) -> None:
    column = user("s.x", definition)
    assert judge(column, column, 130000) is REFUSED
    assert judge(column, column, 140000) is SAME
