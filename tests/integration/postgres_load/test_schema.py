"""Tables described on one server and made on another."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import pytest

from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import ensure
from connectors.postgres.finish import finish
from connectors.postgres.load_connection import Connection
from connectors.postgres.target_state import empty, foreign_keys
from connectors.postgres.user_types import MULTIRANGES_FROM, without_multirange
from engine.errors import ConfigError, SchemaMismatchError
from engine.model.finding import Severity
from engine.model.relation import TableName
from engine.model.table import TableDefinition
from tests.integration.postgres_load.conftest import Relations
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

Describe: TypeAlias = Callable[[], Awaitable[Sequence[TableDefinition]]]

SCHEMA = """
CREATE SCHEMA "Odd s""x";
CREATE TYPE "Odd s""x"."Mood" AS ENUM ('ok', 'it''s', 'back\\slash');
CREATE DOMAIN positive AS int DEFAULT 3 NOT NULL CHECK (VALUE > 0);
CREATE TYPE pair AS (a positive, m "Odd s""x"."Mood", t text COLLATE "C");
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE SEQUENCE shared START 100;
CREATE TABLE parent (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2),
  code text CONSTRAINT "Code" UNIQUE DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE "Odd s""x"."Kid 1" (
  "A b" serial,
  p bigint REFERENCES parent (id) ON DELETE CASCADE DEFERRABLE,
  m "Odd s""x"."Mood" DEFAULT 'ok',
  pairs pair[], s span, d positive,
  n numeric(10,2) DEFAULT 1.5 CHECK (n > 0),
  tc text COLLATE "C" NOT NULL DEFAULT 'x''y',
  g int GENERATED ALWAYS AS (n * 2) STORED,
  q int DEFAULT nextval('shared'),
  PRIMARY KEY ("A b"),
  EXCLUDE USING gist (s WITH &&)
);
CREATE INDEX "Lower" ON "Odd s""x"."Kid 1" (lower(tc)) WHERE n > 1;
CREATE UNIQUE INDEX ON "Odd s""x"."Kid 1" (tc, q DESC) INCLUDE (m);
INSERT INTO parent (code) VALUES ('a'), ('b');
INSERT INTO "Odd s""x"."Kid 1" (p, tc) VALUES (5, 'one'), (7, 'two');
"""

KID = TableName('Odd s"x', "Kid 1")
PARENT = TableName("public", "parent")


@pytest.fixture
def describe(source: Connection, relations: Relations) -> Describe:
    async def read() -> Sequence[TableDefinition]:
        return await read_definitions(source, list((await relations()).values()))

    return read


def copied(definition: TableDefinition) -> tuple[object, ...]:
    """What must be equal on both sides: everything but sizes, OIDs, places in sequences, and the
    multirange that only one of two servers may have."""
    sequences = [(s.name, s.column, s.create) for s in definition.sequences]
    return (
        definition.columns,
        definition.primary_key,
        definition.indexes,
        definition.constraints,
        definition.foreign_keys,
        sequences,
        [(t.kind, t.name, without_multirange(t)) for t in definition.types],
    )


async def test_a_schema_made_from_definitions_has_the_same_definitions(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(SCHEMA)
    versions = (
        int(source_database.execute("SHOW server_version_num")[0][0]),
        int(await target.fetchval("SHOW server_version_num")),
    )
    both_have_multiranges = min(versions) >= MULTIRANGES_FROM
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    assert await finish(target, definitions) == []
    made = await read_definitions(target, [d.relation for d in definitions])
    assert [d.table for d in made] == [d.table for d in definitions] == [KID, PARENT]
    for ours, theirs in zip(definitions, made, strict=True):
        assert copied(theirs) == copied(ours)
        if both_have_multiranges:
            assert theirs.types == ours.types


async def test_making_and_finishing_again_changes_nothing(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(SCHEMA)
    definitions = await describe()
    for _ in range(2):
        await ensure(target, definitions, "do-nothing")
        assert await finish(target, definitions) == []
    assert len(await foreign_keys(target)) == 1


async def test_sequences_go_on_after_the_sources_last_value_and_never_back(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(SCHEMA)
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    await finish(target, definitions)
    insert = """INSERT INTO "Odd s""x"."Kid 1" (tc, q) VALUES ('three', 9) RETURNING "A b" """
    assert await target.fetchval(insert) == 3
    parent = "INSERT INTO public.parent (code) VALUES ('c') RETURNING id"
    assert await target.fetchval(parent) == 9
    await finish(target, definitions)
    assert await target.fetchval(insert.replace("three", "four").replace("9", "10")) == 4
    assert await target.fetchval("SELECT nextval('public.shared')") == 102


async def test_before_the_end_only_the_key_is_there(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(SCHEMA)
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    made = await read_definitions(target, [d.relation for d in definitions])
    for definition in made:
        assert definition.primary_key is not None
        assert (definition.indexes, definition.constraints, definition.foreign_keys) == ((), (), ())


async def test_a_table_without_primary_key_has_its_replica_identity_index_at_once(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(
        "CREATE TABLE t (a int NOT NULL, b int NOT NULL); CREATE UNIQUE INDEX u ON t (b, a);"
        "ALTER TABLE t REPLICA IDENTITY USING INDEX u"
    )
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    (made,) = await read_definitions(target, [d.relation for d in definitions])
    assert [index.name for index in made.indexes] == ["u"]
    assert await finish(target, definitions) == []


async def test_a_partitioned_table_becomes_a_plain_one(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(
        "CREATE TABLE t (k int PRIMARY KEY, v text) PARTITION BY RANGE (k);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE INDEX i ON t (v)"
    )
    definitions = await describe()
    assert definitions[0].partition_key == "RANGE (k)"
    await ensure(target, definitions, "do-nothing")
    assert await finish(target, definitions) == []
    assert await target.fetchval("SELECT relkind FROM pg_class WHERE relname = 't'") == b"r"
    assert await target.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid='public.i'::regclass"
    )


async def test_every_mismatch_is_told_at_once_and_nothing_is_changed(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(
        "CREATE TABLE a (k bigint PRIMARY KEY, v text); CREATE TABLE b (k int PRIMARY KEY, w int);"
        "CREATE TYPE m AS ENUM ('x', 'y'); CREATE TABLE c (k m PRIMARY KEY); CREATE TABLE d (k int)"
    )
    target_database.execute(
        "CREATE TABLE a (k int PRIMARY KEY, v text); CREATE TABLE b (k int PRIMARY KEY,"
        " e int NOT NULL); CREATE TYPE m AS ENUM ('x'); CREATE VIEW d AS SELECT 1 AS k"
    )
    with pytest.raises(SchemaMismatchError) as raised:
        await ensure(target, await describe(), "do-nothing")
    for part in (
        "column k of public.a is bigint on the source and integer on the target",
        "column w of public.b is missing on the target; add it as integer",
        "column e of public.b exists on the target only",
        "type public.m is defined differently on the target",
        "public.d is a view on the target",
    ):
        assert part in raised.value.message
    assert await target.fetchval("SELECT to_regclass('public.c')") is None


async def test_wider_columns_and_columns_of_their_own_are_left_in_peace(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY, v varchar(10), g int)")
    shape = "CREATE TABLE t (k bigint PRIMARY KEY, own timestamp DEFAULT now(), g int, v text)"
    target_database.execute(shape)
    await ensure(target, await describe(), "do-nothing")
    assert await finish(target, await describe()) == []


async def test_a_column_generated_on_both_sides_is_no_mismatch(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    table = "CREATE TABLE t (k int PRIMARY KEY, g int GENERATED ALWAYS AS (k * 2) STORED)"
    source_database.execute(table)
    target_database.execute(table)
    await ensure(target, await describe(), "do-nothing")


@pytest.mark.parametrize("prepare", ["truncate", "drop-and-create"])
async def test_tables_tied_to_each_other_are_emptied_together(
    source_database: Database,
    target_database: Database,
    target: Connection,
    describe: Describe,
    prepare: str,
) -> None:
    tables = (
        "CREATE TABLE a (k int PRIMARY KEY); CREATE TABLE b (k int PRIMARY KEY REFERENCES a);"
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)"
    )
    source_database.execute(tables)
    target_database.execute(tables)
    names = [TableName("public", "a"), TableName("public", "b")]
    assert [await empty(target, name) for name in names] == [False, False]
    await ensure(target, await describe(), prepare)
    assert [await empty(target, name) for name in names] == [True, True]
    assert bool(await foreign_keys(target)) is (prepare == "truncate")


async def test_what_depends_on_a_table_is_never_dropped_with_it(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY)")
    target_database.execute(
        "CREATE TABLE t (k int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t;"
        "CREATE TABLE other (k int REFERENCES t)"
    )
    for prepare in ("drop-and-create", "truncate"):
        with pytest.raises(SchemaMismatchError, match=r"public\.t"):
            await ensure(target, await describe(), prepare)
    assert await target.fetchval("SELECT to_regclass('public.v') IS NOT NULL")


async def test_drop_and_create_makes_the_sources_shape(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY, v text)")
    target_database.execute("CREATE TABLE t (other text NOT NULL)")
    await ensure(target, await describe(), "drop-and-create")
    (made,) = await read_definitions(target, [d.relation for d in await describe()])
    assert [column.name for column in made.columns] == ["k", "v"]


async def test_an_unknown_preparation_is_refused(target: Connection) -> None:
    with pytest.raises(ConfigError, match=r"load\.prepare"):
        await ensure(target, [], "wipe")


async def test_a_default_that_calls_a_missing_function_is_left_out_and_told(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    function = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    source_database.execute(
        f"{function} CREATE TABLE t (k int PRIMARY KEY, v int DEFAULT f(), w int DEFAULT 2)"
    )
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    (finding,) = await finish(target, definitions)
    assert (finding.check, finding.severity) == ("default", Severity.WARNS)
    assert "default v of public.t" in finding.message
    assert finding.remedy == 'ALTER TABLE "public"."t" ALTER COLUMN "v" SET DEFAULT public.f()'
    target_database.execute(function)
    assert await finish(target, definitions) == []
    await target.execute("INSERT INTO public.t (k) VALUES (1)")
    assert tuple(await target.fetchrow("SELECT v, w FROM public.t") or ()) == (1, 2)


async def test_what_rows_contradict_is_a_finding_and_the_rest_is_made(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(
        "CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE t (k int PRIMARY KEY, u int UNIQUE,"
        " r int REFERENCES p, c int CHECK (c > 0)); CREATE INDEX i ON t (c)"
    )
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    await target.execute("INSERT INTO public.t VALUES (1, 777, 777, -777), (2, 777, NULL, 1)")
    findings = await finish(target, definitions)
    assert [f.check for f in findings] == ["constraint", "constraint", "foreign-key"]
    assert all(f.subject == "public.t" and f.remedy.startswith("ALTER TABLE") for f in findings)
    assert not any("777" in f.message + f.remedy for f in findings)
    assert await foreign_keys(target) == []
    made = {
        d.table.name: d for d in await read_definitions(target, [d.relation for d in definitions])
    }
    assert [index.name for index in made["t"].indexes] == ["i"]
    await target.execute("DELETE FROM public.t WHERE k = 1")
    assert await finish(target, definitions) == []
    assert len(await foreign_keys(target)) == 1


async def test_an_interrupted_validation_is_taken_up_again(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    source_database.execute(
        "CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE t (k int PRIMARY KEY,"
        " r int CONSTRAINT f REFERENCES p)"
    )
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    await target.execute(
        "ALTER TABLE public.t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES public.p NOT VALID"
    )
    assert await finish(target, definitions) == []
    assert await target.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'f'")


async def test_a_foreign_key_to_a_table_that_is_not_copied_is_left_out(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    source_database.execute(
        "CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE t (k int PRIMARY KEY REFERENCES p)"
    )
    found = await relations()
    (alone,) = await read_definitions(source, [found["public.t"]])
    assert alone.foreign_keys == ()


async def test_foreign_keys_tell_which_fire_in_apply_sessions(
    target_database: Database, target: Connection
) -> None:
    target_database.execute(
        "CREATE TABLE p (k int PRIMARY KEY) PARTITION BY HASH (k);"
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE t (k int PRIMARY KEY REFERENCES p, up int REFERENCES t);"
        "CREATE TABLE never (k int PRIMARY KEY);"
        "CREATE TABLE always (k int REFERENCES t);"
        "CREATE TABLE off (k int PRIMARY KEY REFERENCES never);"
    )
    for trigger in await target.fetch(TRIGGERS, "always", "t"):
        await target.execute(f'ALTER TABLE {trigger[0]} ENABLE ALWAYS TRIGGER "{trigger[1]}"')
    for trigger in await target.fetch(TRIGGERS, "off", "never"):
        await target.execute(f'ALTER TABLE {trigger[0]} DISABLE TRIGGER "{trigger[1]}"')

    def enforced(replica: bool) -> dict[tuple[str, str], bool]:
        keys = found[replica]
        return {(key.child.name, key.parent.name): key.enforced for key in keys}

    found = {replica: await foreign_keys(target, replica=replica) for replica in (False, True)}
    origin = {("always", "t"): True, ("off", "never"): False, ("t", "p"): True}
    assert enforced(False) == origin
    assert enforced(True) == {**origin, ("t", "p"): False}


TRIGGERS = """
SELECT t.tgrelid::regclass, t.tgname
FROM pg_trigger t JOIN pg_constraint c ON c.oid = t.tgconstraint
WHERE c.conrelid = ('public.' || $1::text)::regclass
  AND c.confrelid = ('public.' || $2::text)::regclass
