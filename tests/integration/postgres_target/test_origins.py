"""Replication origins: every session that writes has one of its own, or none has."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from connectors.postgres.origins import FUNCTIONS
from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from engine.config.endpoint import ReplicationOrigin
from engine.errors import TargetBusyError, TargetError
from engine.model.batch import Run
from engine.model.change import INSERT
from engine.model.finding import Finding, Severity
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow
from tests.integration.postgres_target.conftest import config
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import VERSIONS

pytestmark = pytest.mark.in_turn

WRITERS = 2


class Marked:
    """Targets of one replication, each as a process of its own would have it."""

    def __init__(self, database: Database, dsn: str = "", **options: object) -> None:
        self.database = database
        self.dsn = dsn or database.dsn
        self.options = {
            "replication_origin": ReplicationOrigin.AUTO,
            "writers": WRITERS,
            "two_way": True,
            **options,
        }
        self._made: list[PostgresTarget] = []

    def target(self, **options: object) -> PostgresTarget:
        target = PostgresTarget(config(self.dsn, **{**self.options, **options}))
        self._made.append(target)
        return target

    async def close(self) -> None:
        for target in self._made:
            await target.close()

    async def prepared(self, **options: object) -> tuple[PostgresTarget, Finding | None]:
        target = self.target(**options)
        await target.prepare_control()
        return target, await target.prepare_origins()

    def names(self) -> list[str]:
        oid = self.database.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        )[0][0]
        found = self.database.execute(
            "SELECT roname FROM pg_replication_origin WHERE roname LIKE 'penstock%' ORDER BY 1"
        )
        pattern = re.compile(rf"penstock_r_{oid}_([0-9]+)")
        return [match[1] for (name,) in found if (match := pattern.fullmatch(name))]


@pytest.fixture
async def marked(target_database: Database) -> AsyncIterator[Marked]:
    marked = Marked(target_database)
    yield marked
    await marked.target().drop_origins()
    await marked.close()


async def fenced(session: PostgresSession, number: int = 0) -> None:
    """A transaction with a fence that holds."""
    lane = f"l{session.identity[0]}"
    if number == 0:
        async with session.begin() as transaction:
            await transaction.save_lane(lane, LaneRow(1, 0, ""))
            await transaction.commit()
    async with session.begin([Fence(lane, 1, number, "")]) as transaction:
        await transaction.commit()


async def test_each_session_that_writes_has_an_origin_of_its_own(marked: Marked) -> None:
    target, finding = await marked.prepared()
    assert finding is None
    assert marked.names() == ["1", "2"]
    async with target.session() as one, target.session() as two, target.session() as reader:
        await fenced(one)
        await fenced(two)
        assert (one.marked, two.marked, reader.marked) == (True, True, False)
    async with target.session() as again:
        await fenced(again)
    assert marked.names() == ["1", "2"]


async def test_numbers_that_a_process_before_still_holds_are_passed_over(marked: Marked) -> None:
    older, _ = await marked.prepared()
    async with AsyncExitStack() as stack:
        for _ in range(WRITERS):
            await fenced(await stack.enter_async_context(older.session()))
        newer, finding = await marked.prepared()
        assert finding is None
        for _ in range(WRITERS):
            await fenced(await stack.enter_async_context(newer.session()))
        assert marked.names() == ["1", "2", "3", "4"]
        third, _ = await marked.prepared()
        async with third.session() as session:
            with pytest.raises(TargetBusyError, match="held by another session"):
                await fenced(session)
    await older.drop_origins()
    assert marked.names() == []


async def test_an_origin_that_a_session_holds_is_named_when_it_cannot_be_dropped(
    marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.postgres.origins.ENDING_SECONDS", 0.2)
    target, _ = await marked.prepared()
    async with target.session() as session:
        await fenced(session)
        with pytest.raises(
            TargetBusyError, match=r"holds the replication origins penstock_r_\d+_1"
        ):
            await target.drop_origins()
        assert marked.names() == ["1"]


async def test_commit_times_stay_those_of_the_target(marked: Marked) -> None:
    """The server gives a session with an origin the commit time of an earlier transaction."""
    marked.database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    slot = f"s_{marked.database.name}"
    target, _ = await marked.prepared()
    relation = await target.relation(TableName("public", "t"))
    assert relation is not None
    before = marked.database.execute("SELECT clock_timestamp()")[0][0]
    async with target.session() as session:
        await fenced(session)
        marked.database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
        for number in (1, 2):
            async with session.begin([Fence(f"l{session.identity[0]}", 1, number, "")]) as one:
                await one.write([Run(INSERT, relation, [(number.to_bytes(4, "big"),)])])
                await one.commit()
            marked.database.execute("SELECT pg_sleep(0.1)")
    commits = marked.database.execute(
        "SELECT '2000-01-01Z'::timestamptz + ('x' || encode(substr(data, 10, 8), 'hex'))::bit(64)"
        "::int8 * interval '1 microsecond' FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'p') WHERE get_byte(data, 0) = 66",
        slot,
    )
    assert len(commits) == 2
    assert before < commits[0][0]
    assert commits[1][0] - commits[0][0] >= timedelta(seconds=0.1)


@pytest.fixture
def role(target_database: Database) -> str:
    name = f"plain_{target_database.name}"
    target_database.cluster.execute(f"CREATE ROLE {name} LOGIN")
    target_database.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {target_database.name} TO {name}")
    return name


async def test_without_the_privilege_nothing_is_marked_and_the_reason_is_given(
    target_database: Database, role: str
) -> None:
    marked = Marked(target_database, target_database.cluster.dsn(target_database.name, user=role))
    target, finding = await marked.prepared()
    assert finding is not None
    assert f"role {role} may not use replication origins" in finding.message
    assert "two-way replication is off" in finding.message
    async with target.session() as session:
        await fenced(session)
        assert not session.marked
    (said,) = [f for f in await target.preflight([]) if f.check == "origin-privilege"]
    assert said == finding
    with pytest.raises(TargetError, match="may not use replication origins"):
        await marked.prepared(replication_origin=ReplicationOrigin.REQUIRED)
    required = marked.target(replication_origin=ReplicationOrigin.REQUIRED)
    (blocks,) = [f for f in await required.preflight([]) if f.check == "origin-privilege"]
    assert blocks.severity is Severity.BLOCKS
    alone, told = await marked.prepared(two_way=False)
    assert told is not None
    assert told.severity is Severity.TELLS
    assert "two-way" not in told.message
    assert told.remedy == finding.remedy
    assert [f for f in await alone.preflight([]) if f.check == "origin-privilege"] == [told]
    if target_database.cluster.major >= "14":
        target_database.execute(finding.remedy)
        granted, nothing = await marked.prepared()
        assert nothing is None
        assert not [f for f in await granted.preflight([]) if f.check.startswith("origin")]
        async with granted.session() as session:
            await fenced(session)
            assert session.marked
        await granted.drop_origins()
        for function in FUNCTIONS:
            target_database.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM {role}")


async def _free(database: Database, session: PostgresSession) -> None:
    """Wait until the session's backend is gone, and with it what it held."""
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %s"
    async with asyncio.timeout(30.0):
        while database.execute(gone, session.identity[0]) != [(True,)]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("major", VERSIONS)
