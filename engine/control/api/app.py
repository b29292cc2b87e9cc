"""The daemon's HTTP face: `POST /` is AWS's API, beside it stand probes and our own routes.

What the client may use up is bounded before anything is looked at: the declared length, then the
bytes that come, and the time they take.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from engine.config.limits import Limits
from engine.control.api import sigv4
from engine.control.api.dispatch import JSON_TYPES, Answer, Dispatcher
from engine.control.api.faults import (
    Fault,
    RequestEntityTooLargeException,
    RequestHeaderFieldsTooLargeException,
    RequestTimeoutException,
    SerializationException,
)
from engine.dataclass import dataclass

REQUEST_ID: Final = "x-amzn-RequestId"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a probe answers."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


Probe: TypeAlias = Callable[[], Awaitable[Shown]]


def application(
    dispatcher: Dispatcher,
    limits: Limits,
    *,
    probes: Mapping[str, Probe] | None = None,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The whole of it. `probes` are answered to GET, by path (`/metrics`, `/healthz`, `/readyz`),
    to whoever reaches the port; `routes` are our own, and see to their callers themselves."""
    shown = [Route(path, _route(probe), methods=["GET"]) for path, probe in (probes or {}).items()]
    return Starlette(routes=[*shown, *routes, Route("/{path:path}", _Aws(dispatcher, limits))])


def _route(probe: Probe) -> Callable[[Request], Awaitable[Response]]:
    async def show(_request: Request) -> Response:
        shown = await probe()
        return Response(shown.body, shown.status, media_type=shown.content_type)

    return show


class _Aws:
    """AWS JSON 1.1 as an ASGI application."""

    def __init__(self, dispatcher: Dispatcher, limits: Limits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]
        ]
        try:
            body = await read_body(headers, receive, self._limits)
        except ConnectionError:
            return
        except Fault as fault:
            # What is left of the body is not read: the connection is of no further use.
            response = _response(self._dispatcher.refusal(fault), {"Connection": "close"})
        else:
            request = sigv4.Request(
                method=scope["method"],
                path=scope["raw_path"].decode("latin-1"),
                query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body=body,
            )
            response = _response(await self._dispatcher.answer(request, _peer(scope)), {})
        await response(scope, receive, send)


async def read_body(headers: Sequence[tuple[str, str]], receive: Receive, limits: Limits) -> bytes:
    """The whole body. Raises a fault for one that is too long or too slow, or under too many
    headers, and ConnectionError when the client goes before it has sent it."""
    # The server's own bound is on headers that are not whole yet: those that come at once pass it.
    if sum(len(name) + len(value) for name, value in headers) > limits.header_bytes:
        raise RequestHeaderFieldsTooLargeException(
            f"The headers are longer than {limits.header_bytes} bytes."
        )
    lengths = [value for name, value in headers if name == "content-length"]
    if any(not value.isdecimal() for value in lengths):
        raise SerializationException("Content-Length is not a number")
    if any(int(value) > limits.body_bytes for value in lengths):
        raise _too_long(limits)
    parts: list[bytes] = []
    count = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionError("the client went before its request was whole")
                parts.append(message.get("body", b""))
                count += len(parts[-1])
                if count > limits.body_bytes:
                    raise _too_long(limits)
                more = message.get("more_body", False)
    except TimeoutError:
        raise RequestTimeoutException(
            f"The body did not come within {limits.body_seconds:g} s."
        ) from None
    return b"".join(parts)


def _too_long(limits: Limits) -> Fault:
    return RequestEntityTooLargeException(f"The body is longer than {limits.body_bytes} bytes.")


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _response(answer: Answer, headers: Mapping[str, str]) -> Response:
    return Response(
        answer.body,
        answer.status,
        {REQUEST_ID: answer.request_id, **headers},
        media_type=JSON_TYPES[0],
    )
