"""The supervisor over real child processes that die in every way."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from engine.control import predecessor
from engine.control import supervisor as supervisor_module
from engine.control.memory_group import MemoryTree, WorkerMemory
from engine.control.resources.replication import Worker
from engine.control.supervisor import (
    Supervisor,
    WorkerArguments,
    stopped_by_signals,
)
from engine.observe.report import Outcome
from engine.seams import SystemClock, SystemRandom, memory_kills

FAKE = str(Path(__file__).with_name("fake_worker.py"))
ROOT = str(Path(__file__).resolve().parents[3])


class Recorder:
    """A view that keeps what it is shown."""

    takes_log = True

    def __init__(self) -> None:
        self.events: list[Mapping[str, object]] = []
        self.log: list[str] = []

    def event(self, event: Mapping[str, object]) -> None:
        self.events.append(event)

    def log_line(self, line: str) -> None:
        self.log.append(line)

    def named(self, name: str) -> list[Mapping[str, object]]:
        return [event for event in self.events if event["event"] == name]


Make = Callable[..., tuple[Supervisor, Recorder]]


@pytest.fixture
def make(orders: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("PYTHONPATH", ROOT)

    def make(
        behaviour: str,
        kills: Callable[[], int | None] = memory_kills,
        held: WorkerMemory | None = None,
    ) -> tuple[Supervisor, Recorder]:
        monkeypatch.setenv("FAKE_PIPELINE", behaviour)
        view = Recorder()
        supervisor = Supervisor(
            WorkerArguments(file=orders),
            view,
            SystemClock(),
            SystemRandom(),
            (sys.executable, FAKE),
            kills,
            held=held,
        )
        return supervisor, view

    return make


async def _run(supervisor: Supervisor) -> Outcome:
    """As `penstock run` does."""
    with stopped_by_signals(supervisor):
        return await supervisor.run()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(8):
        while not condition():
            await asyncio.sleep(0.02)


def _lived(lives: Path, times: int) -> bool:
    return lives.exists() and len(lives.read_text()) == times


def _shown(view: Recorder, event: str, times: int) -> bool:
    return len(view.named(event)) >= times


async def test_a_finished_replication_is_done(make: Make) -> None:
    supervisor, view = make("done")
    assert await _run(supervisor) == Outcome(0)
    assert [event["event"] for event in view.events if event["event"] != "metrics"] == [
        "started",
        "state",
        "caught-up",
        "state",
    ]
    assert view.named("metrics")[-1]["target_rows"] == 10
    told = [event["tables"] for event in view.named("metrics") if event["tables"]]
    assert told == [{"public.a": [0, 7, 3, 0, 0, 0]}], "once, and not again while nothing changes"


@pytest.mark.parametrize(("error", "code"), [("FencedError", 3), ("SourceError", 1)])
async def test_a_final_failure_ends_with_its_reason_and_remedy(
    make: Make, error: str, code: int
) -> None:
    supervisor, view = make(f"fail:{error}")
    outcome = await _run(supervisor)
    assert (outcome.exit, outcome.reason, outcome.remedy) == (code, "it broke", "mend it")
    assert len(view.named("started")) == 1
    assert any("the replication failed" in line for line in view.log)


async def test_a_killed_worker_is_started_again_and_goes_on(make: Make, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    supervisor, view = make(f"announce:{lives}")
    running = asyncio.create_task(_run(supervisor))
    pid_file = lives.with_suffix(".pid")
    for life in (1, 2):
        await _until(partial(_lived, lives, life))
        await _until(partial(_shown, view, "metrics", life))
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        await _until(partial(_shown, view, "restarting", life))
    await _until(lambda: len(lives.read_text()) == 3)
    assert "SIGKILL" in str(view.named("restarting")[0]["reason"])
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)


async def test_a_worker_can_be_known_before_it_tells_anything(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later its number may be another's: who stores it may have to wait for the store."""
    supervisor, view = make(f"crash-twice:{tmp_path / 'lives'}")
    forked: list[Worker] = []

    def see(pid: int) -> None:
        assert len(view.named("started")) == len(forked)
        forked.append(predecessor.known(pid, "run"))

    monkeypatch.setattr(supervisor, "_forked", see)
    assert await _run(supervisor) == Outcome(0)
    assert [worker.pid for worker in forked] == [told["pid"] for told in view.named("started")]
    assert all(worker.started > 0 for worker in forked)
    assert not any(map(predecessor.lives, forked))


async def test_crashes_at_start_are_tried_again_until_it_works(make: Make, tmp_path: Path) -> None:
    supervisor, view = make(f"crash-twice:{tmp_path / 'lives'}")
    assert await _run(supervisor) == Outcome(0)
    assert len(view.named("started")) == 3


