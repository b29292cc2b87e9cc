"""`penstock run` and `penstock compare` as the processes that a user starts."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from prometheus_client.parser import text_string_to_metric_families

from engine.control.demo.server import ends_with_us
from engine.errors import PenstockError

PENSTOCK: Final = (sys.executable, "-c", "from engine.control.cli import main; main()")

STOP_SECONDS: Final = 15.0

SCRAPE_SECONDS: Final = 2.0

FILE: Final = """\
[replication]
id = "demo"

[source]
engine = "{engine}"
url = "{source}"

[target]
engine = "postgres"
url = "{target}"

[mapping]
include = ["{schema}.%"]

[load]
rows_per_chunk = 25000

[capacity]
unit_memory = "256MiB"
"""


@dataclass(frozen=True, slots=True)
class Ends:
    """URLs of both, and the source's engine and schema."""

    source: str
    target: str
    engine: str = "postgres"
    schema: str = "public"


class RunFailedError(PenstockError):
    """`penstock run` ended by itself, or got nowhere."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What /metrics says. `loaded`: existing rows copied, by table."""

    state: str
    loaded: Mapping[str, int]
    rows: int
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One `penstock compare`."""

    code: int
    differences: int
    rows: int
    on_their_way: int
    seconds: float
    problem: str = ""


@dataclass(slots=True)
class Penstock:
    """A running `penstock run`."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def figures(self) -> Figures | None:
        """The metrics now; None while they cannot be had.

        Raises:
            RunFailedError: it has ended.
        """
        if self.process.returncode is not None:
            raise RunFailedError(
                f"penstock run ended with {self.process.returncode}: {self.last_lines()}"
            )
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                return _figures(await _scrape(self.port))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None

    async def stop(self) -> int:
        """SIGTERM, as a service manager does; its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()

    def last_lines(self) -> str:
        """The end of its log."""
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


@asynccontextmanager
async def replicating(folder: Path, ends: Ends, port: int) -> AsyncIterator[Penstock]:
    """`penstock run` between two databases; stopped when the context is left."""
    file, log = folder / "demo.toml", folder / "penstock.log"
    file.write_text(FILE.format(**asdict(ends)))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *PENSTOCK,
            "run",
            str(file),
            "--state-dir",
            str(folder / "state"),
            "--metrics",
            f"127.0.0.1:{port}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            preexec_fn=ends_with_us(signal.SIGTERM),
        )
    penstock = Penstock(process, port, log)
    try:
        yield penstock
    finally:
        await penstock.stop()


async def compared(folder: Path) -> Compared:
    """Run `penstock compare` once."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    process = await asyncio.create_subprocess_exec(
        *PENSTOCK,
        "compare",
        str(folder / "demo.toml"),
        "--json",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=ends_with_us(signal.SIGKILL),
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    code, seconds = process.returncode or 0, loop.time() - started
    if not output.strip():
        return Compared(code, 0, 0, 0, seconds, errors.decode(errors="replace").strip())
    return _compared(orjson.loads(output), code, seconds)


def _compared(document: Mapping[str, Any], code: int, seconds: float) -> Compared:
    tables = document["tables"]
    problems = [table["problem"] or table["reason"] for table in tables]
    return Compared(
        code,
        document["differences"],
        sum(table["rows_source"] for table in tables),
        sum(table["read_again"] for table in tables),
        seconds,
        "; ".join(problem for problem in problems if problem),
    )


async def _scrape(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode()


def _figures(text: str) -> Figures:
    state, rows, lag, loaded = "starting", 0, None, dict[str, int]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "penstock_state" and sample.value:
                state = sample.labels["state"]
            elif sample.name == "penstock_cdc_target_rows_total":
                rows = int(sample.value)
            elif sample.name == "penstock_cdc_latency_target_seconds":
                lag = sample.value
            elif sample.labels.get("operation") == "load":
                loaded[sample.labels["table"]] = int(sample.value)
    return Figures(state, loaded, rows, lag)