async def test_without_room_for_all_none_is_marked_and_no_place_is_kept(
    private_cluster: Callable[..., Cluster], major: str
) -> None:
    setting = "max_active_replication_origins" if int(major) >= 18 else "max_replication_slots"
    cluster = private_cluster(major, settings={setting: 3})
    marked = Marked(Database.create(cluster, "narrow"), writers=4)
    target, finding = await marked.prepared()
    assert finding is not None
    assert "no room for 4 replication origins" in finding.message
    assert setting in finding.remedy
    assert marked.names() == []
    async with target.session() as session:
        await fenced(session)
        assert not session.marked
    (said,) = [f for f in await target.preflight([]) if f.check == "origin-room"]
    assert said == finding
    assert said.severity is Severity.WARNS
    _, told = await marked.prepared(two_way=False)
    assert told is not None
    assert told.severity is Severity.TELLS
    with pytest.raises(TargetError, match="no room"):
        await marked.prepared(replication_origin=ReplicationOrigin.REQUIRED)
    fits, nothing = await marked.prepared(writers=3)
    assert nothing is None
    assert not [f for f in await fits.preflight([]) if f.check.startswith("origin")]


async def test_appliers_that_come_later_have_what_places_there_are_and_leave_others_theirs(
    private_cluster: Callable[..., Cluster],
) -> None:
    major = VERSIONS[-1]
    setting = "max_active_replication_origins" if int(major) >= 18 else "max_replication_slots"
    cluster = private_cluster(major, settings={setting: 4})
    marked = Marked(Database.create(cluster, "narrow"), writers=2, other_writers=1)
    target, _ = await marked.prepared()
    async with AsyncExitStack() as stack:
        appliers = [await stack.enter_async_context(target.session()) for _ in range(4)]
        for applier in appliers[:3]:
            assert await applier.ready() is None
            assert await applier.ready() is None, "again"
        assert marked.names() == ["1", "2", "3", "4"]
        with pytest.raises(TargetBusyError, match="every applier needs one") as refusal:
            await appliers[3].ready()
        assert setting in (refusal.value.hint or "")
        other = await stack.enter_async_context(target.session())
        await fenced(other)
        assert other.marked
        await appliers[2].close()
        await _free(marked.database, appliers[2])
        assert await appliers[3].ready() is None
        await fenced(appliers[3])
    await marked.close()
    one_way, _ = await marked.prepared(two_way=False)
    async with AsyncExitStack() as stack:
        appliers = [await stack.enter_async_context(one_way.session()) for _ in range(4)]
        found = [await applier.ready() for applier in appliers]
        assert found[:3] == [None, None, None]
        assert found[3] is not None
        assert "further appliers do stays unmarked" in found[3].message
        await fenced(appliers[3])
        assert [applier.marked for applier in appliers] == [True, True, True, False]
    await marked.close()