GROUPS = (("memory", "4:memory:/", "memory.limit_in_bytes"), ("", "0::/", "memory.max"))
"""Of either version: where groups are mounted, how a process's own is told, and its limit."""


def _made(group: Path, limit: str) -> bool:
    """Whether a group with a limit of memory could be made."""
    with contextlib.suppress(OSError):
        group.mkdir()
        if (group / limit).exists():
            (group / limit).write_text(str(100 << 20))
            return True
        group.rmdir()
    return False


@pytest.fixture
def memory_group(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A control group with little memory, and a root under which it is this process's own."""
    name = f"penstock-{os.getpid()}"
    for mount, line, limit in GROUPS:
        group = Path("/sys/fs/cgroup") / mount / name
        if _made(group, limit):
            (tmp_path / "proc/self").mkdir(parents=True)
            (tmp_path / "proc/self/cgroup").write_text(f"{line}{name}\n")
            (tmp_path / "sys/fs/cgroup" / mount).mkdir(parents=True)
            (tmp_path / "sys/fs/cgroup" / mount / name).symlink_to(group)
            yield group, tmp_path
            group.rmdir()
            return
    pytest.skip("no control group for memory can be made here")


async def test_a_worker_that_the_kernel_ends_for_want_of_memory_is_recognised(
    make: Make, memory_group: tuple[Path, Path]
) -> None:
    group, root = memory_group
    supervisor, view = make(f"hungry:{group}", partial(memory_kills, root))
    assert await _run(supervisor) == Outcome(0)
    (restart,) = view.named("restarting")
    assert restart["reason"] == "the system ended the worker for want of memory"


@pytest.mark.parametrize(
    ("kills", "memory", "recognised"),
    [
        pytest.param(int, 0.2, True, id="counted"),
        pytest.param(lambda _: 3, 0.95, False, id="not counted"),
        pytest.param(lambda _: None, 0.95, True, id="full, where nobody counts"),
        pytest.param(lambda _: None, 0.5, False, id="not full, where nobody counts"),
    ],
)
async def test_a_sigkill_is_the_kernels_where_it_counts_one_or_memory_was_full(
    make: Make,
    tmp_path: Path,
    kills: Callable[[bool], int | None],
    memory: float,
    *,
    recognised: bool,
) -> None:
    file = tmp_path / "killed"
    supervisor, view = make(f"killed-full:{memory}:1.5:{file}", lambda: kills(file.exists()))
    running = asyncio.create_task(_run(supervisor))
    await _until(partial(_shown, view, "restarting", 1))
    reason = str(view.named("restarting")[0]["reason"])
    assert ("want of memory" in reason) is recognised
    if not recognised:
        os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)


class Held(WorkerMemory):
    """In the place of the kernel's groups: keeps what is asked of it; `killed` is its count."""

    def __init__(self, killed: int) -> None:
        super().__init__(MemoryTree(Path("/nowhere")), lambda units: units, 16)
        self.killed = killed
        self.calls: list[str] = []

    def begin(self) -> None:
        self.calls.append("begin")

    def take(self, pid: int) -> None:
        assert Path(f"/proc/{pid}").exists()
        self.calls.append("take")

    def resize(self, units: int) -> None:
        if self.calls[-1] != f"{units}":
            self.calls.append(f"{units}")

    def kills(self) -> int | None:
        return self.killed

    def end(self) -> None:
        self.calls.append("end")


@pytest.mark.parametrize(("killed", "recognised"), [(1, True), (0, False)])
async def test_a_worker_in_a_group_of_its_own_is_asked_about_there(
    make: Make, tmp_path: Path, killed: int, *, recognised: bool
) -> None:
    held = Held(killed)
    file = tmp_path / "killed"
    supervisor, view = make(f"killed-full:0.95:1.5:{file}", lambda: None, held)
    running = asyncio.create_task(_run(supervisor))
    await _until(partial(_shown, view, "restarting", 1))
    reason = str(view.named("restarting")[0]["reason"])
    assert ("want of memory" in reason) is recognised
    if not recognised:
        os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)
    sizes = [call for call in held.calls if call.isdecimal()]
    assert [call for call in held.calls if call not in sizes][:3] == ["begin", "take", "end"]
    assert held.calls[-1] == "end"


async def test_a_neighbour_that_the_kernel_ended_earlier_says_nothing_of_our_sigkill(
    make: Make, tmp_path: Path
) -> None:
    counts = [0]
    supervisor, view = make(
        f"killed-full:0.2:3.5:{tmp_path / 'killed'}", lambda: counts.pop() if counts else 1
    )
    running = asyncio.create_task(_run(supervisor))
    await _until(partial(_shown, view, "restarting", 1))
    assert "SIGKILL" in str(view.named("restarting")[0]["reason"])
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)


