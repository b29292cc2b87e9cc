"""A private Prometheus, and its tool for rules.

    with Prometheus(config) as prometheus:
        prometheus.query("up")

It lives in a temporary directory on a free loopback port, and is stopped and removed at the latest
when the test process ends: a watchdog sees even a SIGKILL.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.servers.debian import unpacked
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.processes import POLL_SECONDS, Startable, Watchdog
from tests.servers.programs import ServerUnavailableError

NAME: Final = "prometheus"
"""As PENSTOCK_REQUIRE_SERVERS names it."""

SUITE: Final = "bookworm"
"""It stands still. Its 2.42 understands what later ones do, and is what stable servers run."""

PACKAGES: Final = ("prometheus", "libc6")
"""A program in Go needs the C library alone; the package depends on what installs it."""

START_TIMEOUT_SECONDS: Final = 60.0
"""0.2 s on an idle machine; a minute means it will not come."""

STOP_TIMEOUT_SECONDS: Final = 30.0

ANSWER_TIMEOUT_SECONDS: Final = 30.0

START_ATTEMPTS: Final = 3
"""Another process may take the port between choosing and listening; thrice is not chance."""

PORT_TAKEN: Final = "address already in use"

LAUNCH: Final = 'echo $$ >"$0" && exec "$@"'
"""The watchdog knows the process before it is the server."""

Series = dict[str, Any]


class QueryError(Exception):
    """Prometheus refused a query; its own words."""


@dataclass(frozen=True, slots=True)
class PrometheusPrograms:
    """The words that start the server and its tool; options follow."""

    server: tuple[str, ...]
    tool: tuple[str, ...]
    release: str
    origin: str


def find_prometheus() -> PrometheusPrograms:
    """Its programs, fetched when needed. One that could not be had is not tried again in this
    process.

    Raises ServerUnavailableError with the reason.
    """
    if not _missing:
        try:
            return _programs()
        except ServerUnavailableError as reason:
            _missing.append(str(reason))
    raise ServerUnavailableError(f"{NAME}: {_missing[0]}")


_missing: Final[list[str]] = []


def _programs() -> PrometheusPrograms:
    root = unpacked(SUITE, *PACKAGES, alone=True)
    folder = root.folder / "usr" / "bin"
    server, tool = (root.command(folder / name) for name in ("prometheus", "promtool"))
    done = subprocess.run([*tool, "--version"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerUnavailableError(f"promtool does not run: {done.stderr.strip()}")
    release = done.stdout.split()[2]
    return PrometheusPrograms(server, tool, release, f"package of Debian {SUITE}")


class Prometheus(Startable):
    """One server. Methods block; the server's own process never shares our event loop."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Prepare a server; nothing runs yet. `files`: name and text of its configuration
        `prometheus.yml` and of what that names beside itself.

        Raises ServerUnavailableError when it cannot be had here.
        """
        self.programs = find_prometheus()
        self.port = 0
        self.directory = Path(tempfile.mkdtemp(prefix="penstock-prometheus-"))
        self.log = self.directory / "log"
        for name, text in files.items():
            (self.directory / name).write_text(text)
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog = Watchdog(self.directory, "pid")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it answers queries; raises RuntimeError with the end of its log."""
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            self._launch()
            if self._became_ready():
                return
            end = self.log.read_text(errors="replace")[-2000:]
            self._stop()
            if PORT_TAKEN not in end or attempt == START_ATTEMPTS - 1:
                raise RuntimeError(f"Prometheus did not start: {end}")

    def destroy(self) -> None:
        """Stop and remove everything. Idempotent."""
        if self._watchdog.watching:
            self._stop()
            shutil.rmtree(self.directory, ignore_errors=True)
            self._watchdog.dismiss()

    # --- use ----------------------------------------------------------------------------------

    def query(self, expression: str) -> list[Series]:
        """What an expression gives now. Raises QueryError."""
        found: list[Series] = self._ask("query", {"query": expression})["result"]
        return found

    def query_range(self, expression: str, seconds: float) -> list[Series]:
        """What an expression gave in the last seconds, one value a second. Raises QueryError."""
        now = time.time()
        times = {"start": now - seconds, "end": now, "step": 1}
        found: list[Series] = self._ask("query_range", {"query": expression, **times})["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its `name`, `query`, `type`, `health` and `lastError`."""
        return [rule for group in self._ask("rules", {})["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, each with `health` and `lastError`."""
        found: list[dict[str, Any]] = self._ask("targets", {})["activeTargets"]
        return found

    # --- inside -------------------------------------------------------------------------------

    def _ask(self, what: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        words = urlencode(parameters).encode()
        url = f"http://{LOOPBACK}:{self.port}/api/v1/{what}"
        request = urllib.request.Request(url, data=words) if words else url
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
                return data
        except urllib.error.HTTPError as error:
            with error:
                raise QueryError(json.load(error)["error"]) from None

    def _launch(self) -> None:
        options = (
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", LAUNCH, self.directory / "pid", *self.programs.server, *options],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _became_ready(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        url = f"http://{LOOPBACK}:{self.port}/-/ready"
        while self.running and time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_SECONDS),
            ):
                return self.running
            time.sleep(POLL_SECONDS)
        return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def promtool(*words: str | Path, stdin: str = "", folder: Path | None = None) -> tuple[int, str]:
    """Run Prometheus's tool; its exit code and all it said. Raises ServerUnavailableError."""
    command: Sequence[str | Path] = [*find_prometheus().tool, *words]
    done = subprocess.run(
        command, input=stdin, cwd=folder, check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr
