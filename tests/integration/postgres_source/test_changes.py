"""What the stream tells of every kind of change, judged on real servers."""

from pathlib import Path

import psycopg
import pytest

from connectors.postgres.config import TextMode
from connectors.postgres.server import BINARY_FROM
from connectors.postgres.source import create
from engine.config.endpoint import Origin
from engine.config.load import parse_replication
from engine.model.change import DELETE, INSERT, UPDATE, Change, SchemaChanged, Truncate
from engine.model.relation import Format, ReplicaIdentity
from engine.model.value import UNCHANGED
from engine.seams import SystemClock, SystemRandom
from tests.integration.postgres_source.conftest import Connect
from tests.servers.postgres import Database

LONG = "x" * 9000


def texts(change: object) -> tuple[int, object, object]:
    assert isinstance(change, Change)
    return change.kind, change.new, change.old


async def test_default_identity_tells_the_key_only_where_it_matters(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY, a text)")
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute(
        "INSERT INTO t VALUES ('1', 'a'), ('2', NULL); UPDATE t SET a = 'b' WHERE id = '1';"
        "UPDATE t SET id = '3' WHERE id = '2'; DELETE FROM t WHERE id = '3'"
    )
    assert list(map(texts, await client.changes())) == [
        (INSERT, (b"1", b"a"), None),
        (INSERT, (b"2", None), None),
        (UPDATE, (b"1", b"b"), None),
        (UPDATE, (b"3", None), (b"2", UNCHANGED)),
        (DELETE, None, (b"3", UNCHANGED)),
    ]


async def test_an_identity_index_is_the_key(source_database: Database, connect: Connect) -> None:
    source_database.execute(
        "CREATE TABLE t (id text PRIMARY KEY, a text NOT NULL, b text NOT NULL);"
        "CREATE UNIQUE INDEX k ON t (b, a); ALTER TABLE t REPLICA IDENTITY USING INDEX k"
    )
    client = await connect(source_database)
    (relation,) = await client.source.relations()
    assert (relation.key, relation.replica_identity) == ((2, 1), ReplicaIdentity.INDEX)
    await client.attach("t")
    source_database.execute(
        "INSERT INTO t VALUES ('1', 'a', 'b'); UPDATE t SET id = '2';"
        "UPDATE t SET a = 'c'; DELETE FROM t"
    )
    inserted, *rest = await client.rows()
    assert inserted.relation == relation
    assert list(map(texts, rest)) == [
        (UPDATE, (b"2", b"a", b"b"), None),
        (UPDATE, (b"2", b"c", b"b"), (UNCHANGED, b"a", b"b")),
        (DELETE, None, (UNCHANGED, b"c", b"b")),
    ]


@pytest.mark.parametrize(("primary", "key"), [("PRIMARY KEY", (0,)), ("", ())])
async def test_full_identity_tells_whole_old_rows(
    source_database: Database, connect: Connect, primary: str, key: tuple[int, ...]
) -> None:
    source_database.execute(
        f"CREATE TABLE t (id text {primary}, a text, b text);"
        "ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t ALTER b SET STORAGE EXTERNAL"
    )
    client = await connect(source_database)
    (relation,) = await client.source.relations()
    assert (relation.key, relation.replica_identity) == (key, ReplicaIdentity.FULL)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES ('1', NULL, repeat('x', 9000))")
    source_database.execute("UPDATE t SET a = 'z'; DELETE FROM t")
    long = LONG.encode()
    rows = await client.rows()
    assert rows[0].relation == relation
    assert list(map(texts, rows[1:])) == [
        (UPDATE, (b"1", b"z", long), (b"1", None, long)),
        (DELETE, None, (b"1", b"z", long)),
    ]


async def test_what_the_log_leaves_out_of_an_update_is_unchanged(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE t (id text PRIMARY KEY, a text, b text);"
        "ALTER TABLE t ALTER b SET STORAGE EXTERNAL"
    )
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES ('1', 'a', repeat('x', 9000))")
    source_database.execute("UPDATE t SET a = NULL; UPDATE t SET id = '2'")
    assert [row.new for row in await client.rows()] == [
        (b"1", b"a", LONG.encode()),
        (b"1", None, UNCHANGED),
        (b"2", None, UNCHANGED),
    ]


