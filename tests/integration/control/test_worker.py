"""The worker as a process: signals, exit codes, probes, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.control.fake_worker import CANARY

FAKE = Path(__file__).with_name("fake_worker.py")
ROOT = Path(__file__).resolve().parents[3]


class Running:
    """A started worker. `say` waits for a log line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []

    def say(self, message: str) -> dict[str, object]:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.lines.append(json.loads(text))
            if self.lines[-1]["message"] == message:
                return self.lines[-1]
        raise AssertionError(f"never said {message!r}: {self.lines}")

    def end(self, timeout: float = 12) -> int:
        rest, _ = self.process.communicate(timeout=timeout), None
        self.lines += [json.loads(text) for text in (rest[1] or "").splitlines()]
        return self.process.returncode


Start = Callable[..., Running]


@pytest.fixture
def start(orders: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(behaviour: str, *arguments: str, **environment: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, FAKE, "--log-format=json", *arguments, str(orders)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAKE_PIPELINE": behaviour, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Running(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _get(address: object, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=8) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0(start: Start, number: signal.Signals) -> None:
    worker = start("until-stopped:0.3", "--metrics=0")
    worker.say("serving metrics")
    worker.process.send_signal(number)
    assert worker.end() == 0
    assert [line["action"] for line in worker.lines][-3:] == [
        "worker.drain",
        "fake.finished",
        "worker.drained",
    ]


def test_a_drain_that_takes_too_long_is_cut_short_and_exits_0(start: Start) -> None:
    worker = start("hang", "--metrics=0")
    worker.say("serving metrics")
    began = time.monotonic()
    worker.process.terminate()
    assert worker.end() == 0
    assert 8 < time.monotonic() - began < 10
    assert worker.lines[-1]["message"] == "the drain was cut short"


def test_what_a_failed_attempt_held_is_given_back_before_the_next(start: Start) -> None:
    """It is in cycles of its tracebacks, and by itself the collector would look hours later."""
    worker = start("attempts")
    counted = worker.say("counted")
    assert (counted["before"], counted["after"]) == (True, False)
    assert worker.end() == 0


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    worker = start("hang", "--metrics=0")
    worker.say("serving metrics")
    worker.process.terminate()
    worker.say("draining")
    began = time.monotonic()
    worker.process.terminate()
    assert worker.end() == 0
    assert time.monotonic() - began < 2


def test_a_finished_pipeline_exits_0(start: Start) -> None:
    assert start("done").end() == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("SourceConnectionError", 1),
        ("SourceError", 1),
        ("FencedError", 3),
        ("PositionLostError", 3),
        ("InvariantError", 1),
    ],
)
@pytest.mark.parametrize("way", ["fail", "group"])
def test_the_error_class_is_the_exit_code(start: Start, way: str, error: str, code: int) -> None:
    worker = start(f"{way}:{error}")
    assert worker.end() == code
    last = worker.lines[-1]
    assert (last["level"], last["error"], last["hint"]) == (
        "error",
        f"{error}: it broke",
        "mend it",
    )
    assert last["replication"] == "orders"


def test_a_wrong_file_exits_2_and_every_problem_is_told(start: Start, orders: Path) -> None:
    with orders.open("a") as file:
        file.write('[load]\nparalel_tables = 1\nprepare = "x"\n')
    worker = start("done")
    assert worker.end() == 2
    told = json.dumps(worker.lines)
    assert "paralel_tables" in told
    assert "load.prepare" in told


def test_a_defect_names_its_place_and_no_value(start: Start) -> None:
    worker = start("defect")
    assert worker.end() == 1
    last = worker.lines[-1]
    assert last["error"] == "ValueError"
    assert isinstance(last["frames"], list)
    assert last["frames"][0].split()[-1] == "defect"
    assert CANARY not in json.dumps(worker.lines)


def test_probes_follow_the_pipeline(start: Start) -> None:
    worker = start("until-stopped", "--metrics=127.0.0.1:0")
    address = worker.say("serving metrics")["address"]
    deadline = time.monotonic() + 5
    while _get(address, "/readyz")[0] != 200:
        assert time.monotonic() < deadline
    assert _get(address, "/healthz") == (200, '{"ok":true,"state":"streaming"}\n')
    status, text = _get(address, "/metrics")
    assert status == 200
    assert 'penstock_cdc_target_rows_total{replication="orders"} 10.0' in text
    assert 'penstock_state{replication="orders",state="streaming"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert _get(address, "/secret")[0] == 404


def test_a_blocked_loop_is_reported_while_it_blocks_and_makes_it_unready(start: Start) -> None:
    worker = start("block:4", "--metrics=0")
    address = worker.say("serving metrics")["address"]
    line = worker.say("the event loop is blocked")
    assert isinstance(line["frames"], list)
    assert line["frames"][0].endswith(" block")
    status, body = _get(address, "/readyz")
    reason = "the loop stage is stuck: the event loop was blocked"
    assert (status, json.loads(body)["reason"]) == (503, reason)
    assert 'penstock_stuck{replication="orders",stage="loop"} 1.0' in _get(address, "/metrics")[1]


@pytest.mark.nightly
def test_a_loop_that_does_not_come_back_ends_its_process_with_the_reason(start: Start) -> None:
    worker = start("block:120")
    worker.say("the event loop is blocked")
    line = worker.say("the event loop does not come back: a new worker")
    assert line["frames"]
    assert worker.end() == 1


def test_a_port_in_use_is_a_wrong_command_line(start: Start) -> None:
    first = start("until-stopped", "--metrics=0")
    address = first.say("serving metrics")["address"]
    second = start("until-stopped", f"--metrics={address}")
    assert second.end() == 2
    assert "cannot listen" in str(second.lines[-1]["error"])


def test_the_kernel_kills_it_with_its_parent(orders: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        f"worker = subprocess.Popen([sys.executable, {str(FAKE)!r}, '--parent', str(os.getpid()),"
        f" {str(orders)!r}])\n"
        "time.sleep(1.5); print(worker.pid, worker.poll(), flush=True); os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_PIPELINE": "hang"}
    parent = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid, alive = parent.stdout.split()
    assert alive == "None"
    deadline = time.monotonic() + 3
    while _is_running(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_failpoint_from_the_environment_is_checked(start: Start) -> None:
    assert start("done", PENSTOCK_FAILPOINT="x:explode").end() == 2


def test_the_resident_memory_of_an_idle_worker_is_small(start: Start) -> None:
    worker = start("until-stopped", "--metrics=0")
    text = _get(worker.say("serving metrics")["address"], "/metrics")[1]
    line = next(t for t in text.splitlines() if t.startswith("process_resident_memory_bytes"))
    assert float(line.split()[1]) < 60 * 2**20


def _is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
