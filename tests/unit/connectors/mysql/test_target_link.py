"""A target's link, without a server."""

import asyncio
from types import SimpleNamespace
from typing import cast

from connectors.mysql.connecting import Link
from connectors.mysql.target_link import TargetLink


class Writer:
    """Its buffer empties when the test says so."""

    def __init__(self) -> None:
        self.unsent = 0
        self.taken = asyncio.Event()
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: self.unsent)

    def get_extra_info(self, _: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.unsent += len(data)

    async def drain(self) -> None:
        await self.taken.wait()


async def test_a_server_that_takes_in_a_large_row_slowly_is_not_silent() -> None:
    writer = Writer()
    connection = SimpleNamespace(reader=None, writer=writer, server_version="11")
    link = TargetLink(cast(Link, connection))
    link._send(bytes(1000))
    sending = asyncio.create_task(link._drain())
    await asyncio.sleep(0)
    began = link.waits_since
    assert began is not None
    await asyncio.sleep(0.01)
    assert link.waits_since == began
    writer.unsent -= 100
    moved = link.waits_since
    assert moved is not None
    assert moved > began
    assert link.waits_since == moved
    writer.taken.set()
    await sending
    assert link.waits_since is None
