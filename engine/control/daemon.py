"""The daemon: everything it is made of, put together, and its life from start to end.

What a daemon does beside answering (running replications, housekeeping) it does while it
holds the store's lease, and else it stands by. A first SIGTERM or SIGINT lets workers
drain for at most 10 s and ends it; a second one ends it at once, which loses nothing durable.
"""

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine import addresses
from engine.config.reach import on_loopback
from engine.config.serve import DaemonConfig, ServeConfig
from engine.control.api import native
from engine.control.api.app import application
from engine.control.api.arn import Home
from engine.control.api.audit import to_log
from engine.control.api.bodies import Bodies
from engine.control.api.call import Services
from engine.control.api.callers import Callers
from engine.control.api.dispatch import Dispatcher
from engine.control.api.keys import Keyring
from engine.control.api.paging import Pages
from engine.control.api.probing import probing
from engine.control.api.served import served
from engine.control.api.serving import Server, bound, server
from engine.control.fenced import FencedStore
from engine.control.fleet import Replications
from engine.control.leading import Acting, Election, Leadership, Work
from engine.control.ledger import Ledger
from engine.control.logs.files import LogFiles
from engine.control.looker import EndpointLooker
from engine.control.looks import Looks
from engine.control.means import Means
from engine.control.memory_group import MemoryTree, NotDelegatedError
from engine.control.notices import Notices
from engine.control.prober import DatabaseProber
from engine.control.probes import Probes
from engine.control.room import Room
from engine.control.rotation import is_sealed, record_keys, require_keys
from engine.control.row_reader import TargetRowReader
from engine.control.service_manager import READY, STOPPING, ServiceManager
from engine.control.state_places import key_source, locked, state_directory, store_of
from engine.control.store.contract import Store
from engine.control.supervisor import WORKER
from engine.control.tending import Tending
from engine.control.vault import Vault
from engine.control.worker_files import WorkerFiles, passed_on
from engine.errors import ConfigError
from engine.machine import Clock, Random
from engine.observe.http import Address
from engine.observe.log import Log
from engine.seams import SystemClock, SystemRandom, machine_memory_bytes
from engine.version import VERSION

REPLICATIONS: Final = "replications"
LOGS: Final = "logs"
OVERFLOW: Final = "overflow"
LOOKS: Final = "looks"
"""Files and folders in the state directory."""

