"""Our own routes: what AWS has no operation for. They answer JSON, and errors in AWS's form.

Callers have a signature or a bearer token (`callers.Callers.known`); what is not GET, or shows
values of rows, needs the role admin, and is in the audit. NAME is an identifier, letter case aside,
an ARN, or the end of one.

- `GET /penstock/v1/replications?after=NAME`: how all of them are and do (`telling.replication`), by
  name, at most `PAGE`; `after` in the answer leads on.
- `GET /penstock/v1/replications/NAME`: one of them, with its cost, why tables of it stand
  (`tables_stopped`, the first of them), and what was given for it (`given`), without any default.
- `PUT /penstock/v1/replications/NAME/ours` {"ours": {TABLE: {...}}}: what a replication file has
  and AWS does not know, in the place of what was there; when nothing runs.
- `GET /penstock/v1/replications/NAME/logs?stream=&lines=&after=&wait=`: the last `lines` (100) of
  its streams, orchestrator and engine (`stream`: one of the two), of the newest start, as
  {"streams": {NAME: [...]}, "after"}. With `after` what came since; nothing new is waited for, for
  `wait` seconds at most (20). `more`: there is more already.
- `GET /penstock/v1/replications/NAME/quarantine?after=NUMBER`: rows that were not applied, with
  their values, as {"rows": [...]} (`kept_rows.shown`), oldest first; while there are any, `after`
  leads on.
- `GET /penstock/v1/endpoints/NAME`: what was given for an endpoint, null in the place of a secret,
  and who uses it.
- `PUT /penstock/v1/endpoints/NAME/ours` {"ours": {...}}: keys of its table that AWS does not know.
- `POST /penstock/v1/endpoints/NAME/secrets` {"secrets": {PLACE: text}}: which of these it has
  already (`{"same": [PLACE]}`), such as `Password`: nothing else tells whether a change would be
  one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from engine.config.serve import CostConfig
from engine.control.acting import RowReader
from engine.control.api import sigv4
from engine.control.api.app import Answering, peer
from engine.control.api.bodies import Bodies
from engine.control.api.call import Services
from engine.control.api.dispatch import Answer, Dispatcher, Ours
from engine.control.api.keys import Access, Identity
from engine.control.api.native_endpoints import Endpoints
from engine.control.api.native_logs import Logs
from engine.control.api.native_quarantine import Quarantine
from engine.control.api.native_replications import Replications
from engine.control.api.native_request import Asked, Document, Run

PREFIX: Final = "/penstock/v1"


def routes(
    services: Services,
    dispatcher: Dispatcher,
    bodies: Bodies,
    *,
    logs: Path,
    rows: RowReader,
    prices: CostConfig | None = None,
) -> Sequence[BaseRoute]:
    """All of them, for `app.application(routes=...)`. `logs`: the folder of `logs.files.LogFiles`;
    `rows` reads what was kept aside; `prices`: `[cost]`."""
    of = Replications(services, prices or CostConfig())
    ends = Endpoints(services)
    read_logs = Logs(logs, services, dispatcher.call_seconds).read

    quarantine = Quarantine(services, rows).read

    def route(method: str, path: str, name: str, run: Run, access: Access | None = None) -> Route:
        access = access or (Access.READ if method == "GET" else Access.ADMIN)
        application = _Ours(dispatcher, bodies, name, access, run)
        return Route(f"{PREFIX}/{path}", application, methods=[method])

    return [
        route("GET", "replications", "ListReplications", of.all),
        route("GET", "replications/{name}", "GetReplication", of.one),
        route("GET", "replications/{name}/logs", "GetReplicationLogs", read_logs),
        route(
            "GET",
            "replications/{name}/quarantine",
            "GetReplicationQuarantine",
            quarantine,
            Access.ADMIN,
        ),
        route("PUT", "replications/{name}/ours", "PutReplicationOurs", of.put_ours),
        route("GET", "endpoints/{name}", "GetEndpoint", ends.one),
        route("PUT", "endpoints/{name}/ours", "PutEndpointOurs", ends.put_ours),
        route("POST", "endpoints/{name}/secrets", "CompareEndpointSecrets", ends.compare),
    ]


class _Ours(Answering):
    """One route as an ASGI application."""

    def __init__(
        self, dispatcher: Dispatcher, bodies: Bodies, name: str, access: Access, run: Run
    ) -> None:
        super().__init__(dispatcher, bodies)
        self._name = name
        self._access = access
        self._run = run

    async def answer(self, request: sigv4.Request, scope: Scope) -> Answer:
        name = str(scope["path_params"].get("name", ""))
        query = dict(parse_qsl(request.query, keep_blank_values=True))

        async def run(_identity: Identity) -> Document:
            asked = Asked(name, query, request.body)
            asked.check()
            return await self._run(asked)

        about = Ours(self._name, self._access, name, run)
        return await self.dispatcher.ours(request, peer(scope), about)
