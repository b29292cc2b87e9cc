"""Bodies of requests, read whole before it is known who sent them: so each of them is bounded in
bytes and in time, and all that are held at once in bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from starlette.types import Receive

from engine.config.limits import Limits
from engine.control.api.faults import (
    RequestEntityTooLargeException,
    RequestHeaderFieldsTooLargeException,
    RequestTimeoutException,
    SerializationException,
    ServiceUnavailableException,
)

Headers = Sequence[tuple[str, str]]


class Bodies:
    """Reads them. One for a daemon: what is held counts over all of its connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @contextlib.asynccontextmanager
    async def whole(self, headers: Headers, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body, which counts as held until the block ends.

        Raises a fault for one that is too long or too slow, under too many headers, or one too many
        at once; ConnectionError when the client goes before it has sent it.
        """
        _bounded(headers, self._limits)
        body = bytearray()
        try:
            await self._read(receive, body)
            yield bytes(body)
        finally:
            self._held -= len(body)

    async def _read(self, receive: Receive, body: bytearray) -> None:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while await self._part(receive, body):
                    self._check(body)
        except TimeoutError:
            raise RequestTimeoutException(
                f"The body did not come within {self._limits.body_seconds:g} s."
            ) from None
        self._check(body)

    async def _part(self, receive: Receive, body: bytearray) -> bool:
        """Whether there is more to come after the part that came."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client went before its request was whole")
        part: bytes = message.get("body", b"")
        body += part
        self._held += len(part)
        return bool(message.get("more_body", False))

    def _check(self, body: bytearray) -> None:
        if len(body) > self._limits.body_bytes:
            raise _too_long(self._limits)
        if self._held > self._limits.bodies_bytes:
            raise ServiceUnavailableException("Too many requests are being sent at once.")


def _bounded(headers: Headers, limits: Limits) -> None:
    """By what the client says of it, before anything is read."""
    # The server's own bound is on headers that are not whole yet: those that come at once pass it.
    if sum(len(name) + len(value) for name, value in headers) > limits.header_bytes:
        raise RequestHeaderFieldsTooLargeException(
            f"The headers are longer than {limits.header_bytes} bytes."
        )
    for name, value in headers:
        if name == "content-length":
            if not value.isdecimal():
                raise SerializationException("Content-Length is not a number")
            if int(value) > limits.body_bytes:
                raise _too_long(limits)


def _too_long(limits: Limits) -> RequestEntityTooLargeException:
    return RequestEntityTooLargeException(f"The body is longer than {limits.body_bytes} bytes.")
