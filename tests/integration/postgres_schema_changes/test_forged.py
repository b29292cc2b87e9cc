"""Logical messages that any role may write, made to look like those of the event triggers."""

import json

import psycopg

from connectors.postgres.ddl_capture_sql import VERSION
from tests.integration.postgres_schema_changes.conftest import Pipe

FORGER = """
DROP ROLE IF EXISTS forger;
CREATE ROLE forger LOGIN
"""


def _table(oid: int, *columns: dict[str, object]) -> str:
    base = {"oid": 23, "mod": -1, "type": "integer", "nullable": True, "new": False}
    told = [{"number": n, "default": None, **base, **c} for n, c in enumerate(columns, 1)]
    return json.dumps(
        {"v": VERSION, "event": "table", "oid": oid, "schema": "public", "name": "t",
         "identity": "d", "primary": [1], "key": [1], "columns": told}
    )  # fmt: skip


async def test_a_role_without_rights_cannot_change_the_target(pipe: Pipe) -> None:
    """A forged drop, a renamed column, an added column whose default is SQL for the target, and
    what is not even a message: each is passed over, and the application's own change followed."""
    pipe.source.cluster.execute(FORGER)
    (oid,) = pipe.source.execute("SELECT 't'::regclass::oid::int8")[0]
    columns: list[dict[str, object]] = [{"name": name} for name in ("id", "renamed", "b")]
    injected = {"name": "bad", "new": True, "default": {"expression": "1); DROP TABLE t; --"}}
    contents = [
        json.dumps({"v": VERSION, "event": "drop", "oid": oid, "schema": "public", "name": "t"}),
        json.dumps({"v": VERSION, "event": "rewrite", "oid": oid, "reason": 4, "plain": False}),
        json.dumps({"v": VERSION, "event": "unread", "oid": oid, "sqlstate": "XX000"}),
        _table(oid, *columns, {"name": "c", "oid": 1043, "mod": 9, "type": "varchar(5)"}, injected),
        json.dumps({"v": VERSION + 1}),
        "not even JSON",
        "",
    ]
    async with pipe.running():
        await pipe.equal()
        dsn = pipe.source.cluster.dsn(pipe.source.name, user="forger")
        with psycopg.connect(dsn, autocommit=True) as forger:
            for content in contents:
                forger.execute(
                    "SELECT pg_logical_emit_message(true, 'penstock', %s::text)", [content]
                )
        await pipe.execute("INSERT INTO t VALUES (7, 7, 7, 'x')")
        await pipe.equal()
        await pipe.execute("ALTER TABLE t RENAME a TO z; UPDATE t SET z = 1")
        await pipe.equal()
        assert pipe.record()[0] == "streaming"
    assert pipe.columns("t") == pipe.columns_there("t")