async def test_a_passing_failure_is_started_again(make: Make, tmp_path: Path) -> None:
    supervisor, view = make(f"source-away-once:{tmp_path / 'lives'}")
    assert await _run(supervisor) == Outcome(0)
    assert view.named("restarting")[0]["reason"] == "the source is away"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_is_passed_on_once_and_drains(make: Make, number: signal.Signals) -> None:
    supervisor, view = make("until-stopped:0.3")
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: view.named("state"))
    os.kill(os.getpid(), number)
    assert await running == Outcome(0)
    assert any("finished what was begun" in line for line in view.log)


async def test_a_second_signal_kills_at_once(make: Make) -> None:
    supervisor, view = make("hang")
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: view.named("state"))
    os.kill(os.getpid(), signal.SIGINT)
    await _until(lambda: any("draining" in line for line in view.log))
    began = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == Outcome(0)
    assert time.monotonic() - began < 2


async def test_a_stop_while_waiting_to_start_again_ends_at_once(make: Make, tmp_path: Path) -> None:
    supervisor, view = make(f"crash-always:{tmp_path / 'lives'}")
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: len(view.named("restarting")) == 2)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)


async def test_a_frozen_worker_is_killed_when_the_stop_takes_too_long(
    make: Make, tmp_path: Path
) -> None:
    supervisor, view = make(f"announce:{tmp_path / 'lives'}")
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: view.named("state"))
    os.kill(int((tmp_path / "lives.pid").read_text()), signal.SIGSTOP)
    began = time.monotonic()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)
    assert time.monotonic() - began < 10.5


async def test_a_worker_from_which_nothing_is_heard_is_replaced(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, view = make(f"announce:{tmp_path / 'lives'}")
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: view.named("state"))
    monkeypatch.setattr(supervisor_module, "SILENCE_SECONDS", 2.0)
    monkeypatch.setattr(supervisor_module, "LAST_SECONDS", 0.5)
    await _until(lambda: _shown(view, "metrics", 2))  # from one line to the next it is timed so
    frozen = int((tmp_path / "lives.pid").read_text())
    os.kill(frozen, signal.SIGSTOP)
    await _until(lambda: view.named("restarting"))
    assert "said nothing" in str(view.named("restarting")[0]["reason"])
    monkeypatch.setattr(supervisor_module, "SILENCE_SECONDS", 25.0)
    await _until(lambda: _lived(tmp_path / "lives", 2))
    assert int((tmp_path / "lives.pid").read_text()) != frozen
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == Outcome(0)


async def test_a_worker_that_cannot_be_started_now_is_started_later(
    orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptors or processes are left for a moment, or an upgrade replaces what is run."""
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setenv("FAKE_PIPELINE", "done")
    command, view = tmp_path / "worker", Recorder()
    supervisor = Supervisor(
        WorkerArguments(file=orders),
        view,
        SystemClock(),
        SystemRandom(),
        (str(command), FAKE),
        moved=True,
    )
    before = len(list(Path("/proc/self/fd").iterdir()))
    running = asyncio.create_task(_run(supervisor))
    await _until(lambda: _shown(view, "restarting", 1))
    assert "no process could be started" in str(view.named("restarting")[0]["reason"])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2, "those of signals"
    command.symlink_to(sys.executable)
    assert await running == Outcome(0)


async def test_a_wrong_file_is_not_started_again(make: Make, orders: Path) -> None:
    orders.write_text("[replication]\n")
    supervisor, view = make("done")
    outcome = await _run(supervisor)
    assert outcome.exit == 2
    assert not view.named("restarting")


async def test_a_worker_asks_for_capacity_and_is_granted_it(
    orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setenv("FAKE_PIPELINE", "growing:4")
    view = Granting()
    supervisor = Supervisor(
        WorkerArguments(file=orders),
        view,
        SystemClock(),
        SystemRandom(),
        (sys.executable, FAKE),
        granted=lambda: 2,
    )
    view.grant = supervisor.grant
    outcome = await _run(supervisor)
    assert outcome.exit == 0
    assert view.named("capacity-kept")[0]["units"] == 1
    assert view.asked >= 3


class Granting(Recorder):
    """A view that grants what is asked for, at the third time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.grant: Callable[[int], None] = lambda _: None

    def event(self, event: Mapping[str, object]) -> None:
        super().event(event)
        if event["event"] == "capacity-wanted":
            self.asked += 1
            if self.asked == 3:
                self.grant(3)
                self.grant(4)
