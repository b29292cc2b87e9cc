"""The machine's own clock, randomness and disk."""

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from engine.errors import InvariantError, StateError
from engine.machine import Clock, Disk, Meter, Random
from engine.seams import LocalDisk, SystemClock, SystemMeter, SystemRandom


def test_the_seams_are_what_the_contracts_ask_for(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    chance: Random = SystemRandom()
    disk: Disk = LocalDisk(tmp_path)
    before = clock.monotonic()
    assert clock.monotonic() >= before
    assert clock.wall() > 1_700_000_000
    assert 2.0 <= chance.uniform(2.0, 3.0) <= 3.0
    assert disk.names() == []


def test_appended_bytes_are_read_back_at_the_offset_they_got(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    offsets = [disk.append("a", data) for data in (b"one", b"", b"three")]
    assert offsets == [0, 3, 3]
    assert disk.read("a", 3, 5) == b"three"


def test_a_successor_appends_behind_what_its_predecessor_left(tmp_path: Path) -> None:
    LocalDisk(tmp_path).append("a", b"old")
    disk = LocalDisk(tmp_path)
    assert disk.names() == ["a"]
    assert disk.append("a", b"new") == 3


def test_reading_past_the_end_is_an_error_and_not_a_short_answer(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    disk.append("a", b"four")
    with pytest.raises(StateError, match="ends before byte 5"):
        disk.read("a", 0, 5)
    with pytest.raises(StateError, match="cannot read"):
        disk.read("absent", 0, 1)


def test_overflow_may_be_as_large_as_capacity_allows(tmp_path: Path) -> None:
    """Who writes it has a budget; a limit beside it would make a larger one of no effect."""
    with (tmp_path / "old").open("wb") as file:
        file.truncate(1 << 40)
    assert LocalDisk(tmp_path).append("new", b"1234") == 0


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = LocalDisk(tmp_path)
    disk.append("a", b"kept")
    write = os.pwrite

    def fill(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fill)
        with pytest.raises(StateError, match=r"No space left on device.*free space"):
            disk.append("a", b"lost")
    assert (tmp_path / "a").read_bytes() == b"kept"
    assert disk.append("a", b"next") == 4


def test_overflow_is_private_to_the_account(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "orders"
    LocalDisk(directory).append("a", b"secret")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "a").stat().st_mode & 0o777 == 0o600


def test_a_replication_that_never_overflows_creates_no_directory(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path / "state")
    disk.remove("a")
    assert disk.names() == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/etc/passwd", "a\0b"])
def test_a_name_that_leads_elsewhere_is_a_bug_and_stops(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvariantError):
        LocalDisk(tmp_path).append(name, b"x")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="file/below"):
        LocalDisk(tmp_path / "file" / "below").append("a", b"x")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of both")
def test_the_kernel_tells_what_the_process_holds_and_how_long_it_ran() -> None:
    meter: Meter = SystemMeter()
    before = meter.read()
    held = bytearray(os.urandom(1)) * (64 << 20)
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    after = meter.read()
    assert before.memory_bytes
    assert after.memory_bytes
    assert 60 << 20 < after.memory_bytes - before.memory_bytes < 80 << 20
    assert len(held) == 64 << 20
    assert before.core_seconds is not None
    assert after.core_seconds is not None
    assert 0.05 <= after.core_seconds - before.core_seconds < 5
    assert after.denied_seconds is not None
