"""What `/metrics`, `/healthz` and `/readyz` of the daemon answer."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from engine.config.serve import CostConfig
from engine.control.api.app import Probe, Shown
from engine.control.carrying import Carrying
from engine.control.exposition import merged
from engine.control.fleet import Replications
from engine.control.leading import Leadership
from engine.control.means import Means
from engine.control.notices import Notices
from engine.control.unit_hours import HOUR_SECONDS
from engine.errors import StateError
from engine.observe.http import Address
from engine.observe.metrics import SOURCE_RETAINED
from engine.version import VERSION

JSON: Final = "application/json"

STORE_SECONDS: Final = 2.0
"""Time for the store to answer `/readyz`; whoever asks gives up soon after."""

WORKER_SECONDS: Final = 2.0
"""Time for one worker's metrics; one that does not answer is left out."""

TEXT_BYTES_MAX: Final = 4 << 20
"""Of one worker: 1,000 tables with some ten lines of 200 bytes each are half of it."""

Family = CounterMetricFamily | GaugeMetricFamily


class Probes(Collector):
    """Answers from what the daemon knows at the moment."""

    def __init__(
        self,
        means: Means,
        fleet: Replications,
        leadership: Leadership,
        notices: Notices,
        prices: CostConfig,
    ) -> None:
        self._means = means
        self._fleet = fleet
        self._leadership = leadership
        self._notices = notices
        self._prices = prices
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def paths(self) -> Mapping[str, Probe]:
        """By path."""
        return {"/metrics": self.metrics, "/healthz": self.live, "/readyz": self.ready}

    async def live(self) -> Shown:
        """That this is answered shows that the loop turns."""
        return _shown(200, {"ok": True})

    async def ready(self) -> Shown:
        """Whether the API and its store answer, and this daemon acts."""
        if idle := self._leadership.idle:
            return _shown(503, {"ok": False, "reason": idle})
        try:
            async with asyncio.timeout(STORE_SECONDS), self._means.store.read() as reading:
                await reading.now()
        except (StateError, TimeoutError):
            return _shown(503, {"ok": False, "reason": "the store does not answer"})
        return _shown(200, {"ok": True})

    async def metrics(self) -> Shown:
        """Those of the daemon, and of every worker under the id of its replication."""
        carried = list(self._fleet.carried())
        texts = await asyncio.gather(*(_of_worker(each) for _, each in carried))
        own = generate_latest(self._registry).decode()
        named = [(name, text) for (name, _), text in zip(carried, texts, strict=True)]
        return Shown(200, merged([("", own), *named]), CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Family]:
        """The daemon's own."""
        yield _gauge("penstock_daemon_info", "Always 1; its label is the version.", version=VERSION)
        acts = GaugeMetricFamily(
            "penstock_daemon_acts", "1 for the daemon that acts, 0 standing by."
        )
        acts.add_metric([], float(self._leadership.acts))
        yield acts
        yield from self._room()
        yield self._statuses()
        yield self._kept()
        yield from self._cost()
        yield from self._delivery()

    def _room(self) -> Iterator[Family]:
        ledger = self._means.room.ledger
        memory = GaugeMetricFamily(
            "penstock_capacity_memory_bytes",
            "Memory for all replications together, and the part of it that is provisioned.",
            labels=["part"],
        )
        memory.add_metric(["total"], ledger.total)
        memory.add_metric(["held"], ledger.total - ledger.free)
        yield memory
        waiting = GaugeMetricFamily(
            "penstock_capacity_waiting", "Replications that wait for capacity to start with."
        )
        waiting.add_metric([], len(ledger.line))
        yield waiting

    def _statuses(self) -> Family:
        family = GaugeMetricFamily(
            "penstock_replication_status",
            "1 for the status (AWS's word) of each replication that is looked after.",
            labels=["replication", "name", "status"],
        )
        for found in self._fleet.looked_after():
            family.add_metric([found.id, found.name, found.status], 1.0)
        return family

    def _kept(self) -> Family:
        """Of those at rest; workers tell their own under the same name."""
        name, text = SOURCE_RETAINED.name, SOURCE_RETAINED.help
        family = GaugeMetricFamily(name, text, labels=["replication"])
        for found in self._fleet.looked_after():
            if found.kept_bytes is not None:
                family.add_metric([found.id], found.kept_bytes)
        return family

    def _cost(self) -> Iterator[Family]:
        hours = CounterMetricFamily(
            "penstock_replication_unit_hours",
            "Capacity units times hours that a replication had, of all its starts.",
            labels=["replication"],
        )
        spent = CounterMetricFamily(
            "penstock_replication_cost",
            "The same, priced by [cost] unit_hour.",
            labels=["replication", "currency"],
        )
        for found in self._fleet.looked_after():
            if found.hours is not None:
                total = found.hours.total / HOUR_SECONDS
                hours.add_metric([found.id], total)
                spent.add_metric([found.id, self._prices.currency], total * self._prices.unit_hour)
        yield hours
        if self._prices.unit_hour:
            yield spent

    def _delivery(self) -> Iterator[Family]:
        delivered = CounterMetricFamily(
            "penstock_notices_delivered",
            "Events that the topic of an event subscription took.",
            labels=["subscription"],
        )
        failed = CounterMetricFamily(
            "penstock_notices_failed",
            "Tries in vain to post an event to the topic of an event subscription.",
            labels=["subscription"],
        )
        for name, posts in self._notices.posts.items():
            delivered.add_metric([name], posts.delivered)
            failed.add_metric([name], posts.failed)
        yield delivered
        yield failed


def _gauge(name: str, text: str, **labels: str) -> Family:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), 1.0)
    return family


def _shown(status: int, body: Mapping[str, object]) -> Shown:
    return Shown(status, orjson.dumps(body).decode() + "\n", JSON)


async def _of_worker(carrying: Carrying) -> str:
    """The text of a worker's metrics; empty when it does not answer."""
    if not carrying.address:
        return ""
    address = Address.parse(carrying.address)
    try:
        async with asyncio.timeout(WORKER_SECONDS):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, limit=TEXT_BYTES_MAX
            )
            try:
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""
    return body.decode() if head.startswith(b"HTTP/1.1 200") else ""
