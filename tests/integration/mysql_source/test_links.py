"""The connections to a source: TLS, passwords, and servers that mean harm."""

import asyncio
import contextlib
import secrets
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from connectors.mysql.connecting import connect
from connectors.mysql.dump import open_dump
from connectors.mysql.position import parse_position
from engine.config.url import parse_url
from engine.errors import DecodeError, SourceConnectionError, SourceError
from tests.integration.mysql_source.conftest import (
    PATIENCE_SECONDS,
    SCHEMA,
    Sources,
    new_rows,
)
from tests.servers.certificates import Authority
from tests.servers.mysql import MysqlServer

Private = Callable[..., MysqlServer]

OTHER_ADDRESS = "127.0.0.2"
"""Of the same server; its certificate does not name it."""


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def encrypted(
    private_mysql: Private, mysql_version: str, tmp_path: Path
) -> tuple[MysqlServer, Authority]:
    """A server that takes no connection in the clear over TCP."""
    authority = Authority.create(tmp_path)
    settings = {"require_secure_transport": True, "bind_address": "0.0.0.0"}
    server = private_mysql(mysql_version, settings=settings, authority=authority)
    server.create_database(SCHEMA)
    server.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    return server, authority


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_every_session_of_a_source_is_encrypted(
    sources: Sources, encrypted: tuple[MysqlServer, Authority], mode: str
) -> None:
    server, authority = encrypted
    root = "" if mode == "require" else f"&sslrootcert={authority.file}"
    side = await sources.open(server, url=server.url(sslmode=mode) + root)
    await side.attach()
    async with side.source.snapshot() as snapshot:
        (chunk,) = await side.source.chunks(side.relations[0], 10)
        server.execute("INSERT INTO t VALUES (1)", database=SCHEMA)
        async for _ in side.source.rows(chunk, snapshot, "postgres-text"):
            pass
    assert new_rows(await side.read(1)) == [("1",)]


async def test_a_server_that_takes_no_plain_connection_says_so(
    sources: Sources, encrypted: tuple[MysqlServer, Authority]
) -> None:
    server, _ = encrypted
    with pytest.raises(SourceError) as caught:
        await sources.open(server, url=server.url(sslmode="disable"))
    if server.mariadb:  # says no more than that
        assert "1045" in caught.value.message
    else:
        assert "3159" in caught.value.message
        assert "sslmode" in caught.value.hint


async def test_a_server_without_tls_is_refused_where_it_is_required(
    sources: Sources, shop: MysqlServer
) -> None:
    with pytest.raises(SourceError, match="does not offer TLS"):
        await sources.open(shop, url=shop.url(sslmode="require"))


async def test_a_certificate_of_another_authority_or_name_is_refused(
    sources: Sources, encrypted: tuple[MysqlServer, Authority], tmp_path: Path
) -> None:
    server, authority = encrypted
    (tmp_path / "other").mkdir()
    other = Authority.create(tmp_path / "other")
    wrong = server.url(sslmode="verify-ca", sslrootcert=str(other.file))
    with pytest.raises(SourceError, match="certificate verify failed"):
        await sources.open(server, url=wrong)
    named = server.url(sslmode="verify-full", sslrootcert=str(authority.file))
    with pytest.raises(SourceError, match="certificate verify failed"):
        await sources.open(server, url=named.replace(server.host, OTHER_ADDRESS))
    known = named.replace(server.host, OTHER_ADDRESS).replace("verify-full", "verify-ca")
    await sources.open(server, url=known)


