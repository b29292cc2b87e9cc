"""The probe server, over loopback."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.errors import ConfigError
from engine.observe import http
from engine.observe.http import Address, Answer, serving

PATHS = {
    "/metrics": lambda: Answer(200, "text/plain", b"up 1\n"),
    "/readyz": lambda: Answer(503, "application/json", b"{}"),
}


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    async with serving(Address("127.0.0.1", 0), PATHS) as address:
        yield address


async def _ask(address: Address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK", b"up 1\n"),
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK", b"up 1\n"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK", b""),
        (b"GET /readyz HTTP/1.1", b"503 Unavailable", b"{}"),
        (b"GET / HTTP/1.1", b"404 Not Found", b"paths: /metrics, /readyz\n"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed", b"only GET and HEAD\n"),
        (b"\xff\xfe", b"405 Method Not Allowed", b"only GET and HEAD\n"),
    ],
)
async def test_answers(address: Address, request_line: bytes, status: bytes, body: bytes) -> None:
    head, _, got = (await _ask(address, request_line + b"\r\nHost: x\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert got == body


async def test_a_request_that_never_ends_is_cut_off(address: Address) -> None:
    assert await _ask(address, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000) == b""


async def test_a_slow_client_is_closed(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS_MAX", 0.1)
    assert await _ask(address, b"GET /metrics") == b""


async def test_connections_are_bounded(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 3)
    idle = [await asyncio.open_connection(address.host, address.port) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert await _ask(address, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(0.05)
    assert b"up 1" in await _ask(address, b"GET /metrics HTTP/1.1\r\n\r\n")


async def test_a_port_in_use_says_so(address: Address) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        async with serving(address, PATHS):
            pass


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("9187", "127.0.0.1:9187"),
        (":9187", "127.0.0.1:9187"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("[::1]:80", "[::1]:80"),
        ("localhost:65535", "localhost:65535"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(Address.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:65536", "host:-1", "host:²"])
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(text)
