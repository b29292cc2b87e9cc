"""Server transactions of the memory database: constraints, undo, what the log is told."""

import pytest

from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import References, table
from connectors.memory.events import Publication
from connectors.memory.locks import WouldBlockError
from connectors.memory.storage import Cells, Version
from connectors.memory.transaction import ServerTransaction
from engine.errors import RowRejectedError, TargetError
from engine.model.change import Change, Truncate
from engine.model.relation import ReplicaIdentity, TableName
from engine.model.value import UNCHANGED


def name(text: str) -> TableName:
    return TableName("public", text)


ROWS = name("rows")
PARENTS, CHILDREN = name("parents"), name("children")


@pytest.fixture
def database() -> MemoryDatabase:
    made = MemoryDatabase()
    deferred = References(("parent",), "public.parents", deferrable=True)
    for new in (
        table("public.rows", ["id", "body"], key=["id"], unique=[["body"]], toasted=["body"]),
        table("public.parents", ["id"], key=["id"]),
        table("public.children", ["id", "parent"], key=["id"], references=[deferred]),
        table("public.plain", ["id"], identity=ReplicaIdentity.NOTHING),
    ):
        made.put_table(new.relation.table, new)
    return made


def add(database: MemoryDatabase, table: TableName, *rows: Cells) -> None:
    server = database.begin()
    for row in rows:
        server.insert(table, row)
    database.commit(server)


def found(server: ServerTransaction, table: TableName, key: bytes) -> Version:
    version = server.find(table, (0,), (key,))
    assert version is not None
    return version


def test_writers_of_one_key_wait_for_each_other_also_for_an_absent_one(
    database: MemoryDatabase,
) -> None:
    first, second = database.begin(), database.begin()
    first.insert(ROWS, (b"1", b"a"))
    with pytest.raises(WouldBlockError) as caught:
        second.insert(ROWS, (b"1", b"b"))
    assert caught.value.holders == (first.xid,)
    database.rollback(first)
    second.insert(ROWS, (b"1", b"b"))
    database.commit(second)
    assert database.visible_rows(ROWS) == [(b"1", b"b")]


def test_a_unique_value_of_another_row_is_refused_and_nulls_are_distinct(
    database: MemoryDatabase,
) -> None:
    add(database, ROWS, (b"1", b"a"), (b"2", None), (b"3", None))
    server = database.begin()
    with pytest.raises(RowRejectedError) as caught:
        server.insert(ROWS, (b"4", b"a"))
    assert caught.value.sqlstate == "23505"


def test_a_rolled_back_savepoint_leaves_neither_rows_nor_log(database: MemoryDatabase) -> None:
    server = database.begin()
    server.insert(ROWS, (b"1", b"a"))
    server.savepoint()
    server.update(ROWS, found(server, ROWS, b"1"), (b"2", b"b"))
    server.delete(ROWS, found(server, ROWS, b"2"))
    server.rollback_to_savepoint()
    database.commit(server)
    assert database.visible_rows(ROWS) == [(b"1", b"a")]
    assert [type(event) for event in database.log[-1].events] == [Change]


def test_a_deferred_foreign_key_is_judged_at_commit_or_release(database: MemoryDatabase) -> None:
    server = database.begin()
    server.insert(CHILDREN, (b"1", b"p"))
    server.insert(PARENTS, (b"p",))
    database.commit(server)
    orphan = database.begin()
    orphan.insert(CHILDREN, (b"2", b"nobody"))
    with pytest.raises(RowRejectedError):
        database.commit(orphan)
    assert database.visible_rows(CHILDREN) == [(b"1", b"p")]
    stepwise = database.begin()
    stepwise.savepoint()
    stepwise.delete(PARENTS, found(stepwise, PARENTS, b"p"))
    with pytest.raises(RowRejectedError):
        stepwise.release_savepoint()


