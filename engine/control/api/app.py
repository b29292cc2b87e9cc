"""The daemon's HTTP face: `POST /` is AWS's API, beside it stand probes and our own routes."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from engine.control.api import sigv4
from engine.control.api.bodies import Bodies
from engine.control.api.dispatch import JSON_TYPES, Answer, Dispatcher
from engine.control.api.faults import Fault

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
    bodies: Bodies,
    *,
    probes: Mapping[str, Probe] | None = None,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The whole of it. `probes` are answered to GET, by path (`/metrics`, `/healthz`, `/readyz`),
    to whoever reaches the port; `routes` are our own, and see to their callers themselves."""
    shown = [Route(path, _route(probe), methods=["GET"]) for path, probe in (probes or {}).items()]
    return Starlette(routes=[*shown, *routes, Route("/{path:path}", _Aws(dispatcher, bodies))])


def _route(probe: Probe) -> Callable[[Request], Awaitable[Response]]:
    async def show(_request: Request) -> Response:
        shown = await probe()
        return Response(shown.body, shown.status, media_type=shown.content_type)

    return show


class Answering(ABC):
    """An ASGI application that reads a request whole and answers it as the API does."""

    def __init__(self, dispatcher: Dispatcher, bodies: Bodies) -> None:
        self.dispatcher = dispatcher
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (name.decode("latin-1"), raw.decode("latin-1")) for name, raw in scope["headers"]
        ]
        try:
            async with self._bodies.whole(headers, receive) as body:
                request = sigv4.Request(
                    method=scope["method"],
                    path=scope["raw_path"].decode("latin-1"),
                    query=scope["query_string"].decode("latin-1"),
                    headers=headers,
                    body=body,
                )
                response = _response(await self.answer(request, scope), {})
        except ConnectionError:
            return
        except Fault as fault:
            # What is left of the body is not read: the connection is of no further use.
            response = _response(self.dispatcher.refusal(fault), {"Connection": "close"})
        await response(scope, receive, send)

    @abstractmethod
    async def answer(self, request: sigv4.Request, scope: Scope) -> Answer:
        """The answer; never raises."""


class _Aws(Answering):
    """AWS JSON 1.1."""

    async def answer(self, request: sigv4.Request, scope: Scope) -> Answer:
        return await self.dispatcher.answer(request, peer(scope))


def peer(scope: Scope) -> str:
    """The address a request came from."""
    client = scope.get("client")
    return client[0] if client else ""


def _response(answer: Answer, headers: Mapping[str, str]) -> Response:
    return Response(
        answer.body,
        answer.status,
        {REQUEST_ID: answer.request_id, **headers},
        media_type=JSON_TYPES[0],
    )
