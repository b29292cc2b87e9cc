"""The connection to a target: what a hostile, a dying and a silent server can do to us."""

# ruff: noqa: PT012 (what must raise is a whole transaction)

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
import uvloop

from connectors.mysql.connecting import close, connect
from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from connectors.mysql.target_link import ForeignRequestError, LinkLostError, ServerError, TargetLink
from engine.config.url import parse_url
from engine.errors import (
    CommitUnknownError,
    FenceFailedError,
    TargetBusyError,
    TargetConnectionError,
)
from engine.model.batch import Run
from engine.model.change import INSERT, UPDATE
from engine.seams import SystemRandom
from tests.integration.mysql_target.conftest import Rig, pieces, rows
from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.processes import POLL_SECONDS
from tests.servers.proxy import FaultProxy

PATIENCE_SECONDS: Final = 30.0

FILE_REQUEST = b"\xfb/etc/passwd"
OK = b"\x00\x00\x00\x02\x00\x00\x00"


# --- a hostile server -----------------------------------------------------------------------------


def _packet(sequence: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


_GREETING = (
    b"\x0a8.0.99\x00" + struct.pack("<I", 7) + b"12345678\x00"
    + struct.pack("<H", 0xF7FF & ~0x0800) + b"\x2d" + struct.pack("<HH", 2, 0x000F | 0x0008)
    + b"\x15" + bytes(10) + b"123456789012\x00" + b"mysql_native_password\x00"
)  # fmt: skip


@asynccontextmanager
async def _hostile(answers: list[bytes]) -> AsyncIterator[tuple[TargetLink, list[bytes]]]:
    """A link to a server that lets everybody in and answers queries with these packets. What it
    received after its answer is kept."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_packet(0, _GREETING))
        await reader.read(65536)
        writer.write(_packet(2, OK))
        await reader.read(65536)
        for number, answer in enumerate(answers, 1):
            writer.write(_packet(number, answer))
        await writer.drain()
        while data := await reader.read(65536):
            received.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = parse_url(f"mysql://root@127.0.0.1:{port}/?sslmode=disable")
    link = TargetLink(await connect(url, "test", multi=True, data=True))
    try:
        yield link, received
    finally:
        await link.close()
        server.close()
        await server.wait_closed()


async def test_a_file_that_nobody_offered_is_not_given() -> None:
    async with _hostile([FILE_REQUEST]) as (link, received):
        with pytest.raises(ForeignRequestError):
            await link.script([b"SELECT 1"])
        assert link.broken
    assert received == []


async def test_another_file_than_ours_is_not_given_in_a_load_either() -> None:
    async with _hostile([FILE_REQUEST]) as (link, received):
        with pytest.raises(ForeignRequestError):
            await link.script([b"LOAD DATA LOCAL ..."], {0: pieces([b"row\n"])})
        assert link.broken
    assert received == []


async def test_a_second_request_in_one_load_is_not_answered() -> None:
    ours = b"\xfbpenstock"
    async with _hostile([ours, b"", b""]) as (link, _):
        with pytest.raises(LinkLostError):
            await link.script([b"LOAD DATA LOCAL ..."], {0: pieces([b"row\n"])})
        assert link.broken


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00", b"\x00\xfc\x01", b"\xff", b"\xfe", b"\xfd\x01", b"\xfb"],
)
async def test_a_malformed_packet_ends_the_link(answer: bytes) -> None:
    async with _hostile([answer]) as (link, _):
        with pytest.raises((LinkLostError, ServerError)):
            async with asyncio.timeout(5):
                await link.script([b"SELECT 1"])


# --- a dying server -------------------------------------------------------------------------------


async def test_a_commit_whose_answer_is_lost_is_unknown(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    relation = await rig.relation()
    await rig.session.statements(relation)

    async def cut(_: int) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while rig.execute("SELECT * FROM t") == []:
                await asyncio.sleep(POLL_SECONDS)
        return b""

    monkeypatch.setattr(rig.session.link._reader, "read", cut)
    with pytest.raises(CommitUnknownError):
        async with rig.session.begin([rig.fence]) as transaction:
            await transaction.write([Run(INSERT, relation, rows(["1"]))])
            await transaction.commit()
    assert rig.session.broken
    assert rig.execute("SELECT * FROM t") == [(1,)]


async def test_a_link_that_is_lost_before_commit_has_done_nothing(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    relation = await rig.relation()
    with pytest.raises(TargetConnectionError):
        async with rig.session.begin([rig.fence]) as transaction:
            await transaction.savepoint()
            await transaction.write([Run(INSERT, relation, rows(["1"]))])
            rig.execute(f"KILL {rig.session.identity[0]}")
            await transaction.write([Run(INSERT, relation, rows(["2"]))])
    assert rig.session.broken
    assert rig.execute("SELECT * FROM t") == []


async def test_a_number_that_was_given_again_is_not_our_session(rig: Rig) -> None:
    number, _ = rig.session.identity
    await rig.target.terminate([(number, "another token"), (number + 100_000, "gone")])
    assert rig.execute(f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {number}")
    await rig.session.run(b"SELECT 1")
    assert not rig.session.broken


async def test_a_server_that_went_away_and_came_back(
    mysql_version: str, private_mysql: Callable[..., MysqlServer]
) -> None:
    server = private_mysql(mysql_version)
    config = MysqlTargetConfig(replication="gone", url=parse_url(server.url()))
    target = MysqlTarget(config, SystemRandom())
    await target.open()
    assert await target.foreign_keys() == []
    server.restart()
    assert await target.foreign_keys() == []
    server.stop()
    with pytest.raises(TargetConnectionError):
        await target.foreign_keys()
    await target.close()


# --- locks ----------------------------------------------------------------------------------------


async def test_a_lock_that_is_not_had_in_time_is_told_as_busy(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    relation = await rig.relation()
    with rig.database.server.connect(rig.database.name) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET v = 2")
        with pytest.raises(TargetBusyError):
            await rig.apply(Run(UPDATE, relation, rows(["1", "3"]), (0, 1)))
        cursor.execute("ROLLBACK")
    await rig.apply(Run(UPDATE, relation, rows(["1", "3"]), (0, 1)))
    assert rig.execute("SELECT v FROM t") == [(3,)]


async def test_a_small_batch_is_one_query(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    relation = await rig.relation()
    await rig.session.statements(relation)
    sent: list[int] = []
    script = rig.session.link.script

    async def counted(statements: list[bytes], feed: object = None) -> object:
        sent.append(len(statements))
        return await script(statements)

    monkeypatch.setattr(rig.session.link, "script", counted)
    await rig.apply(
        Run(INSERT, relation, rows(["1", "1"], ["2", "2"])),
        Run(UPDATE, relation, rows(["1", "3"]), (0, 1)),
    )
    assert sent == [7]  # BEGIN, fence and its check, INSERT, UPDATE and its check, COMMIT
    monkeypatch.undo()
    with pytest.raises(FenceFailedError):
        async with rig.session.begin([rig.fence, rig.fence]) as transaction:
            await transaction.commit()


# --- a link that the event loop has closed --------------------------------------------------------


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_link_that_was_cut_while_nobody_looked_is_a_lost_link(
    mysql_database: MysqlDatabase, loops: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """uvloop closes it, and answers what is written then with an error of its own."""

    async def cut() -> None:
        async with FaultProxy(mysql_database.server.host, mysql_database.server.port) as proxy:
            url = parse_url(mysql_database.server.url(port=proxy.port))
            closing, asking = await connect(url, "one"), await connect(url, "other", data=True)
            link = TargetLink(asking)
            proxy.cut()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (closing.writer.is_closing() and asking.writer.is_closing()):
                    await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(POLL_SECONDS)
            await close(closing)
            with pytest.raises(LinkLostError):
                await link.script([b"DO 0"])
            assert link.broken
            await link.close()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(cut())
