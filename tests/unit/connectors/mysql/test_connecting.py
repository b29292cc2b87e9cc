import asyncio
import contextlib
import ssl

import pytest

from connectors.mysql.connecting import Link
from connectors.mysql.errors import TransportRefusedError
from engine.config.url import parse_url


@pytest.mark.parametrize(
    ("mode", "read"),
    [("prefer", False), ("require", False), ("verify-full", True)],
)
async def test_the_systems_authorities_are_read_only_to_verify_with_them(
    mode: str, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them takes some 20 ms of a core, at each of a dozen connections of a start."""
    found: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: found.append(None))
    url = parse_url(f"mysql://reader@db.example.org/?sslmode={mode}")
    Link(url, "test", multi=False, database="")
    assert bool(found) is read


async def test_an_authority_alone_is_verified_only_where_it_is_named() -> None:
    """Everybody can have a certificate from one that the machine trusts, for some name."""
    url = parse_url("mysql://reader@db.example.org/?sslmode=verify-ca")
    with pytest.raises(TransportRefusedError, match="verify-ca needs the root certificate"):
        Link(url, "test", multi=False, database="")


async def test_a_cancellation_that_the_driver_forgets_ends_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes when the connection has just been made."""

    async def connect(_: Link) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(Link, "_connect", connect)
    url = parse_url("mysql://reader@db.example.org/?sslmode=disable")
    task = asyncio.create_task(Link(url, "test", multi=False, database="").open())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