async def test_a_key_that_the_log_leaves_out_of_an_update_is_taken_from_the_old_one(
    source_database: Database, connect: Connect
) -> None:
    """A key of over 2 KB is stored apart from its row, and is not sent again with the new one."""
    source_database.execute(
        "CREATE TABLE t (id text PRIMARY KEY, a text);"
        "ALTER TABLE t ALTER id SET STORAGE EXTERNAL; INSERT INTO t VALUES (repeat('x', 2500), 'a')"
    )
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute("UPDATE t SET a = 'b'")
    key = b"x" * 2500
    assert list(map(texts, await client.rows())) == [(UPDATE, (key, b"b"), (key, UNCHANGED))]


async def test_a_table_without_identity_is_carried_with_its_inserts_and_never_hurt(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text, a text); CREATE TABLE k (id int PRIMARY KEY)")
    client = await connect(source_database, insert_only=True)
    relations = {r.name: r for r in await client.source.relations()}
    assert (relations["t"].key, relations["t"].replica_identity) == ((), ReplicaIdentity.NOTHING)
    await client.attach("k", inserts=["t"])
    source_database.execute("INSERT INTO t VALUES ('1', 'a')")
    source_database.execute("UPDATE t SET a = 'b'; DELETE FROM t; TRUNCATE t")
    changes = await client.changes()
    assert texts(changes[0]) == (INSERT, (b"1", b"a"), None)
    assert isinstance(changes[1], Truncate)
    assert len(changes) == 2


async def test_truncate_tells_its_tables_and_options(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY REFERENCES p)"
    )
    client = await connect(source_database)
    await client.attach("p", "c")
    source_database.execute("TRUNCATE p CASCADE")
    source_database.execute("TRUNCATE c RESTART IDENTITY")
    first, second = await client.changes()
    assert isinstance(first, Truncate)
    assert isinstance(second, Truncate)
    assert {r.name for r in first.relations} == {"p", "c"}
    assert (first.cascade, first.restart_identity) == (True, False)
    assert (second.cascade, second.restart_identity) == (False, True)


async def test_partitions_are_told_as_their_root_in_its_column_order(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE t (id text, a text, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE t1 (a text, id text NOT NULL);"
        "ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM ('a') TO ('k')"
    )
    client = await connect(source_database)
    assert [r.name for r in await client.source.relations()] == ["t"]
    await client.attach("t")
    source_database.execute("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('k') TO ('z')")
    source_database.execute("INSERT INTO t VALUES ('b', 'a'); UPDATE t SET id = 'x'; DELETE FROM t")
    rows = await client.rows()
    assert {row.relation.name for row in rows} == {"t"}
    assert list(map(texts, rows)) == [
        (INSERT, (b"b", b"a"), None),
        (DELETE, None, (b"b", UNCHANGED)),
        (INSERT, (b"x", b"a"), None),
        (DELETE, None, (b"x", UNCHANGED)),
    ]


async def test_a_root_whose_partitions_log_less_than_it_says_has_no_usable_identity(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE t (id int, a text) PARTITION BY RANGE (id);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);"
        "ALTER TABLE t REPLICA IDENTITY FULL"
    )
    client = await connect(source_database)
    (relation,) = await client.source.relations()
    assert relation.replica_identity is ReplicaIdentity.NOTHING
    source_database.execute("ALTER TABLE t1 REPLICA IDENTITY FULL")
    (relation,) = await client.source.relations()
    assert relation.replica_identity is ReplicaIdentity.FULL


ODD = ["qu\"ote's", "sp ace.dot", "UPPER", "ü" * 31, "n" * 63, "日本", "back\\slash"]


