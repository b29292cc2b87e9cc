"""`penstock serve` as its users start it: a process, watched by its log and by its API.

with Serving(folder) as daemon:
    dms = daemon.client()
    ...
    daemon.kill()
with Serving(folder) as daemon:      # the next one, on the same state
    daemon.await_status(arn, "running")
"""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import botocore.session
from botocore.config import Config

from tests.scenario.running import LOOK_SECONDS, PATIENCE_SECONDS, PENSTOCK, ROOT, alive, kill

ASK_SECONDS: Final = 0.1
"""Between two questions to a daemon, each of which costs it a millisecond or two."""

LINES_SHOWN: Final = 60

SESSION: Final = botocore.session.Session()

Line = dict[str, Any]


class Serving:
    """One daemon; `lines` is its log."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        config: str = "",
        command: Sequence[str] = PENSTOCK,
        **environment: str,
    ) -> None:
        self.state = folder / "state"
        self.lines: list[Line] = []
        self._client: Any = None
        self._changed = threading.Condition()
        if config:
            (folder / "penstock.toml").write_text(config)
            words = (f"--config={folder / 'penstock.toml'}", *words)
        self.process = subprocess.Popen(
            [*command, "serve", "--listen=127.0.0.1:0", f"--state-dir={self.state}", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    # --- what it says --------------------------------------------------------------------------

    def says(
        self, wanted: Callable[[Line], bool], what: str, patience: float = PATIENCE_SECONDS
    ) -> Line:
        """The first line that is wanted; waits for it."""

        def found() -> Line | None:
            return next((line for line in self.lines if wanted(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or not self._reader.is_alive(), patience)
            line = found()
        if line is None:
            self._fail(f"did not say {what}")
        return line

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.says(lambda line: line.get("action") == "api.listen", "where")["address"])

    def get(self, path: str) -> tuple[int, str]:
        """What a probe answers: its status and body."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, series: str) -> str:
        """The value of one series of `/metrics`; empty where it is not there."""
        _, text = self.get("/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines())
        return next((value for name, _, value in lines if name == series), "")

    def client(self) -> Any:
        """AWS's own client in front of it: one, as making it takes longer than a hundred calls.
        Each call has a connection of its own, so that none is cut while it rests."""
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _make_client(self) -> Any:
        client = SESSION.create_client(
            "dms",
            region_name="us-east-1",
            endpoint_url=f"http://{self.address}",
            aws_access_key_id="AKIDPENSTOCKTEST0",
            aws_secret_access_key="nobody looks at this",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send", _alone)
        return client

    def replication(self, arn: str) -> dict[str, Any]:
        """How a replication is, by its API."""
        filters = [{"Name": "replication-config-arn", "Values": [arn]}]
        (found,) = self.client().describe_replications(Filters=filters)["Replications"]
        return dict(found)

    def await_status(
        self, arn: str, *statuses: str, patience: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """How it is once it has one of these statuses; `failed` fails unless it is wanted."""

        def arrived() -> bool:
            found = self.replication(arn)
            if found["Status"] == "failed" and "failed" not in statuses:
                self._fail(f"{arn} failed: {found.get('FailureMessages')}")
            return found["Status"] in statuses

        self.until(arrived, f"{arn} to be {' or '.join(statuses)}", patience)
        return self.replication(arn)

    def until(
        self, holds: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Wait for what only a question tells."""
        deadline = time.monotonic() + patience
        while not holds():
            if self.process.poll() is not None:
                self._fail(f"ended before {what}")
            if time.monotonic() > deadline:
                self._fail(f"waited {patience:.0f} s for {what}")
            time.sleep(ASK_SECONDS)

    # --- what is done to it --------------------------------------------------------------------

    def worker(self) -> int:
        """Process id of its only child that is a worker."""
        found: list[int] = []

        def one() -> bool:
            found[:] = workers_of(self.process.pid)
            return len(found) == 1

        self.until(one, "one worker")
        return found[0]

    def kill(self) -> None:
        """SIGKILL; the kernel ends its workers with it. Returns when all are gone."""
        workers = workers_of(self.process.pid)
        self.process.kill()
        self.wait()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(map(alive, workers)):
            assert time.monotonic() < deadline, "workers outlived their daemon"
            time.sleep(LOOK_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit code, once every line has been read."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
        self.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if error is not None:
            error.add_note(self.story())

    def story(self) -> str:
        """Its last lines, for a failed test."""
        return "\n".join(json.dumps(line) for line in self.lines[-LINES_SHOWN:])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text) if text.startswith("{") else {"message": text.rstrip()}
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _fail(self, what: str) -> NoReturn:
        raise AssertionError(f"penstock serve {what}")


def _alone(request: Any, **_: object) -> None:
    """Ask that the connection ends with the answer; after signing, as it is not for the API."""
    request.headers["Connection"] = "close"


def workers_of(daemon: int) -> list[int]:
    """Workers that a daemon has started and that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == daemon and b"engine.worker" in words:
            found.append(int(entry.name))
    return found
