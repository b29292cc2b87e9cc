"""What is refused at the start: the exit code, and a last line with what, where and what next."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, SECRET, Watched
from tests.scenario.running import until
from tests.servers.pooler import FakePooler
from tests.servers.postgres import Cluster, Database

TABLE = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 10) g
"""


@contextmanager
def role(database: Database, name: str, rights: str, password: str = "") -> Iterator[str]:
    """A role of a test's own; its URL."""
    database.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{password or 'any'}'")
    database.execute(f"GRANT CREATE ON DATABASE {database.name} TO {name}")
    try:
        yield database.cluster.dsn(database.name, user=name, password=password)
    finally:
        database.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def checked(replication: Watched, *words: str) -> None:
    """`penstock check` finds it too, before anything is begun."""
    code, text = replication.command("check")
    assert code == 1, text
    for word in words:
        assert word in text, text


def test_wrong_password_of_the_source(source: Database, replicate: Replicate) -> None:
    with role(source, "guarded", "REPLICATION", "right"):
        dsn = source.cluster.dsn(source.name, user="guarded", password=SECRET)
        replication = replicate(source_dsn=dsn)
        last = replication.refused()
        assert "source" in last
        assert str(source.cluster.port) in last
        assert "password" in last
        checked(replication, "source", "password")


def test_wrong_password_of_the_target(target: Database, replicate: Replicate) -> None:
    with role(target, "guarded", "", "right"):
        dsn = target.cluster.dsn(target.name, user="guarded", password=SECRET)
        replication = replicate(target_dsn=dsn)
        last = replication.refused()
        assert "target" in last
        assert str(target.cluster.port) in last
        assert "password" in last
        checked(replication, "target", "password")