async def test_without_a_certificate_the_machine_says_who_is_trusted(
    sources: Sources, encrypted: tuple[MysqlServer, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable stands for the authorities that the machine was given."""
    server, authority = encrypted
    with pytest.raises(SourceError, match="certificate verify failed"):
        await sources.open(server, url=server.url(sslmode="verify-full"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    await sources.open(server, url=server.url(sslmode="verify-full"))
    with pytest.raises(SourceError, match="verify-ca needs the root certificate"):
        await sources.open(server, url=server.url(sslmode="verify-ca"))


# --- passwords ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "pä ss/w:ö@rd"])
async def test_a_password_goes_over_a_plain_connection_without_being_shown(
    sources: Sources, shop: MysqlServer, word: str
) -> None:
    """MySQL's caching_sha2_password asks for it under the server's key; the second time it knows
    it."""
    password = word + secrets.token_hex(8)
    how = "" if shop.mariadb else "WITH caching_sha2_password "
    shop.execute(
        f"DROP USER IF EXISTS plain; CREATE USER plain IDENTIFIED {how}BY '{password}';"
        " GRANT ALL ON *.* TO plain"
    )
    try:
        url = shop.url(user="plain", password=password, sslmode="disable")
        for _ in range(2):
            await sources.open(shop, url=url)
        wrong = url.replace(quote(password, safe=""), "wrong")
        with pytest.raises(SourceError) as caught:
            await sources.open(shop, url=wrong)
        assert "1045" in caught.value.message
        assert password not in str(caught.value)
    finally:
        shop.execute("DROP USER plain")


# --- hostile servers ------------------------------------------------------------------------------

FILE_REQUEST = b"\xfb/etc/passwd"
OK = b"\x00\x00\x00\x02\x00\x00\x00"

GREETING = (
    b"\x0a8.4.0\x00" + struct.pack("<I", 7) + b"12345678\x00"
    + struct.pack("<H", 0xF7FF & ~0x0800) + b"\x2d" + struct.pack("<HH", 2, 0x000F)
    + b"\x15" + bytes(10) + b"123456789012\x00" + b"mysql_native_password\x00"
)  # fmt: skip
"""Of a server without TLS."""

COM_BINLOG_DUMP_GTID = 0x1E


def packet(sequence: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


class Hostile:
    """Lets everybody in. Says OK to everything, or answers with `answer`; `to_dump` follows a
    request for the binary log. `received` is what it got after its answer."""

    def __init__(self, answer: bytes | None, to_dump: bytes) -> None:
        self.answer = answer
        self.to_dump = to_dump
        self.received: list[bytes] = []
        self.port = 0
        self._sessions: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def close(self) -> None:
        for writer in self._sessions.values():
            writer.close()
        await asyncio.gather(*self._sessions)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions[task] = writer
        writer.write(packet(0, GREETING))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._payload(reader)
            writer.write(packet(2, OK))
            while True:
                await self._serve_one(await self._payload(reader), reader, writer)
        writer.close()

    async def _serve_one(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request[0] == COM_BINLOG_DUMP_GTID:
            writer.write(self.to_dump)
        elif self.answer is None or request[:4] in (b"\x03SET", b"\x15"):
            writer.write(packet(1, OK))
            return
        else:
            writer.write(packet(1, self.answer))
        await writer.drain()
        while data := await reader.read(65536):
            self.received.append(data)

    async def _payload(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))


@asynccontextmanager
async def hostile(answer: bytes | None, to_dump: bytes = b"") -> AsyncIterator[Hostile]:
    made = Hostile(answer, to_dump)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()


def url_of(server: Hostile) -> str:
    return f"mysql://root@127.0.0.1:{server.port}/?sslmode=disable"


async def test_a_server_that_asks_for_a_file_of_ours_gets_none(sources: Sources) -> None:
    async with hostile(FILE_REQUEST) as server:
        side = sources.make(None, url=url_of(server))
        with pytest.raises(SourceError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await side.source.open()
        await side.source.close()
    assert b"".join(server.received) in (b"", b"\x01\x00\x00\x00\x01")  # at most a farewell


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00", b"\x01", b"\xff", b"\xff\x28", b"\xfe", b"\xfd\x01", b"\xfb", b"\x05abc"],
)
async def test_a_malformed_answer_ends_in_a_declared_error(sources: Sources, answer: bytes) -> None:
    async with hostile(answer) as server:
        side = sources.make(None, url=url_of(server), execute_timeout_seconds=2)
        with pytest.raises(SourceError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await side.source.open()
        await side.source.close()


EVENT = b"\x00" + bytes(19)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (packet(1, FILE_REQUEST), DecodeError),
        (packet(1, b""), DecodeError),
        (packet(1, b"\x07 what is this"), DecodeError),
        (packet(1, b"\xfe\x00\x00\x02\x00"), SourceConnectionError),
        (packet(1, b"\xff\x28"), SourceError),
        (b"\x05\x00", SourceConnectionError),
        (packet(1, EVENT)[:-3], SourceConnectionError),
    ],
    ids=["file-request", "empty", "unknown", "end", "cut-error", "cut-head", "cut-event"],
)
async def test_a_malformed_packet_of_the_log_ends_in_a_declared_error(
    sent: bytes, error: type[Exception]
) -> None:
    async with hostile(None, sent) as server:
        link = await connect(parse_url(url_of(server)), "test")
        start = parse_position("gtid=3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
        dump = await open_dump(link, start, mariadb=False, server_id=5, uuid="x", silence_seconds=1)
        with pytest.raises(error):
            await dump.events(behind=False)
        await dump.close()
    assert b"/etc" not in b"".join(server.received)