async def test_appliers_whose_numbers_another_process_holds_are_told_to_end_it(
    marked: Marked,
) -> None:
    """Room is not what they lack."""
    options = {"writers": 2, "other_writers": 1}
    before, _ = await marked.prepared(**options)
    two_way, _ = await marked.prepared(**options)
    one_way, _ = await marked.prepared(**options, two_way=False)
    async with AsyncExitStack() as stack:
        for _ in range(7):
            holder = await stack.enter_async_context(before.session())
            assert await holder.ready() is None
        first = await stack.enter_async_context(two_way.session())
        assert await first.ready() is None
        second = await stack.enter_async_context(two_way.session())
        with pytest.raises(TargetBusyError, match="held by another session") as refusal:
            await second.ready()
        _told_to_end(refusal.value.hint)
        await first.close()
        await _free(marked.database, first)
        first = await stack.enter_async_context(one_way.session())
        assert await first.ready() is None
        second = await stack.enter_async_context(one_way.session())
        found = await second.ready()
        assert found is not None
        assert "held by another session" in found.message
        _told_to_end(found.remedy)


def _told_to_end(remedy: str | None) -> None:
    assert remedy is not None
    assert "end the sessions of application penstock/r" in remedy
    assert "raise" not in remedy


async def test_a_truncate_before_the_load_is_marked(marked: Marked) -> None:
    marked.database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    marked.database.execute("CREATE PUBLICATION p FOR TABLE t")
    slot = f"s_{marked.database.name}"
    target, _ = await marked.prepared()
    marked.database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
    async with target._connection() as connection, target._marked(connection):
        await connection.execute("TRUNCATE public.t")
    letters = [
        bytes(data)[:1]
        for (data,) in marked.database.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'p')",
            slot,
        )
    ]
    assert letters == [b"B", b"O", b"R", b"T", b"C"]