@pytest.mark.parametrize("odd", ODD)
async def test_odd_names_come_through(
    source_database: Database, connect: Connect, odd: str
) -> None:
    quoted = '"' + odd.replace('"', '""') + '"'
    source_database.execute(
        f"CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} ({quoted} text PRIMARY KEY)"
    )
    client = await connect(source_database)
    (relation,) = await client.source.relations()
    await client.source.attach([relation.table], [])
    client.after = (await client.source.attach([relation.table], [])).start
    source_database.execute(f"INSERT INTO {quoted}.{quoted} VALUES ('1')")
    (row,) = await client.rows()
    assert row.relation == relation
    assert (relation.schema, relation.name, relation.columns[0].name) == (odd, odd, odd)


async def test_each_row_comes_with_the_version_of_its_moment(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY, a text)")
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute(
        "INSERT INTO t VALUES ('1', 'a'); ALTER TABLE t ADD b text; INSERT INTO t VALUES"
        " ('2', 'a', 'b'); ALTER TABLE t DROP a; INSERT INTO t VALUES ('3', 'b')"
    )
    events = await client.events()
    versions = [e.after for e in events if isinstance(e, SchemaChanged)]
    names = [[c.name for c in v.columns] for v in versions if v is not None]
    assert names == [["id", "a"], ["id", "a", "b"], ["id", "b"]]
    rows = [event for event in events if isinstance(event, Change)]
    assert [row.relation for row in rows] == versions
    assert [row.new for row in rows] == [(b"1", b"a"), (b"2", b"a", b"b"), (b"3", b"b")]


async def test_generated_columns_never_appear(source_database: Database, connect: Connect) -> None:
    source_database.execute(
        "CREATE TABLE t (id text PRIMARY KEY,"
        " g text GENERATED ALWAYS AS (id || 'x') STORED, a text)"
    )
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute("INSERT INTO t (id, a) VALUES ('1', 'a')")
    (row,) = await client.rows()
    assert row.new == (b"1", b"a")
    assert row.relation == (await client.source.relations())[0]


GENERATED = """
CREATE TABLE k (a int, b int, g int GENERATED ALWAYS AS (b / 10) STORED, PRIMARY KEY (a, g));
CREATE TABLE g (a int, g int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY);
CREATE TABLE i (a int PRIMARY KEY, g int NOT NULL GENERATED ALWAYS AS (a + 1) STORED);
CREATE UNIQUE INDEX i_g ON i (g); ALTER TABLE i REPLICA IDENTITY USING INDEX i_g;
CREATE TABLE f (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a + 1) STORED);
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE p (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a + 1) STORED)
  PARTITION BY LIST (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); ALTER TABLE p1 REPLICA IDENTITY FULL;
CREATE TABLE plain (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a + 1) STORED)
"""


async def test_an_identity_with_a_generated_column_is_not_usable_and_never_hurts(
    source_database: Database, connect: Connect
) -> None:
    """The log has no value of it; from 18 on the server refuses the application's UPDATE of such a
    table once it is published, and of one with REPLICA IDENTITY FULL too."""
    source_database.execute(GENERATED)
    client = await connect(source_database, insert_only=True)
    relations = {relation.name: relation for relation in await client.source.relations()}
    nothing = {n for n, r in relations.items() if r.replica_identity is ReplicaIdentity.NOTHING}
    late = int(source_database.cluster.major) >= 18
    assert nothing == {"k", "g", "i", *(("f", "p") if late else ())}
    assert all(relations[name].key == () for name in nothing)
    await client.attach(*sorted(relations.keys() - nothing), inserts=sorted(nothing))
    for table in relations:
        source_database.execute(f"INSERT INTO {table} (a) VALUES (1)" if table != "k" else
                                "INSERT INTO k VALUES (1, 1)")  # fmt: skip
        source_database.execute(f"UPDATE {table} SET a = a; DELETE FROM {table}")
    rows = await client.rows()
    kinds = {name: [r.kind for r in rows if r.relation.name == name] for name in relations}
    assert kinds == {
        name: [INSERT] if name in nothing else [INSERT, UPDATE, DELETE] for name in relations
    }


