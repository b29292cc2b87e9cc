"""The API on a free port of loopback, with botocore's real client in front of it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config

from engine.config.limits import Limits
from engine.config.secret import Secret
from engine.config.serve import AccessKey, CostConfig, Role, Token
from engine.control.acting import Figures, Looked, Prober
from engine.control.api import native
from engine.control.api.app import Probe, application
from engine.control.api.arn import Home
from engine.control.api.audit import Entry
from engine.control.api.bodies import Bodies
from engine.control.api.call import Served, Services
from engine.control.api.callers import Callers
from engine.control.api.dispatch import Dispatcher
from engine.control.api.keys import Keyring
from engine.control.api.paging import Pages
from engine.control.api.served import served
from engine.control.api.serving import server
from engine.control.looker import EndpointLooker
from engine.control.store.contract import Store
from engine.control.store.sqlite import SqliteStore
from engine.control.vault import Key, Vault
from engine.errors import PenstockError
from engine.model.state import QuarantinedRow
from engine.observe.log import Line, Log
from engine.observe.writer import as_json
from engine.seams import SystemClock, SystemRandom

ADMIN: Final = AccessKey("ops", "AKIDPENSTOCKOPS00", Secret("the-secret-of-operations"), Role.ADMIN)
READER: Final = AccessKey(
    "dashboard", "AKIDPENSTOCKREAD0", Secret("the-secret-of-dashboards"), Role.READ_ONLY
)
KEYS: Final = Keyring([ADMIN, READER], [Token("probe", Secret("the-token-of-probes"), Role.ADMIN)])
OPEN: Final = Keyring([])

SESSION: Final = botocore.session.Session()


@dataclass
class Idle:
    """A fleet and a prober that note what they are asked."""

    asked: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    told: dict[str, Figures] = field(default_factory=dict[str, Figures])
    """What is known of replications, by record id; set by tests."""
    unattended: str = ""
    """Why nobody looks after replications; set by tests."""
    kept: list[QuarantinedRow] = field(default_factory=list[QuarantinedRow])
    """What a target keeps of rows, two a page; set by tests."""
    unreadable: PenstockError | None = None

    def figures(self, replication: str) -> Figures:
        return self.told.get(replication, Figures())

    def wake(self, replication: str = "") -> None:
        self.asked.append(("wake", replication))

    async def reload_tables(self, replication: str, tables: Sequence[str]) -> None:
        self.asked.append(("reload", replication, *tables))

    async def rows(self, replication: str, target: str, after: int) -> Sequence[QuarantinedRow]:
        self.asked.append(("rows", replication, target, str(after)))
        if self.unreadable is not None:
            raise self.unreadable
        return [row for row in self.kept if row.number > after][:2]

    async def connect(self, endpoint: str) -> Looked:
        self.asked.append(("connect", endpoint))
        return Looked()

    async def schemas(self, endpoint: str) -> Looked:
        self.asked.append(("schemas", endpoint))
        return Looked(schemas=("shop",))


@dataclass
class Daemon:
    """What listens there, and what it wrote."""

    port: int
    store: SqliteStore
    dispatcher: Dispatcher
    lines: list[Line]
    audit: list[Entry]
    idle: Idle
    services: Services
    logs: Path
    """The folder of log streams."""

    @property
    def log(self) -> str:
        return "\n".join(map(as_json, self.lines))

    def client(
        self, key: AccessKey = ADMIN, *, scheme: str = "http", verify: str = "", **config: Any
    ) -> Any:
        """A client of AWS's own making, which tries once."""
        return SESSION.create_client(
            "dms",
            region_name="eu-west-3",
            endpoint_url=f"{scheme}://127.0.0.1:{self.port}",
            verify=verify or None,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret.reveal(),
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    async def call(self, method: str, key: AccessKey = ADMIN, **params: Any) -> dict[str, Any]:
        """The answer to a call of botocore's client."""
        client = self.client(key)
        try:
            answer: dict[str, Any] = await asyncio.to_thread(getattr(client, method), **params)
        finally:
            client.close()
        return answer

    async def raw(self, *pieces: bytes) -> bytes:
        """Everything that comes back until the daemon closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(
    directory: Path,
    *operations: Served,
    keys: Keyring = KEYS,
    limits: Limits | None = None,
    probes: Mapping[str, Probe] | None = None,
    tls: ssl.SSLContext | None = None,
    topics: Sequence[str] = (),
    prober: Callable[[Store, Vault], Prober] | None = None,
    prices: CostConfig | None = None,
) -> AsyncIterator[Daemon]:
    """A daemon with the real operations, and those of a test."""
    limits = limits or Limits()
    listener = socket.create_server(("127.0.0.1", 0))
    async with SqliteStore(directory / "store.db") as store:
        lines: list[Line] = []
        audit: list[Entry] = []
        idle = Idle()
        log = Log(lines.append, SystemClock())
        vault = Vault([Key.make(), Key.make("theirs")])
        looker = EndpointLooker(store, prober(store, vault) if prober else idle, log)
        services = Services(
            store,
            Home(),
            Pages(b"key"),
            SystemClock(),
            SystemRandom(),
            vault,
            idle,
            looker,
            topics=topics,
            unattended=lambda: idle.unattended,
        )
        dispatcher = Dispatcher(
            {**served(), **{operation.name: operation for operation in operations}},
            services,
            Callers(keys, services.clock, log, skew_seconds=limits.skew_seconds),
            audit=lambda _at, entry: audit.append(entry),
            log=log,
            limits=limits,
        )
        bodies, logs = Bodies(limits), directory / "logs"
        routes = native.routes(services, dispatcher, bodies, logs=logs, rows=idle, prices=prices)
        app = application(dispatcher, bodies, probes=probes, routes=routes)
        listening = server(app, limits, tls=tls)
        serve = asyncio.create_task(listening.serve(sockets=[listener]))
        looks = asyncio.create_task(looker.run())
        try:
            port = listener.getsockname()[1]
            yield Daemon(port, store, dispatcher, lines, audit, idle, services, logs)
        finally:
            looks.cancel()
            listening.should_exit = True
            await serve
            with contextlib.suppress(asyncio.CancelledError):
                await looks