def test_what_held_at_a_release_is_judged_again_at_the_commit(database: MemoryDatabase) -> None:
    add(database, PARENTS, (b"p",))
    remover = database.begin()
    remover.savepoint()
    remover.delete(PARENTS, found(remover, PARENTS, b"p"))
    remover.release_savepoint()
    add(database, CHILDREN, (b"1", b"p"))  # sees the parent, whose deletion is not committed
    with pytest.raises(RowRejectedError, match="still refers"):
        database.commit(remover)
    assert database.visible_rows(PARENTS) == [(b"p",)]


def test_a_cascading_key_deletes_what_refers_to_a_row_and_logs_it_after(
    database: MemoryDatabase,
) -> None:
    owned, parts = (
        table(
            f"public.{child}",
            ["id", "parent"],
            key=["id"],
            references=[References(("parent",), f"public.{parent}", cascade=True)],
        )
        for child, parent in (("owned", "parents"), ("parts", "owned"))
    )
    for new in (owned, parts):
        database.put_table(new.relation.table, new)
    add(database, PARENTS, (b"p",), (b"q",))
    add(database, name("owned"), (b"1", b"p"), (b"2", b"q"))
    add(database, name("parts"), (b"3", b"1"), (b"4", b"1"), (b"5", b"2"))
    server = database.begin()
    server.savepoint()
    server.delete(PARENTS, found(server, PARENTS, b"p"))
    server.rollback_to_savepoint()
    server.delete(PARENTS, found(server, PARENTS, b"p"))
    database.commit(server)
    assert database.visible_rows(name("owned")) == [(b"2", b"q")]
    assert database.visible_rows(name("parts")) == [(b"5", b"2")]
    deleted = [e.relation.name for e in database.log[-1].events if isinstance(e, Change)]
    assert deleted == ["parents", "owned", "parts", "parts"]


def test_truncating_a_referenced_table_takes_the_others_along_or_is_refused(
    database: MemoryDatabase,
) -> None:
    add(database, PARENTS, (b"p",))
    add(database, CHILDREN, (b"1", b"p"))
    server = database.begin()
    with pytest.raises(TargetError):
        server.truncate([PARENTS])
    server.truncate([PARENTS], cascade=True)
    database.commit(server)
    assert database.visible_rows(CHILDREN) == database.visible_rows(PARENTS) == []
    (event,) = database.log[-1].events
    assert isinstance(event, Truncate)
    assert len(event.relations) == 2


def test_the_log_leaves_out_a_long_value_that_did_not_change(database: MemoryDatabase) -> None:
    add(database, ROWS, (b"1", b"long"))
    server = database.begin()
    server.update(ROWS, found(server, ROWS, b"1"), (b"2", b"long"))
    database.commit(server)
    (event,) = database.log[-1].events
    assert isinstance(event, Change)
    assert (event.new, event.old) == ((b"2", UNCHANGED), (b"1", UNCHANGED))


def test_publishing_updates_without_identity_makes_the_applications_update_fail(
    database: MemoryDatabase,
) -> None:
    plain = name("plain")
    add(database, plain, (b"1",))
    database.publication = Publication(frozenset({plain}))
    server = database.begin()
    with pytest.raises(RowRejectedError):
        server.delete(plain, next(server.scan(plain)))


def test_lost_commits_take_rows_back_and_cut_every_session(database: MemoryDatabase) -> None:
    add(database, ROWS, (b"1", b"a"))
    add(database, ROWS, (b"2", b"b"))
    session = database.connect()
    server = database.begin(session)
    server.update(ROWS, found(server, ROWS, b"1"), (b"1", b"z"))
    database.commit(server)
    database.begin(session)
    assert database.lose_commits(2) == 2
    assert database.visible_rows(ROWS) == [(b"1", b"a")]
    assert not session.alive
    assert not database.open


def test_a_detached_transaction_survives_its_client_and_holds_its_locks(
    database: MemoryDatabase,
) -> None:
    session = database.connect()
    database.begin(session).insert(ROWS, (b"1", b"a"))
    detached = database.detach(session)
    database.drop_session(session)
    with pytest.raises(WouldBlockError):
        database.begin().insert(ROWS, (b"1", b"b"))
    database.commit(detached)
    assert database.visible_rows(ROWS) == [(b"1", b"a")]