MARKERS: Final = b"markers of pages"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The process around a daemon."""

    config: DaemonConfig
    state: Path
    environment: Mapping[str, str]
    log: Log
    clock: Clock
    random: Random
    worker: tuple[str, ...] = WORKER
    """The command of a worker."""


async def run(config: DaemonConfig, environment: Mapping[str, str], log: Log) -> None:
    """Serve until a signal. Raises PenstockError for what is wrong before it listens."""
    state = state_directory(config.serve, environment)
    around = Surroundings(config, state, environment, log, SystemClock(), SystemRandom())
    stop = asyncio.Event()
    with locked(state), _stopped_by_signals(stop):
        await Daemon(around).run(stop)


class Daemon:
    """One daemon."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._config = around.config
        self._manager = ServiceManager(around.environment)
        self._addresses = addresses.USUAL

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and everything is at its end."""
        serve = self._config.serve
        with _listening(serve) as (api, metrics):
            own = [each.getsockname()[:2] for each in (api, metrics) if each is not None]
            self._addresses = serve.addresses(own)
            async with store_of(self._config, self._around.state) as store:
                vault = await self._vault(store)
                logs = LogFiles(self._around.state / LOGS)
                with contextlib.closing(logs), self._held() as tree:
                    await self._serve(store, vault, logs, tree, (api, metrics), stop)

    @contextlib.contextmanager
    def _held(self) -> Iterator[MemoryTree | None]:
        """Groups for the memory of workers, where they may be made; else their own accounting
        holds."""
        try:
            tree = MemoryTree.claim()
        except NotDelegatedError as error:
            self._around.log.info(
                "workers account for their memory themselves", action="memory", reason=str(error)
            )
            yield None
            return
        try:
            yield tree
        finally:
            tree.release()

    async def _vault(self, store: Store) -> Vault:
        around = self._around
        source = key_source(self._config.serve, around.state)
        vault = source.load(around.environment, may_make=not await is_sealed(store))
        await require_keys(store, vault)
        return vault

    async def _serve(
        self,
        store: Store,
        vault: Vault,
        logs: LogFiles,
        tree: MemoryTree | None,
        listeners: tuple[socket.socket, socket.socket | None],
        stop: asyncio.Event,
    ) -> None:
        around, config, (api, metrics) = self._around, self._config, listeners
        fenced = FencedStore(store)
        means = self._means(fenced, vault, logs, tree)
        fleet = Replications(means)
        tending = Tending(fenced, logs, config.serve, around.clock, around.random, around.log)
        keys = Keys(store, fenced, vault)
        election = Election(
            store, self._holder(), config.serve.lease_seconds, alone=not config.serve.store
        )
        looks = self._looks(fenced, vault)
        looker = EndpointLooker(fenced, DatabaseProber(looks), around.log)
        notices = Notices(store, config.topics, around.clock, around.log)
        parts: list[Acting] = [
            keys,
            fleet,
            Work("housekeeping", tending.run, around.log),
            Work("looks at endpoints", looker.run, around.log),
            Work("notices", lambda: notices.run(fenced.number), around.log),
        ]
        leadership = Leadership(election, fenced, parts, fleet.lost, around.clock, around.log)
        probes = Probes(means, fleet, leadership, notices, config.cost).paths()
        callers = self._callers()
        services = self._services(fenced, vault, fleet, looker)
        dispatcher = self._dispatcher(services, callers)
        bodies = Bodies(config.limits)
        routes = native.routes(
            services,
            dispatcher,
            bodies,
            logs=around.state / LOGS,
            rows=TargetRowReader(looks),
            prices=config.cost,
        )
        shown = probes if on_loopback(config.serve.listen) else {}
        app = application(dispatcher, bodies, probes=shown, routes=routes)
        servers = [(server(app, config.limits, tls=_tls(config.serve)), api)]
        if metrics is not None:
            beside = probing(probes, callers if config.tokens else None)
            servers.append((server(beside, config.limits), metrics))
        # What was loaded stays: no pass of the collector, which holds every answer up, looks at it.
        gc.collect()
        gc.freeze()
        await self._live(leadership, servers, stop)

    async def _live(
        self,
        leadership: Leadership,
        servers: list[tuple[Server, socket.socket]],
        stop: asyncio.Event,
    ) -> None:
        """Until `stop`. Whoever calls early waits until it is known whether this daemon acts."""
        async with asyncio.TaskGroup() as tasks:
            leading = tasks.create_task(leadership.run(stop), name="leading")
            alive = tasks.create_task(self._manager.tell_alive(), name="watchdog")
            asked = tasks.create_task(self._tell_of(stop), name="stop")
            await leadership.decided.wait()
            async with self._answering(servers):
                self._manager.tell(READY)
                await leading
            alive.cancel()
            asked.cancel()
        self._around.log.info("stopped", action="serve.stopped")

    async def _tell_of(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._around.log.info("stopping: workers finish what is under way", action="serve.stop")

    @contextlib.asynccontextmanager
    async def _answering(self, servers: list[tuple[Server, socket.socket]]) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(each.serve(sockets=[listener]), name="server")
            for each, listener in servers
        ]
        for _, listener in servers:
            self._around.log.info(
                "listening", action="api.listen", address=_shown(listener), version=VERSION
            )
        try:
            yield
        finally:
            self._manager.tell(STOPPING)
            for each, _ in servers:
                each.should_exit = True
            await asyncio.gather(*tasks)

    # --- parts ---------------------------------------------------------------------------------

    def _means(self, store: Store, vault: Vault, logs: LogFiles, tree: MemoryTree | None) -> Means:
        around, serve = self._around, self._config.serve
        memory = machine_memory_bytes()
        total = serve.memory_bytes or int(memory * serve.memory_share)
        overflow = around.state / OVERFLOW
        files = WorkerFiles(around.state / REPLICATIONS, overflow, self._worker_environment())
        return Means(
            store=store,
            vault=vault,
            files=files,
            room=Room(Ledger(total)),
            logs=logs,
            log=around.log,
            clock=around.clock,
            random=around.random,
            environment=around.environment,
            overflow=overflow,
            memory_bytes=memory,
            memory=tree,
            worker=around.worker,
        )

    def _worker_environment(self) -> Mapping[str, str]:
        rules = {addresses.VARIABLE: str(self._addresses)}
        return {**self._around.environment, **rules}

    def _callers(self) -> Callers:
        config, around = self._config, self._around
        keyring = Keyring(config.access_keys, config.tokens)
        skew = config.limits.skew_seconds
        return Callers(keyring, around.clock, around.log, skew_seconds=skew)

    def _looks(self, store: Store, vault: Vault) -> Looks:
        folder = self._around.state / LOOKS
        shutil.rmtree(folder, ignore_errors=True)  # what a daemon left that was killed
        environment = passed_on(self._worker_environment())
        return Looks(store, vault, folder, self._around.environment, environment)

    def _services(
        self, store: FencedStore, vault: Vault, fleet: Replications, looker: EndpointLooker
    ) -> Services:
        serve, around = self._config.serve, self._around
        return Services(
            store=store,
            home=Home(region=serve.region, account=serve.account),
            pages=Pages(vault.derived(MARKERS)),
            clock=around.clock,
            random=around.random,
            vault=vault,
            fleet=fleet,
            looker=looker,
            topics=[topic.name for topic in self._config.topics],
            addresses=self._addresses,
            unattended=store.unattended,
        )

    def _dispatcher(self, services: Services, callers: Callers) -> Dispatcher:
        return Dispatcher(
            served(),
            services,
            callers,
            audit=to_log(self._around.log.write),
            log=self._around.log,
            limits=self._config.limits,
        )

    def _holder(self) -> str:
        """This daemon and no other that lives: the directory is locked."""
        return f"{socket.gethostname()}:{self._around.state}"


class Keys:
    """Notes which keys are in use (implements `leading.Acting`)."""

    def __init__(self, store: Store, fenced: FencedStore, vault: Vault) -> None:
        self._store = store
        self._fenced = fenced
        self._vault = vault

    async def begin(self) -> None:
        """Before anything is sealed."""
        await record_keys(self._store, self._vault, fence=self._fenced.number())

    async def leave(self) -> None:
        """Nothing is left to do."""

    async def drop(self) -> None:
        """Nothing is left to do."""


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)  # workers end with their parent
        stop.set()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _listening(serve: ServeConfig) -> Iterator[tuple[socket.socket, socket.socket | None]]:
    """Sockets of the API and, where they have one of their own, of the probes."""
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(bound("serve.listen", serve.listen))
        metrics = None
        if serve.metrics_listen:
            metrics = stack.enter_context(bound("serve.metrics_listen", serve.metrics_listen))
        yield api, metrics


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return str(Address(host, port))


def _tls(serve: ServeConfig) -> ssl.SSLContext | None:
    if not serve.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(serve.tls_certificate, serve.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            "serve.tls_certificate",
            f"and serve.tls_key cannot be used together: {error.strerror or error}",
            hint="the certificate chain and its own private key, both PEM, readable by the daemon",
        ) from None
    return context