async def test_text_mode_tells_the_servers_own_text(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY, f float8, b bytea, i interval)")
    source_database.execute(
        f'ALTER DATABASE "{source_database.name}" SET extra_float_digits = 0;'
        f'ALTER DATABASE "{source_database.name}" SET bytea_output = escape;'
        f'ALTER DATABASE "{source_database.name}" SET intervalstyle = iso_8601'
    )
    client = await connect(source_database, text_mode=TextMode.TEXT)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES (7, 0.1::float8 + 0.2, '\\x00ff', '1 mon 2 h')")
    (row,) = await client.rows()
    assert row.new == (b"7", b"0.30000000000000004", b"\\x00ff", b"1 mon 02:00:00")
    assert {c.format for c in row.relation.columns} == {Format.TEXT}


@pytest.mark.parametrize(("line", "text"), [("", False), ('stream_form = "text"', True)])
async def test_a_user_may_have_every_value_sent_as_text(
    source_database: Database, line: str, text: bool
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    file = f"""
        [replication]
        id = "forms"
        [source]
        engine = "postgres"
        url = "{source_database.dsn}"
        {line}
        [target]
        engine = "blackhole"
    """
    config = parse_replication(file, {}, file=Path("forms.toml"))
    source = create(config, SystemClock(), SystemRandom())
    try:
        await source.open()
        (relation,) = await source.relations()
    finally:
        await source.close()
    only_text = text or int(source_database.execute("SHOW server_version_num")[0][0]) < BINARY_FROM
    assert (relation.columns[0].format is Format.TEXT) is only_text


@pytest.mark.parametrize(
    "kind", ["regclass", "regtype[]", "aclitem[]", "deep", "tsquery", "tsquery[]", "oidvector"]
)
async def test_types_that_no_binary_stream_can_carry_make_it_a_text_stream(
    source_database: Database, connect: Connect, kind: str
) -> None:
    source_database.execute("CREATE TYPE deep AS (a int, b regclass)")
    source_database.execute(f"CREATE TABLE t (id text PRIMARY KEY, v {kind})")
    client = await connect(source_database)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES ('1', NULL)")
    (row,) = await client.rows()
    assert {c.format for c in row.relation.columns} == {Format.TEXT}


async def test_user_types_are_described_for_comparison(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE DOMAIN small AS int CHECK (value < 9);"
        "CREATE TYPE pair AS (m mood, s small); CREATE TYPE span AS RANGE (subtype = float8);"
        "CREATE TABLE t (id int PRIMARY KEY, a mood[], b pair, c span, d numeric(10,2))"
    )
    client = await connect(source_database)
    (relation,) = await client.source.relations()
    types = {c.name: (c.type.name, c.type.definition) for c in relation.columns}
    assert types["id"] == ("integer", "")
    assert types["d"] == ("numeric(10,2)", "")
    assert types["a"] == ("public.mood[]", 'array(public.mood = enum(["sad", "o\'k"]))')
    assert types["b"][1].startswith('composite("m" public.mood = enum(')
    assert "CHECK ((VALUE < 9))" in types["b"][1]
    assert types["c"] == ("public.span", "range(double precision)")


@pytest.mark.parametrize(
    ("filtered", "carried"),
    [
        (Origin.ANY, ["ours", "theirs", "near"]),
        (Origin.EXCEPT_PENSTOCK, ["theirs", "near"]),
        (Origin.NONE, ["near"]),
    ],
)
async def test_changes_are_left_out_by_their_origin(
    source_database: Database, connect: Connect, filtered: Origin, carried: list[str]
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY)")
    client = await connect(source_database, origin=filtered)
    await client.attach("t")
    for name, row in (("penstock_x_1_1", "ours"), ("other", "theirs")):
        origin = f"{name}_{source_database.name}"
        source_database.execute(f"SELECT pg_replication_origin_create('{origin}')")
        with psycopg.connect(source_database.dsn) as writer:  # keeps the origin to its end
            writer.execute("SELECT pg_replication_origin_session_setup(%s)", [origin])
            writer.execute("INSERT INTO t VALUES (%s)", [row])
    source_database.execute("INSERT INTO t VALUES ('near')")
    assert [row.new for row in await client.rows()] == [(row.encode(),) for row in carried]
    for name in ("penstock_x_1_1", "other"):
        source_database.execute(
            f"SELECT pg_replication_origin_drop('{name}_{source_database.name}')"
        )
