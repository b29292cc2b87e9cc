"""How long `penstock serve`, a process of its own, takes to describe what it has: 10,000 resources
of each kind that are stored, and 200 replications of which one has all the work there can be."""

import asyncio
import contextlib
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers
from benchmarks.starts import cpu_seconds
from engine.config.reach import KEY_ID, REGION, SECRET_KEY
from engine.control.api.sigv4 import Request, sign
from engine.control.lifecycle import Begin, Provision, StartType, Status, StopReason
from engine.control.resources import endpoint, replication
from engine.control.resources.document import encode
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import (
    Compute,
    Config,
    Life,
    Progress,
    Provisioned,
    Replication,
    Times,
    Wish,
)
from engine.control.store.choice import choose
from engine.control.store.records import Record
from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

LIMIT_MS: Final = 50.0
POLL_MS: Final = 100.0

CALM_SECONDS: Final = 1.0

POLLED: Final = 200
POLLS_PER_SECOND: Final = 50

CONNECTIONS: Final = 10

OPERATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "DescribeEndpoints": ("endpoint-id", "endpoint-{0:05}"),
    "DescribeReplicationConfigs": ("replication-config-id", "replication-{0:05}"),
    "DescribeReplications": ("replication-config-id", "replication-{0:05}"),
}
"""With the filter that finds one of them, and its value."""

KEY: Final = "AKIDPENSTOCKTEST0"
SECRET: Final = "nobody looks at this"
"""What AWS's own client of the tests signs with."""

KEYS: Final = {KEY_ID: KEY, SECRET_KEY: SECRET}

CONFIG_FILE: Final = "[limits]\ncalls_per_second = 100000\ncalls_burst = 100000\n"

MAPPINGS: Final = json.dumps(
    {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": str(number),
                "rule-name": str(number),
                "rule-action": "include",
                "object-locator": {"schema-name": "public", "table-name": f"orders_{number}"},
            }
            for number in range(10)
        ]
    }
)


def describe(servers: Servers, options: Options) -> Iterator[Result]:
    """p99 in milliseconds of each operation: pages of 100 through all of them, and one by name."""
    count = options.sized(10_000, 400)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.mkdir()
        asyncio.run(_fill(state, count))
        with Serving(Path(folder), config=CONFIG_FILE, **KEYS) as daemon:
            asking = _Asking(daemon.address)
            _await_calm(daemon)
            for operation in OPERATIONS:
                for how, ask in (
                    ("pages of 100", asking.pages),
                    ("one by its identifier", asking.single),
                ):
                    cost = _Cost(daemon)
                    times = ask(operation, count)
                    mode = f"{operation}, {how}"
                    facts = cost.of(times)
                    yield _result(servers, "describe", mode, count, LIMIT_MS, times, facts)
            asking.close()
            daemon.stop()


def poll(servers: Servers, options: Options) -> Iterator[Result]:
    """p99 in milliseconds of the states of 200 replications, each asked for every 4 s, as so many
    waiters would, while one of them carries rows as fast as it can."""
    seconds, operation = options.sized(30, 4), "DescribeReplications"
    names = [OPERATIONS[operation][1].format(number) for number in range(POLLED - 1)]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.mkdir()
        asyncio.run(_fill(state, POLLED - 1))
        with (
            servers.source_database() as source,
            servers.target_database() as target,
            Serving(Path(folder), config=CONFIG_FILE, **KEYS) as daemon,
        ):
            source.execute("CREATE TABLE busy (id bigint PRIMARY KEY, v text)")
            it = replicated(daemon, "busy", source, target)
            start(daemon, it.arn)
            daemon.await_status(it.arn, "running")
            with _writing(source):
                cost = _Cost(daemon)
                times = _paced(daemon.address, operation, ["busy", *names], seconds)
                facts = cost.of(times)
            daemon.stop()
    mode = f"{operation}, {POLLS_PER_SECOND} a second"
    yield _result(servers, "poll", mode, POLLED, POLL_MS, times, facts)


class _Cost:
    """What the daemon's own process spends from now on."""

    def __init__(self, daemon: Serving) -> None:
        self._pid = daemon.process.pid
        self._spent = cpu_seconds(self._pid)

    def of(self, times: Sequence[float]) -> Mapping[str, object]:
        """Milliseconds of CPU for each of so many answers, whatever else it did meanwhile."""
        spent = cpu_seconds(self._pid) - self._spent
        return {"cpu_ms": round(spent * 1e3 / len(times), 2)}


def _await_calm(daemon: Serving) -> None:
    """Until the daemon has looked at everything that it has, which it does when it begins."""

    def calm() -> bool:
        before = cpu_seconds(daemon.process.pid)
        time.sleep(CALM_SECONDS)
        return cpu_seconds(daemon.process.pid) - before < CALM_SECONDS / 10

    daemon.until(calm, "its beginning")


@contextmanager
def _writing(source: Database) -> Iterator[None]:
    """Insert rows until the end of the context, a thousand in each transaction."""
    over = threading.Event()

    def write() -> None:
        begin = 0
        while not over.is_set():
            source.execute(
                "INSERT INTO busy"
                " SELECT g, repeat('x', 100) FROM generate_series(%s::int, %s::int) g",
                begin,
                begin + 999,
            )
            begin += 1_000

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            over.set()
        writing.result()


