"""Probes on a port of their own, beyond loopback: names of tables are shown, so a bearer token is
asked for where the daemon has any. `/healthz` and `/readyz` tell nothing and ask for none."""

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.control.api.app import Probe
from engine.control.api.callers import Callers
from engine.control.api.faults import Fault

GUARDED: Final = "/metrics"


def probing(probes: Mapping[str, Probe], callers: Callers | None) -> Starlette:
    """The application. `callers`: who is asked about tokens; None where there are none."""

    def route(path: str, probe: Probe) -> Route:
        async def show(request: Request) -> Response:
            if callers is not None and path == GUARDED:
                peer = request.client.host if request.client else ""
                try:
                    callers.bearer(request.headers.get("authorization", ""), peer)
                except Fault as fault:
                    challenge = {"WWW-Authenticate": "Bearer"}
                    return Response(fault.message, 401, challenge, media_type="text/plain")
            shown = await probe()
            return Response(shown.body, shown.status, media_type=shown.content_type)

        return Route(path, show, methods=["GET"])

    return Starlette(routes=[route(path, probe) for path, probe in probes.items()])