"""
"""Triggers of a foreign key, on both of its tables."""


async def test_an_absent_table_is_empty(target: Connection) -> None:
    assert await empty(target, TableName("public", "gone"))


async def test_extensions_come_with_their_types(
    source_database: Database, target_database: Database, target: Connection, describe: Describe
) -> None:
    available = "SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"
    if not (source_database.execute(available) and target_database.execute(available)):
        pytest.skip("citext is not available on both servers")
    source_database.execute("CREATE EXTENSION citext; CREATE TABLE t (k citext PRIMARY KEY)")
    await ensure(target, await describe(), "do-nothing")
    await target.execute("INSERT INTO public.t VALUES ('A')")


async def test_what_only_newer_servers_have_is_made_as_far_as_the_target_can(
    source_database: Database, target: Connection, describe: Describe
) -> None:
    if source_database.cluster.major != "18":
        pytest.skip("virtual columns, NOT VALID for NOT NULL and NOT ENFORCED came with 18")
    source_database.execute(
        "CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE t (k int PRIMARY KEY, v int,"
        " g int GENERATED ALWAYS AS (k * 2) VIRTUAL, r int REFERENCES p NOT ENFORCED);"
        "INSERT INTO t VALUES (1, NULL); ALTER TABLE t ADD CONSTRAINT n NOT NULL v NOT VALID"
    )
    definitions = await describe()
    await ensure(target, definitions, "do-nothing")
    findings = await finish(target, definitions)
    new = target.get_server_version().major >= 18
    assert [finding.check for finding in findings] == ([] if new else ["foreign-key"])
    await target.execute("INSERT INTO public.t VALUES (1, NULL)")
    assert await target.fetchval("SELECT g FROM public.t") == 2


async def test_estimates_grow_with_the_table(source_database: Database, describe: Describe) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY, pad text)")
    source_database.execute(
        "INSERT INTO t SELECT g, 'x' FROM generate_series(1, 5000) g; ANALYZE t"
    )
    (definition,) = await describe()
    assert definition.rows_estimated == pytest.approx(5000, rel=0.1)
    assert definition.bytes_estimated > 100_000
