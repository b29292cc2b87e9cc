"""Crash points do nothing until armed, then exactly what was asked."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine import failpoint
from engine.errors import ConfigError


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoint.arm("", _no_sleep)


def _no_sleep(seconds: float) -> None:
    raise AssertionError(f"slept for {seconds} s")


def test_an_unarmed_point_does_nothing() -> None:
    failpoint.hit("test.point")


def test_only_the_nth_hit_of_the_armed_name_strikes() -> None:
    failpoint.arm("test.point:3:error", _no_sleep)
    failpoint.hit("test.point")
    failpoint.hit("test.other")
    failpoint.hit("test.point")
    with pytest.raises(failpoint.FailpointError, match=r"test\.point"):
        failpoint.hit("test.point")
    failpoint.hit("test.point")


def test_sleep_blocks_for_its_time() -> None:
    slept: list[float] = []
    failpoint.arm("test.point:sleep", slept.append)
    failpoint.hit("test.point")
    assert slept == [failpoint.SLEEP_SECONDS]


def test_kill_ends_the_process_without_cleaning_up() -> None:
    script = (
        "import time; from engine import failpoint\n"
        "failpoint.arm('test.point:2', time.sleep)\n"
        "try:\n"
        "    failpoint.hit('test.point'); print('one', flush=True); failpoint.hit('test.point')\n"
        "finally:\n"
        "    print('cleaned up', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "one\n")


@pytest.mark.parametrize("text", ["name:0", "name:-1", "name:explode", "name:1:kill:x"])
def test_a_malformed_setting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        failpoint.arm(text, _no_sleep)


def test_a_name_cannot_mean_two_things(monkeypatch: pytest.MonkeyPatch) -> None:
    # another test of this process goes through every name there is
    monkeypatch.setattr(failpoint, "_names", failpoint._names.copy())
    assert failpoint.register("test.unique", "here") == "test.unique"
    assert failpoint.register("test.unique", "here") == "test.unique"
    assert failpoint.names()["test.unique"] == "here"
    with pytest.raises(ValueError, match=r"test\.unique"):
        failpoint.register("test.unique", "elsewhere")
