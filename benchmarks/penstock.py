"""Penstock as its users run it: a TOML file and `penstock run` as a process."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from tests.servers.postgres import Database

ROOT: Final = Path(__file__).resolve().parents[1]

COMMAND: Final = (sys.executable, "-c", "from engine.control.cli import main; main()")

UNIT_MEMORY: Final = "256MiB"

END_SECONDS: Final = 30.0


@dataclass(slots=True)
class Run:
    """A running or ended `penstock run`. `cpu_seconds` is that of it and its worker, once ended."""

    process: "subprocess.Popen[bytes]"
    started: float
    output: Path
    log: Path
    cpu_seconds: float = 0.0
    code: int | None = None
    kept: bytes = b""

    def alive(self) -> bool:
        """Whether it still runs; raises when it has failed."""
        self._reap(os.WNOHANG)
        if self.code:
            self.wait()
        return self.code is None

    def wait(self) -> int:
        """Wait for its end and check that it ended well."""
        while self.code is None:
            self._reap(0)
        if self.code:
            raise RuntimeError(
                f"penstock run ended with {self.code}: {self.log.read_text()[-3000:]}"
            )
        return self.code

    def stop(self) -> None:
        """SIGTERM, then wait."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        self.wait()

    def kill(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._reap(os.WNOHANG) is None:
            self.process.kill()
            self._reap(0)

    def printed(self) -> bytes:
        """What it has written to standard output. Kept after its folder is gone, once it ended."""
        return self.output.read_bytes() if self.output.exists() else self.kept

    def events(self, name: str) -> list[Mapping[str, object]]:
        """Events of one kind it has printed so far."""
        lines = self.printed().splitlines()
        parsed = [orjson.loads(line) for line in lines if line.startswith(b"{")]
        return [event for event in parsed if event.get("event") == name]

    def worker(self) -> int:
        """Process id of the worker it has started."""
        events = self.events("started")
        if not events:
            raise RuntimeError("no worker yet")
        pid = events[-1]["pid"]
        assert isinstance(pid, int)
        return pid

    def _reap(self, options: int) -> int | None:
        if self.code is not None:
            return self.code
        pid, status, usage = os.wait4(self.process.pid, options)
        if pid == 0:
            return None
        self.code = os.waitstatus_to_exitcode(status)
        self.process.returncode = self.code
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.kept = self.output.read_bytes()
        return self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """What the generated file says. `sections` adds to any table of it."""

    source: str
    target: str
    id: str = "bench"
    type: str = "cdc"
    engine: str = "postgres"
    mode: str = "table-parallel"
    include: str = "public.%"
    slot: str = ""
    sections: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict[str, Mapping[str, object]]
    )

    def toml(self) -> str:
        document: dict[str, dict[str, object]] = {
            "replication": {"id": self.id, "type": self.type},
            "source": {"engine": "postgres", "url": self.source},
            "source.settings": {},
            "target": {"engine": self.engine},
            "mapping": {"include": [self.include]},
            "apply": {"mode": self.mode},
            "capacity": {"unit_memory": UNIT_MEMORY, "max": 1},
        }
        if self.slot:
            document["source.settings"]["SlotName"] = self.slot
        if self.target:
            document["target"]["url"] = self.target
        for name, keys in self.sections.items():
            document.setdefault(name, {}).update(keys)
        return "\n".join(_section(name, keys) for name, keys in document.items() if keys)


@contextmanager
def running(replication: Replication, *arguments: str) -> Iterator[Run]:
    """`penstock run` on a generated file; killed at the end if it still runs."""
    with started(replication, (*COMMAND, "run"), *arguments) as run:
        yield run


@contextmanager
def started(replication: Replication, command: Sequence[str], *arguments: str) -> Iterator[Run]:
    """A command on a generated file, which comes before the other arguments."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        file = Path(folder) / "replication.toml"
        file.write_text(replication.toml())
        output, log = Path(folder) / "output", Path(folder) / "log"
        line = [*command, str(file), "--state-dir", folder, *arguments]
        with output.open("wb") as standard, log.open("wb") as errors:
            began = time.perf_counter()
            process = subprocess.Popen(
                line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=standard, stderr=errors
            )
        run = Run(process, began, output, log)
        try:
            yield run
        finally:
            run.kill()


def compare(source: Database, target: Database, include: str = "public.%") -> bool:
    """Whether `penstock compare` finds both equal."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        file = Path(folder) / "replication.toml"
        replication = Replication(
            source=source.dsn, target=target.dsn, type="full-load", include=include
        )
        file.write_text(replication.toml())
        done = subprocess.run(
            [*COMMAND, "compare", str(file)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return done.returncode == 0


def _section(name: str, keys: Mapping[str, object]) -> str:
    lines = "".join(f"{key} = {_value(value)}\n" for key, value in keys.items())
    return f"[{name}]\n{lines}"


def _value(value: object) -> str:
    return orjson.dumps(value).decode()