class _Asking:
    """One client, which asks for one thing after another over one connection,
    signed by the daemon's key."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self._headers = {"host": address, "content-type": "application/x-amz-json-1.1"}

    def close(self) -> None:
        self._connection.close()

    def pages(self, operation: str, count: int) -> Sequence[float]:
        """Milliseconds of each page, three times through all of them."""
        times: list[float] = []
        for _ in range(3):
            marker, seen = "", 0
            while True:
                answer, took = self._ask(operation, {"Marker": marker} if marker else {})
                times.append(took)
                seen += len(next(value for value in answer.values() if isinstance(value, list)))
                marker = answer.get("Marker", "")
                if not marker:
                    break
            assert seen == count, f"{operation} showed {seen} of {count}"
        return times

    def due(self, operation: str, asked: Iterable[tuple[float, str]]) -> Sequence[float]:
        """Milliseconds of each answer, from the moment in which it was to be asked for by name."""
        times: list[float] = []
        for due, name in asked:
            time.sleep(max(0.0, due - time.perf_counter()))
            self._ask(operation, _filtered(operation, name))
            times.append((time.perf_counter() - due) * 1e3)
        return times

    def single(self, operation: str, count: int) -> Sequence[float]:
        """Milliseconds of each of 300 that are looked up."""
        form = OPERATIONS[operation][1]
        names = [form.format(number * 7_919 % count) for number in range(300)]
        return [self._ask(operation, _filtered(operation, name))[1] for name in names]

    def _ask(self, operation: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        headers = {**self._headers, "x-amz-target": f"AmazonDMSv20160101.{operation}"}
        body = json.dumps(document).encode()
        request = Request("POST", "/", "", list(headers.items()), body)
        headers |= sign(request, KEY, SECRET, region=REGION, at=time.time())
        begun = time.perf_counter()
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        text = response.read()
        took = (time.perf_counter() - begun) * 1e3
        assert response.status == 200, text[:500]
        return json.loads(text), took


def _paced(address: str, operation: str, names: Sequence[str], seconds: int) -> Sequence[float]:
    """Milliseconds of each answer; the names are looked up in turn, over several connections: one
    that waits for a late answer makes no other late, as waiters know nothing of each other."""
    begun = time.perf_counter()
    asked = [
        (begun + number / POLLS_PER_SECOND, names[number % len(names)])
        for number in range(seconds * POLLS_PER_SECOND)
    ]

    def ask(first: int) -> Sequence[float]:
        with contextlib.closing(_Asking(address)) as asking:
            return asking.due(operation, asked[first::CONNECTIONS])

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [each for times in pool.map(ask, range(CONNECTIONS)) for each in times]


def _filtered(operation: str, name: str) -> dict[str, Any]:
    return {"Filters": [{"Name": OPERATIONS[operation][0], "Values": [name]}]}


def _result(
    servers: Servers,
    case: str,
    mode: str,
    count: int,
    limit_ms: float,
    times: Sequence[float],
    facts: Mapping[str, object],
) -> Result:
    ordered = sorted(times)
    p50 = ordered[len(ordered) // 2]
    p99 = Figure(ordered[int(0.99 * (len(ordered) - 1))], facts={"p50": p50, **facts})
    speed = calibrate()
    return from_pairs(
        case,
        [Pair(p99, Figure(limit_ms), (speed, speed))],
        unit="ms p99",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={"mode": mode, "stored": count, "against": "the limit"},
    )


async def _fill(state: Path, count: int) -> None:
    """A store with so many endpoints and replications, each with settings of its own."""
    async with choose(state) as store:
        for begin in range(0, count, 500):
            async with store.write() as writing:
                for number in range(begin, min(begin + 500, count)):
                    for record in _records(number):
                        await writing.insert(record)


def _records(number: int) -> tuple[Record, ...]:
    name = f"endpoint-{number:05}"
    side = "source" if number % 2 else "target"
    members = {
        "EndpointIdentifier": name,
        "EndpointType": side,
        "EngineName": "postgres",
        "ServerName": f"db-{number}.example",
        "Port": 5432,
        "DatabaseName": "shop",
        "Username": "penstock",
        "PostgreSQLSettings": {"HeartbeatEnable": True, "CaptureDdls": True},
    }
    fields = {"type": side, "engine": "postgres"}
    end = Record(endpoint.KIND, f"E{number:05}", name, encode(Endpoint(members=members)), fields)
    return end, _replication(number)


def _replication(number: int) -> Record:
    config = Config(
        name=f"replication-{number:05}",
        source="E00001",
        target="E00000",
        type="full-load-and-cdc",
        compute=Compute(units_max=8, window="mon:22:00-mon:22:30"),
        mappings=MAPPINGS,
        settings={"FullLoadSettings": {"CommitRate": number + 1}},
        created=1.7e9,
        updated=1.7e9,
    )
    life = Life(
        status=Status.STOPPED,
        ran=True,
        wish=Wish(type=StartType.START, begin=Begin.FRESH, at=1.7e9),
        provisioned=Provisioned(state=Provision.DEPROVISIONED, units=2, at=1.7e9),
        stop_reason=StopReason.NORMAL,
        checkpoint="4AF/B00000D0",
        times=Times(fresh_start=1.7e9, start=1.7e9, stop=1.7e9 + 60, load_start=1.7e9),
        progress=Progress(percent=100, loaded=12),
    )
    kept = Replication(config=config, life=life)
    return Record(
        replication.KIND, f"R{number:05}", config.record_name, encode(kept), config.fields
    )
