import pytest

from connectors.mysql import postgres_ddl
from connectors.mysql.postgres_ddl import Reference
from engine.model.table import Definition


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7", "7"),
        ("1.5", "1.5"),
        ("'-3'::integer", "'-3'"),
        ("(-3)", "-3"),
        ("'it''s'::text", "'it''s'"),
        ("'it''s'", "'it''s'"),
        (r"E'a\\b'", "_utf8mb4 x'615c62'"),
        (r"'a\\b'", "_utf8mb4 x'615c5c62'"),
        ("'x'::character varying(20)", "'x'"),
        ("true", "1"),
        ("now()", "CURRENT_TIMESTAMP(6)"),
        ("nextval('s'::regclass)", None),
        ("'a' || 'b'", None),
        (r"E'\n'", None),
    ],
)
def test_defaults(expression: str, expected: str | None) -> None:
    assert postgres_ddl.default(expression) == expected


def test_a_foreign_key() -> None:
    statement = (
        'ALTER TABLE s.t ADD CONSTRAINT f FOREIGN KEY (a, "B c") REFERENCES "S"."P q"(x, "y""z")'
        " ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE"
    )
    assert postgres_ddl.reference(Definition("f", statement)) == Reference(
        ("a", "B c"), ("x", 'y"z'), "CASCADE", "SET NULL"
    )


@pytest.mark.parametrize(
    ("statement", "columns", "unique", "plain"),
    [
        ("CREATE UNIQUE INDEX i ON s.t USING btree (a)", ("a",), True, True),
        ("CREATE UNIQUE INDEX i ON s.t USING btree (a) WHERE b", ("a",), False, False),
        ("CREATE INDEX i ON s.t USING btree (lower(a))", ("",), False, False),
        ("CREATE INDEX i ON s.t USING gin (a)", ("a",), False, False),
        ("ALTER TABLE s.t ADD CONSTRAINT u UNIQUE (a)", ("a",), True, False),
        ("ALTER TABLE s.t ADD CONSTRAINT c CHECK ((a > 0))", ("a",), False, False),
    ],
)
def test_indexes(statement: str, columns: tuple[str, ...], unique: bool, plain: bool) -> None:
    definition = Definition("i", statement, columns)
    assert postgres_ddl.is_unique(definition) is unique
    assert postgres_ddl.is_plain_index(definition) is plain
