"""Places of the log by time and by file: what stands behind them is what was committed since."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from connectors.mysql.log_search import LogSearch
from connectors.mysql.position import AnyPosition, FilePosition, LogPlace, parse_position
from connectors.mysql.server import read_end
from engine.errors import PositionLostError
from engine.goal import past
from engine.model.change import Change
from tests.integration.mysql_source.conftest import SCHEMA, Side, Sources, new_rows
from tests.scenario.running import until
from tests.servers.mysql import MysqlServer

DAY_SECONDS = 86_400

Private = Callable[..., MysqlServer]


@pytest.fixture
def private(private_mysql: Private, mysql_version: str) -> MysqlServer:
    """A server of each version whose log only one test writes."""
    return prepared(private_mysql(mysql_version))


@pytest.fixture
def without_gtids(private_mysql: Private) -> MysqlServer:
    settings = {"gtid_mode": False, "enforce_gtid_consistency": False}
    return prepared(private_mysql("mysql-9", settings=settings))


def prepared(server: MysqlServer) -> MysqlServer:
    server.create_database(SCHEMA)
    server.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    return server


def insert(server: MysqlServer, number: int) -> None:
    server.execute(f"INSERT INTO t VALUES ({number})", database=SCHEMA)


def clock(server: MysqlServer) -> int:
    """The second since 1970."""
    ((now,),) = server.execute("SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(6)))")
    return int(now)


def second(server: MysqlServer) -> int:
    """Wait for the next second of the server's clock; when it began. MariaDB's log tells no less.
    Before it everything was committed earlier."""
    before = clock(server)
    until(lambda: clock(server) > before, "the next second")
    return (before + 1) * 1_000_000


def place(server: MysqlServer) -> LogPlace:
    """The end of the log."""
    old = server.mariadb or server.name == "mysql-8.0"
    row = server.execute("SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS")[0]
    return LogPlace(row[0], int(row[1]))


def purge(server: MysqlServer) -> None:
    """Take every file of the log away but the newest. MariaDB keeps one until what was committed in
    it is on disk elsewhere, and says nothing."""

    def purged() -> bool:
        server.execute(f"PURGE BINARY LOGS TO '{place(server).file}'")
        return len(server.execute("SHOW BINARY LOGS")) == 1

    until(purged, "the end of the older files")


async def opened(sources: Sources, server: MysqlServer) -> Side:
    """A source that knows the table as it is."""
    side = await sources.open(server)
    await side.attach()
    side.source.remember({r.table: replace(r, since="") for r in side.relations})
    return side


async def since(side: Side, moment_us: int) -> AnyPosition:
    end = await past(side.source, moment_us)
    found = await side.source.committed_from(moment_us, 0, end)
    return parse_position(str(found))


async def behind(side: Side, position: AnyPosition, server: MysqlServer) -> Sequence[int]:
    """Rows that stand behind it; one more is written, which ends them."""
    insert(server, 1000)
    try:
        side.at = position
        ids: list[int] = []
        while 1000 not in ids:
            events = [event for event in await side.read(1) if isinstance(event, Change)]
            ids += [int(row[0]) for row in new_rows([e for e in events if e.new is not None])]
        return ids[: ids.index(1000)]
    finally:
        server.execute("SET sql_log_bin = 0; DELETE FROM t WHERE id = 1000", database=SCHEMA)


async def test_a_moment_is_found_across_files(sources: Sources, private: MysqlServer) -> None:
    insert(private, 1)
    first = second(private)
    insert(private, 2)
    private.execute("FLUSH BINARY LOGS")
    insert(private, 3)
    private.execute("FLUSH BINARY LOGS")
    insert(private, 4)
    side = await opened(sources, private)
    assert await behind(side, await since(side, first), private) == [2, 3, 4]


async def test_a_moment_between_two_files_begins_with_the_later(
    sources: Sources, private: MysqlServer
) -> None:
    insert(private, 1)
    private.execute("FLUSH BINARY LOGS")
    moment = second(private)
    private.execute("FLUSH BINARY LOGS")
    insert(private, 2)
    side = await opened(sources, private)
    assert await behind(side, await since(side, moment), private) == [2]


async def test_a_moment_behind_everything_is_the_end(
    sources: Sources, private: MysqlServer
) -> None:
    insert(private, 1)
    moment = second(private)
    side = await opened(sources, private)
    found = await since(side, moment)
    assert found.reaches(await side.source.head())
    assert await behind(side, found, private) == []


async def test_a_moment_before_the_log_is_refused(sources: Sources, private: MysqlServer) -> None:
    insert(private, 1)
    moment = second(private)
    insert(private, 2)
    second(private)
    side = await opened(sources, private)
    with pytest.raises(PositionLostError, match=r"goes back to binlog\.000001, made at 20"):
        await since(side, moment - DAY_SECONDS * 1_000_000)
    private.execute("FLUSH BINARY LOGS")
    insert(private, 3)
    purge(private)
    with pytest.raises(PositionLostError, match=rf"goes back to {place(private).file}") as lost:
        await since(side, moment)
    assert f"the position {place(private).file}:4 to begin with what there is" in lost.value.hint


async def test_what_was_purged_before_the_moment_is_not_missed(
    sources: Sources, private: MysqlServer
) -> None:
    insert(private, 1)
    private.execute("FLUSH BINARY LOGS")
    second(private)
    insert(private, 2)
    moment = second(private)
    insert(private, 3)
    purge(private)
    side = await opened(sources, private)
    assert await behind(side, await since(side, moment), private) == [3]


async def test_a_server_without_gtids_tells_files(
    sources: Sources, without_gtids: MysqlServer
) -> None:
    server = without_gtids
    insert(server, 1)
    moment = second(server)
    here = place(server)
    insert(server, 2)
    side = await opened(sources, server)
    found = await since(side, moment)
    assert found == FilePosition(here)
    assert await behind(side, found, server) == [2]


async def test_the_log_is_looked_through_from_an_hour_before(
    sources: Sources, private: MysqlServer
) -> None:
    """The older a log, the less of it is looked through. A file says that it is as old as the
    statement that made it."""
    now = clock(private)
    for day in (4, 3, 2):
        private.execute(f"SET TIMESTAMP = {now - day * DAY_SECONDS}; FLUSH BINARY LOGS")
    insert(private, 1)
    moment = second(private)
    insert(private, 2)
    side = await opened(sources, private)
    search = await side.source._search()
    opens: list[LogPlace] = []

    async def open_dump(start: LogPlace) -> object:
        opens.append(start)
        return await side.source._dump_searched(start)

    search._open_dump = open_dump  # type: ignore[assignment]
    assert isinstance(search, LogSearch)
    found = await search.since(moment, await _end(side))
    assert opens[-1].file == place(private).file
    assert await behind(side, found, private) == [2]


async def _end(side: Side) -> LogPlace:
    server = side.source._server
    assert server is not None
    return await read_end(side.source._sql.ask, server)


async def test_a_place_that_a_person_names(sources: Sources, private: MysqlServer) -> None:
    beginning = LogPlace(place(private).file, 4)
    insert(private, 1)
    between = place(private)
    insert(private, 2)
    ending = place(private)
    private.execute("FLUSH BINARY LOGS")
    insert(private, 3)
    side = await opened(sources, private)
    for named, rows in ((beginning, [1, 2, 3]), (between, [2, 3]), (ending, [3])):
        found = await side.source.named(FilePosition(named))
        assert await behind(side, parse_position(str(found)), private) == rows
    head = await side.source.named(FilePosition(place(private)))
    assert head.reaches(await side.source.head())
    assert head.reaches(FilePosition(ending))
    assert not head.reaches(FilePosition(LogPlace(place(private).file, 1 << 40)))
    inside = FilePosition(LogPlace(between.file, between.offset + 10))
    with pytest.raises(PositionLostError, match="is not between two transactions"):
        await side.source.named(inside)
    nowhere = FilePosition(LogPlace(between.file, 1 << 30))
    with pytest.raises(PositionLostError, match="does not have what was read"):
        await side.source.named(nowhere)


async def test_a_position_of_another_kind_than_its_own_is_refused(
    sources: Sources, private: MysqlServer
) -> None:
    """A stream tells none of the other dialect, so it would never come there."""
    side = await opened(sources, private)
    uuid = "7c1e4d0a-9a53-11ee-8c99-0242ac120002"
    mine, other = "maria=0-1-5", f"gtid={uuid}:1-5"
    if not private.mariadb:
        mine, other = other, mine
    side.source.check_kind(parse_position(mine))
    side.source.check_kind(FilePosition(place(private)))
    with pytest.raises(ValueError, match="has GTIDs of M"):
        side.source.check_kind(parse_position(other))


async def test_without_gtids_a_position_is_a_place_in_a_file(
    sources: Sources, without_gtids: MysqlServer
) -> None:
    side = await opened(sources, without_gtids)
    side.source.check_kind(FilePosition(place(without_gtids)))
    with pytest.raises(ValueError, match="has no GTIDs"):
        side.source.check_kind(parse_position("maria=0-1-5"))
