"""`key-parallel` between families: one table by several sessions, whole after each of them."""

from tests.scenario.kills import applying
from tests.scenario.pairs.conftest import Replicate
from tests.scenario.pairs.sides import Side, content

ROWS = 2_000

FILL = "INSERT INTO shop.hot VALUES " + ", ".join(f"({n}, 'v')" for n in range(1, ROWS + 1))


def buckets(target: Side) -> dict[str, int]:
    """How many changes each checkpoint row of the table has counted."""
    found = target.execute("SELECT lane, seq FROM penstock.checkpoint")
    rows = [(_text(lane), int(seq)) for lane, seq in found]
    return {lane: seq for lane, seq in rows if lane.startswith("shop.hot:")}


def _text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, bytes | bytearray) else str(value)


def test_one_table_is_applied_by_its_keys(replicate: Replicate) -> None:
    replication = replicate(apply=applying("key-parallel"))
    source, target = replication.source, replication.target
    source.execute("CREATE TABLE shop.hot (id bigint PRIMARY KEY, v varchar(20))")
    with replication.run() as run:
        run.state("streaming")
        source.execute(FILL)
        source.execute("UPDATE shop.hot SET v = 'w' WHERE MOD(id, 3) = 0")
        source.execute("UPDATE shop.hot SET id = id + 10000 WHERE MOD(id, 100) = 0")
        source.execute("DELETE FROM shop.hot WHERE MOD(id, 7) = 0")
        source.execute("ALTER TABLE shop.hot ADD COLUMN n int")
        source.execute("UPDATE shop.hot SET n = MOD(id, 5), v = 'x' WHERE MOD(id, 2) = 0")
        run.kill_supervisor()
    replication.catch_up()
    columns = "id, v, n"
    assert content(source, "hot", columns) == content(target, "hot", columns)
    counted = buckets(target)
    assert set(counted) == {f"shop.hot:{n}/16" for n in range(16)}
    assert all(counted.values())
