"""A replication that begins and ends at times: what was committed before and after is told apart by
the source's own clock, whichever server it is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.model.moment import moment_text
from tests.scenario.pairs.conftest import Ends, each_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide, PostgresSide, Side
from tests.scenario.running import Run, until, wall

pytestmark = pytest.mark.in_turn("pair", 2)

PAIRS = (("15", "18"), ("mariadb-10.11", "18"), ("mysql-9", "mariadb-10.11"))
NIGHTLY = (("18", "mysql-9"), ("mysql-8.0", "18"), ("mariadb-11.8", "18"))

one_pair = pytest.mark.parametrize("pair", each_of(PAIRS[:1]), indirect=True)

AHEAD_SECONDS = 3

SLOT = "their_slot"


@pytest.fixture(params=[*each_of(PAIRS), *each_of(NIGHTLY, nightly=True)])
def pair(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    source.execute(f"CREATE TABLE {SCHEMA}.other (id int PRIMARY KEY)")
    yield source, target
    source.drop()
    target.drop()


@pytest.fixture
def source(pair: tuple[Side, Side]) -> Side:
    return pair[0]


def between(
    folder: Path, pair: tuple[Side, Side], name: str = "times", /, **sections: dict[str, object]
) -> PairReplication:
    sections.setdefault("mapping", {"include": [f"{SCHEMA}.t"]})
    return PairReplication.between(folder, name, *pair, **sections)


def insert(side: Side, *numbers: int) -> None:
    for number in numbers:
        side.execute(f"INSERT INTO {SCHEMA}.t VALUES ({number})")


def ids(side: Side) -> list[int]:
    return [row[0] for row in side.execute(f"SELECT id FROM {SCHEMA}.t ORDER BY id")]


def clock_us(side: Side) -> int:
    """The source's clock."""
    sql = {
        True: "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
        False: "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    }
    return int(side.execute(sql[isinstance(side, MysqlSide)])[0][0])


def second(side: Side) -> int:
    """Wait for the next second of the source's clock, and say when it began: what was committed so
    far was committed before it, and MariaDB's log tells no less than a second."""
    moment = (clock_us(side) // 1_000_000 + 1) * 1_000_000
    until(lambda: clock_us(side) > moment, "the next second")
    return moment


def until_moment(us: int) -> str:
    return f"--stop-at=commit_time:{moment_text(us)}"


def ended(run: Run) -> None:
    assert run.wait() == 0, run.story()


def test_nothing_that_was_committed_later_is_carried(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    insert(source, 1)
    replication = between(tmp_path, pair)
    replication.catch_up()
    insert(source, 2, 3)
    moment = second(source)
    insert(source, 4)
    for _ in range(2):  # where it has ended, it ends again
        with replication.run(until_moment(moment)) as run:
            ended(run)
        assert ids(replication.target) == [1, 2, 3]
    # Where nothing is committed later, the source's clock ends it.
    moment = clock_us(source) + AHEAD_SECONDS * 1_000_000
    with replication.run(until_moment(moment)) as run:
        run.state("streaming")
        source.execute(f"INSERT INTO {SCHEMA}.other VALUES (1)")
        ended(run)
        assert wall(run.event("caught-up")) * 1_000_000 >= moment
    assert ids(replication.target) == [1, 2, 3, 4]


def test_a_busy_source_is_left_in_the_order_of_its_log(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    replication = between(tmp_path, pair)
    replication.catch_up()
    moment = clock_us(source) // 1_000_000 * 1_000_000 + AHEAD_SECONDS * 1_000_000
    written: list[tuple[int, int]] = []
    with replication.run(until_moment(moment)) as run:
        while run.process.poll() is None:
            before = clock_us(source)
            insert(source, len(written) + 1)
            written.append((before, clock_us(source)))
        ended(run)
    there = ids(replication.target)
    in_time = [n for n, (_, after) in enumerate(written, 1) if after <= moment]
    late = [n for n, (before, _) in enumerate(written, 1) if before > moment]
    assert in_time, "nothing was committed in time"
    assert late, "nothing was committed too late"
    assert there == list(range(1, len(there) + 1))
    assert set(in_time) <= set(there)
    assert not set(late) & set(there)
    replication.catch_up()
    assert ids(replication.target) == list(range(1, len(written) + 1))


def ready(target: Side) -> None:
    """Tables for changes alone."""
    if isinstance(target, PostgresSide):
        target.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    target.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")


def since(us: int, **keys: object) -> dict[str, object]:
    return {"type": "cdc", "start_time": moment_text(us), **keys}


def test_it_begins_with_what_was_committed_since(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    ready(pair[1])
    sections: dict[str, dict[str, object]] = {}
    if isinstance(source, PostgresSide):
        source.execute(f"CREATE PUBLICATION theirs FOR TABLE {SCHEMA}.t")
        source.execute(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")
        sections = {
            "source": {"publication": "theirs"},
            "source.settings": {"SlotName": SLOT, "CaptureDdls": False},
        }
    insert(source, 1)
    moment = second(source)
    insert(source, 2)
    if isinstance(source, MysqlSide):
        source.execute("FLUSH BINARY LOGS")
    insert(source, 3)
    end = second(source)
    insert(source, 4)
    replication = between(tmp_path, pair, replication=since(moment), **sections)
    with replication.run(until_moment(end)) as run:
        ended(run)
    assert ids(replication.target) == [2, 3]
    replication.catch_up()
    assert ids(replication.target) == [2, 3, 4]
    if isinstance(source, PostgresSide):
        source.execute(f"SELECT pg_drop_replication_slot('{SLOT}')")


def test_a_time_that_the_log_does_not_go_back_to_is_refused(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    ready(pair[1])
    insert(source, 1)
    long_ago = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    replication = between(tmp_path, pair, "past", replication=since(long_ago))
    for _ in range(2):  # and leaves nothing behind that the next start would take for its own
        with replication.run() as run:
            assert run.wait() == 3, run.story()
        assert "2020-01-01T00:00:00" in run.ending
        assert "the position" in run.ending
    if isinstance(source, PostgresSide):
        assert source.execute("SELECT slot_name FROM pg_replication_slots"
                              " WHERE database = current_database()") == []  # fmt: skip


@one_pair
def test_a_time_that_has_not_come_is_refused(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    ready(pair[1])
    later = clock_us(source) + 3600 * 1_000_000
    replication = between(tmp_path, pair, "future", replication=since(later))
    with replication.run() as run:
        assert run.wait() == 2, run.story()
    assert "is not past by the source's clock" in run.ending


def test_a_time_that_is_about_to_come_is_waited_for(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    """Also with a slot of our own, which is older then."""
    ready(pair[1])
    moment = clock_us(source) + 2 * AHEAD_SECONDS * 1_000_000
    replication = between(tmp_path, pair, "soon", replication=since(moment))
    with replication.run() as run:
        run.state("starting")
        insert(source, 1)
        assert clock_us(source) < moment - 1_000_000
        until(lambda: clock_us(source) > moment + 1_000_000, "the moment")
        insert(source, 2)
        until(lambda: 2 in ids(replication.target), "the row", run=run)
        assert run.stop() == 0
    assert ids(replication.target) == [2]


@pytest.mark.parametrize("pair", each_of(PAIRS[1:2]), indirect=True)
def test_a_file_and_offset_are_a_beginning_and_an_end_where_gtids_are(
    tmp_path: Path, pair: tuple[Side, Side], source: Side
) -> None:
    def place() -> str:
        file, offset, *_ = source.execute("SHOW MASTER STATUS")[0]
        return f"file={file}:{offset}"

    ready(pair[1])
    insert(source, 1)
    first = place()
    insert(source, 2)
    source.execute("FLUSH BINARY LOGS")
    source.execute(f"ALTER TABLE {SCHEMA}.other ADD COLUMN c int")
    last = place()
    keys: dict[str, object] = {"type": "cdc", "start_position": first}
    replication = between(tmp_path, pair, replication=keys)
    with replication.run(f"--stop-at={last}") as run:
        ended(run)
    assert ids(replication.target) == [2]
    insert(source, 3)
    replication.catch_up()
    assert ids(replication.target) == [2, 3]
