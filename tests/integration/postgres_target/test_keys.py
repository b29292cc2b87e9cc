"""What keeps a table from being split by its keys, read from a server's catalog."""

import pytest

from tests.integration.postgres_target.conftest import Rig

pytestmark = pytest.mark.in_turn

PLAIN = "CREATE TABLE t (id int PRIMARY KEY, a text, b int)"


async def obstacle(rig: Rig, *statements: str) -> str:
    """What is said of table t; empty when nothing is."""
    for statement in statements:
        rig.execute(statement)
    described = await rig.relation()
    return (await rig.target.key_obstacles([described])).get(described.table, "")


async def test_nothing_is_said_of_a_table_with_a_key_and_no_more(rig: Rig) -> None:
    assert await obstacle(rig, PLAIN, "CREATE INDEX ON t (a)") == ""


async def test_keys_of_types_whose_equality_is_that_of_bytes_are_fine(rig: Rig) -> None:
    made = (
        'CREATE TABLE t (a int2, b int8, c text, d varchar(9) COLLATE "C", e uuid, f bytea,'
        " g date, h timestamptz, PRIMARY KEY (a, b, c, d, e, f, g, h))"
    )
    assert await obstacle(rig, made) == ""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE t ADD CONSTRAINT one UNIQUE (a)", "unique index one beside the key"),
        ("CREATE UNIQUE INDEX one ON t (a) WHERE b > 0", "unique index one beside the key"),
        ("CREATE UNIQUE INDEX one ON t (lower(a))", "unique index one beside the key"),
        ("CREATE UNIQUE INDEX one ON t (id, a)", "unique index one beside the key"),
        ("ALTER TABLE t ADD CONSTRAINT one EXCLUDE (b WITH =)", "exclusion constraint one"),
        (
            "ALTER TABLE t ADD CONSTRAINT up FOREIGN KEY (b) REFERENCES t",
            "foreign key up refers to the table itself",
        ),
    ],
)
async def test_what_lets_rows_of_different_keys_meet_is_named(
    rig: Rig, statement: str, said: str
) -> None:
    assert await obstacle(rig, PLAIN, statement) == said


@pytest.mark.parametrize(
    "type_",
    ["numeric", "float8", "char(4)", "interval", "timetz", "jsonb", "inet", "int[]", "made"],
)
async def test_a_key_of_another_type_is_named(rig: Rig, type_: str) -> None:
    rig.execute("CREATE DOMAIN made AS int")
    said = await obstacle(rig, f"CREATE TABLE t (id int, k {type_}, PRIMARY KEY (id, k))")
    assert said.startswith("key column k is of type ")


async def test_a_collation_in_which_different_texts_are_equal_is_named(rig: Rig) -> None:
    said = await obstacle(
        rig,
        "CREATE COLLATION careless (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)",
        "CREATE TABLE t (k text COLLATE careless PRIMARY KEY)",
    )
    assert said == "key column k has collation careless, in which different texts may be equal"


async def test_a_unique_index_of_one_partition_counts(rig: Rig) -> None:
    made = (
        "CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF t FOR VALUES FROM (0) TO (10)",
    )
    assert await obstacle(rig, *made) == ""
    assert await obstacle(rig, "CREATE UNIQUE INDEX one ON part (a)") == (
        "unique index one beside the key"
    )


async def test_a_table_that_is_not_there_is_not_spoken_of(rig: Rig) -> None:
    rig.execute(PLAIN)
    described = await rig.relation()
    rig.execute("DROP TABLE t")
    assert await rig.target.key_obstacles([described]) == {}