def test_no_replication_right(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    with role(source, "humble", "") as dsn:
        source.execute("ALTER TABLE item OWNER TO humble")
        replication = replicate(source_dsn=dsn)
        last = replication.refused()
        assert "REPLICATION" in last
        assert "source" in last
        checked(replication, "ALTER ROLE")


def test_no_select_on_a_table(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    with role(source, "blind", "REPLICATION") as dsn:
        source.execute("ALTER TABLE item OWNER TO blind; REVOKE SELECT ON item FROM blind")
        replication = replicate(source_dsn=dsn)
        last = replication.refused()
        assert "item" in last
        assert "grant the missing privilege" in last
        checked(replication, "GRANT SELECT", "item")


def test_a_table_of_somebody_else_cannot_be_published(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    with role(source, "guest", "REPLICATION") as dsn:
        source.execute("GRANT SELECT ON item TO guest")
        replication = replicate(source_dsn=dsn)
        last = replication.refused()
        assert "must be owner of table item" in last
        checked(replication, "item", "owner")


def test_no_create_on_the_target(source: Database, target: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    with role(target, "narrow", "") as dsn:
        target.execute(f"REVOKE CREATE ON DATABASE {target.name} FROM narrow")
        replication = replicate(target_dsn=dsn)
        last = replication.refused()
        assert "target" in last
        assert "grant the missing privilege" in last
        checked(replication, "GRANT CREATE ON DATABASE")


def test_wal_level_is_not_logical(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    cluster = source.cluster
    cluster.configure(wal_level="replica")
    cluster.restart()
    try:
        replication = replicate()
        last = replication.refused()
        assert "wal_level" in last
        assert "ALTER SYSTEM SET wal_level = logical" in last
        checked(replication, "ALTER SYSTEM SET wal_level")
    finally:
        cluster.configure(wal_level="logical")
        cluster.restart()


def test_no_free_slot(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    cluster = source.cluster
    cluster.configure(max_replication_slots=1)
    cluster.restart()
    source.execute("SELECT pg_create_logical_replication_slot('other', 'pgoutput')")
    try:
        replication = replicate()
        last = replication.refused()
        assert "max_replication_slots" in last
        checked(replication, "max_replication_slots")
        source.execute("SELECT pg_drop_replication_slot('other')")
        replication.catch_up()
        assert replication.differences() == []
    finally:
        cluster.configure(max_replication_slots=20)
        cluster.restart()


def test_no_free_walsender_is_waited_for(
    source: Database, source_server: Cluster, replicate: Replicate
) -> None:
    source.execute(TABLE)
    source_server.configure(max_wal_senders=0)
    source_server.restart()
    replication = replicate()
    try:
        with replication.run("--stop-at=caught-up") as run:
            assert "max_wal_senders" in run.says("trying again")
            checked(replication, "max_wal_senders")
            source_server.configure(max_wal_senders=20)
            source_server.restart()
            assert run.wait() == 0, run.story()
        assert replication.differences() == []
    finally:
        source_server.configure(max_wal_senders=20)
        source_server.restart()


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ("id int PRIMARY KEY, note int", "note"),
        ("id int PRIMARY KEY", "note"),
        ("id int PRIMARY KEY, note text, more int NOT NULL", "more"),
    ],
)
def test_target_table_of_another_shape(
    source: Database, target: Database, replicate: Replicate, shape: str, named: str
) -> None:
    source.execute(TABLE)
    target.execute(f"CREATE TABLE item ({shape})")
    replication = replicate()
    last = replication.refused()
    assert "public.item" in last
    assert named in last
    checked(replication, "public.item", named)


@pytest.mark.parametrize("prepare", ["do-nothing", "truncate", "drop-and-create"])
def test_a_view_of_the_tables_name_on_the_target(
    source: Database, target: Database, replicate: Replicate, prepare: str
) -> None:
    source.execute(TABLE)
    target.execute("CREATE VIEW item AS SELECT 1 AS id, 'x'::text AS note")
    replication = replicate(load={"prepare": prepare})
    last = replication.refused()
    assert "public.item is a view on the target" in last
    assert "rename or drop it" in last
    checked(replication, "target-kind", "public.item is a view on the target")
    assert target.execute("SELECT * FROM item") == [(1, "x")]


def test_a_rule_that_names_only_a_view_of_the_source(
    source: Database, replicate: Replicate
) -> None:
    source.execute(f"{TABLE}; CREATE VIEW shown AS SELECT * FROM item")
    replication = replicate(mapping={"include": ["public.item", "public.shown"]})
    code, text = replication.command("check")
    assert code == 0, text
    assert "views, materialized views and foreign tables are never carried" in text
    assert "public.shown" in text
    with replication.run("--stop-at=caught-up") as run:
        assert "include[2]" in run.says("a mapping rule matches no table")
        assert run.wait() == 0, run.story()
    assert replication.differences(["item"]) == []


def test_rows_in_the_target_are_not_loaded_over(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    target.execute(TABLE)
    last = replicate().refused()
    assert "public.item" in last
    assert "prepare" in last


async def _pooled(replicate: Replicate, side: str, pooler: FakePooler) -> str:
    replication = replicate(**{f"{side}_dsn": pooler.dsn()})
    return await asyncio.to_thread(replication.refused)


async def test_a_pooler_before_the_source_is_named(replicate: Replicate) -> None:
    async with FakePooler() as pooler:
        last = await _pooled(replicate, "source", pooler)
        assert "pooler" in last
        assert "address of the server itself" in last


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"load": {"rows_per_chunks": 5}}, ("load.rows_per_chunks", "rows_per_chunk")),
        ({"load": {"rows_per_chunk": "many"}}, ("load.rows_per_chunk", "whole number")),
        ({"apply": {"mode": SECRET}}, ("apply.mode", "table-parallel")),
        ({"source": {"passwort": SECRET}}, ("source.passwort", "password_")),
    ],
)
def test_a_wrong_file_is_refused(
    replicate: Replicate, keys: dict[str, dict[str, object]], words: tuple[str, ...]
) -> None:
    replication = replicate()
    text = replication.file.read_text()
    for section, more in keys.items():
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
        header = f"[{section}]\n"
        text = text.replace(header, header + lines) if header in text else text + header + lines
    replication.file.write_text(text)
    for command in ("run", "check"):
        code, text = replication.command(command)
        assert code == 2, text
        for word in words:
            assert word in text.splitlines()[-1], text


def test_words_are_still_used(source: Database, replicate: Replicate) -> None:
    """The canaries do reach the replication, or their absence would prove nothing."""
    source.execute(TABLE)
    replication = replicate()
    replication.catch_up()
    assert replication.target.execute(f"SELECT count(*) FROM item WHERE note = '{ROW}'") == [(10,)]
    until(lambda: not replication.differences(), "equal tables")


def test_a_full_load_needs_no_right_but_reading(source: Database, replicate: Replicate) -> None:
    """Nothing of the log is asked for, so nothing of it blocks."""
    source.execute(TABLE)
    source.execute(f"CREATE TABLE keyless (note text); INSERT INTO keyless VALUES ('{ROW}')")
    source.execute("CREATE ROLE onlooker LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO"
                   " onlooker")  # fmt: skip
    dsn = source.cluster.dsn(source.name, user="onlooker")
    try:
        replication = replicate(source_dsn=dsn, kind="full-load")
        code, text = replication.command("check")
        assert code == 0, text
        assert "keyless has no usable" not in text
        with replication.run() as run:
            assert run.wait() == 0, run.story()
        assert replication.differences() == []
    finally:
        source.execute("DROP OWNED BY onlooker; DROP ROLE onlooker")


def test_tables_that_are_left_out_ask_for_no_rights(source: Database, replicate: Replicate) -> None:
    source.execute("CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE keyless (note text)")
    with role(source, "partial", "REPLICATION") as dsn:
        source.execute("ALTER TABLE item OWNER TO partial")
        code, text = replicate(source_dsn=dsn).command("check")
        assert code == 0, text
        assert "public.keyless has no usable replica identity: it is left out" in text


def test_nobody_is_told_to_join_a_superuser(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    with role(source, "modest", "REPLICATION") as dsn:
        code, text = replicate(source_dsn=dsn).command("check")
        assert code == 1
        assert "CREATE PUBLICATION" in text
        assert "GRANT SELECT" in text
        assert 'GRANT "postgres"' not in text


def test_a_table_that_is_not_carried_is_a_wrong_command_line(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    replication = replicate()
    code, text = replication.command("compare", "--table", "public.itme")
    assert code == 2, text
    assert "did you mean public.item?" in text


def test_a_file_that_is_not_there_is_named_once(source: Database, replicate: Replicate) -> None:
    replication = replicate()
    replication.file.unlink()
    code, text = replication.command("check")
    assert code == 2
    assert text.count(str(replication.file)) == 1


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_database_that_is_not_there_is_named(
    source: Database, target: Database, replicate: Replicate, side: str
) -> None:
    cluster = (source if side == "source" else target).cluster
    last = replicate(**{f"{side}_dsn": cluster.dsn("nowhere")}).refused()
    assert side in last
    assert '\\"nowhere\\" does not exist' in last
    assert "mend the name in the url" in last


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_does_not_run_is_waited_for_and_check_says_what_to_look_at(
    source: Database, target: Database, replicate: Replicate, side: str
) -> None:
    cluster = (source if side == "source" else target).cluster
    replication = replicate(**{f"{side}_dsn": cluster.dsn("nowhere", port=1)})
    checked(replication, side, "refused", "see that the server runs")


_SENT = ", SEND = flat_send, RECEIVE = flat_recv"


def _flat(*, binary: bool) -> str:
    """A type of the user's own, with a binary form or without."""
    made = [
        ("flat_in(cstring) RETURNS flat", "int4in"),
        ("flat_out(flat) RETURNS cstring", "int4out"),
    ]
    if binary:
        made += [("flat_send(flat) RETURNS bytea", "int4send")]
        made += [("flat_recv(internal) RETURNS flat", "int4recv")]
    functions = "".join(
        f"CREATE FUNCTION {what} LANGUAGE internal IMMUTABLE STRICT AS '{name}';"
        for what, name in made
    )
    return (
        f"CREATE TYPE flat; {functions} CREATE TYPE flat (INPUT = flat_in, OUTPUT = flat_out"
        f"{_SENT * binary}, INTERNALLENGTH = 4, PASSEDBYVALUE, ALIGNMENT = int4)"
    )


@pytest.mark.parametrize("made", [True, False], ids=["table", "type"])
def test_a_type_that_the_target_takes_in_text_form_alone(
    source: Database, target: Database, replicate: Replicate, made: bool
) -> None:
    """As `cube`, which has no binary form before 14; with the table made beforehand or not. Loaded
    as text it is there; a binary stream stops the table."""
    source.execute(
        f"{_flat(binary=True)}; CREATE TABLE item (id int PRIMARY KEY, f flat);"
        "INSERT INTO item VALUES (1, '-4')"
    )
    target.execute(_flat(binary=False))
    if made:
        target.execute("CREATE TABLE item (id int PRIMARY KEY, f flat)")
    code, text = replicate(kind="full-load").command("check")
    assert code == 0, text
    replication = replicate()
    remedy = 'set stream_form = "text" in [source]'
    if int(source.cluster.major) >= 14:
        checked(
            replication, "column f is public.flat, which the target does not take in binary", remedy
        )
        with replication.run() as run:
            run.state("streaming")
            replication.await_tables(["item"], run)
            source.execute("INSERT INTO item VALUES (2, '17')")
            assert remedy in str(run.table("public.item", "suspended"))
            assert run.stop() == 0
    replication = replicate(source={"stream_form": "text"}, load={"prepare": "truncate"})
    replication.catch_up()
    source.execute("INSERT INTO item VALUES (3, '1'); UPDATE item SET f = '5' WHERE id = 1")
    replication.catch_up()
    assert replication.differences() == []
