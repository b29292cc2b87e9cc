"""The oldest transaction that has written and is still open, and a role that may not see any."""

import psycopg
import pytest

from connectors.postgres.open_transactions import OpenTransactions
from connectors.postgres.sql import Sql
from engine.errors import SourceError
from tests.servers.postgres import Database


async def test_a_role_that_may_not_look_is_told_what_to_grant_and_nothing_ends(
    source_database: Database,
) -> None:
    """Rights on catalogs are those of one database."""
    source_database.execute(
        "DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN;"
        "REVOKE SELECT ON pg_catalog.pg_prepared_xacts FROM PUBLIC;"
        "CREATE TABLE t (id int)"
    )
    told: list[str] = []
    sql = Sql(source_database.cluster.dsn(source_database.name, user="looker"), "penstock test")
    look = OpenTransactions(sql, told.append)
    assert [await look.oldest() for _ in range(2)] == [None, None]
    (notice,) = told
    assert "permission denied" in notice
    grant = notice[notice.index("GRANT") : notice.index(", then")]
    source_database.execute(grant)
    with psycopg.connect(source_database.dsn) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        assert await look.oldest() is None  # until it is begun anew
        assert await OpenTransactions(sql, told.append).oldest() is None  # another role's
        source_database.execute("GRANT pg_read_all_stats TO looker")
        assert await OpenTransactions(sql, told.append).oldest() is not None
    assert len(told) == 1
    await sql.close()


async def test_what_is_no_want_of_a_right_is_told_and_asked_again(
    source_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    sql = Sql(source_database.dsn, "penstock test")
    look = OpenTransactions(sql, told.append)
    with monkeypatch.context() as broken:
        broken.setattr("connectors.postgres.open_transactions._OLDEST", "SELECT 1 / 0")
        with pytest.raises(SourceError):
            await look.oldest()
    assert await look.oldest() is None
    assert told == []
    await sql.close()
