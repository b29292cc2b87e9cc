"""Log streams as files."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.control.logs.files import LogFiles, Stream, lines_of

ONE = Stream("group", "one")


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Callable[..., LogFiles]]:
    made: list[LogFiles] = []

    def make(**limits: int) -> LogFiles:
        made.append(LogFiles(tmp_path / "logs", **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


def kept(tmp_path: Path, stream: Stream = ONE) -> list[str]:
    return list(lines_of(tmp_path / "logs", stream))


def test_lines_go_to_the_file_of_their_stream(
    files: Callable[..., LogFiles], tmp_path: Path
) -> None:
    logs = files()
    other = Stream("group", "other")
    logs.write(ONE, "a")
    logs.write(other, "b\nc")
    logs.write(ONE, "d")
    logs.close()
    assert kept(tmp_path) == ["a", "d"]
    assert kept(tmp_path, other) == ["b c"]
    assert kept(tmp_path, Stream("group", "none")) == []


def test_nobody_else_may_read_them(files: Callable[..., LogFiles], tmp_path: Path) -> None:
    logs = files()
    logs.write(ONE, "a")
    logs.close()
    assert (tmp_path / "logs" / "group").stat().st_mode & 0o077 == 0


def test_a_stream_is_bounded_and_keeps_its_newest_lines(
    files: Callable[..., LogFiles], tmp_path: Path
) -> None:
    logs = files(bytes_max=100, files_max=3)
    for number in range(100):
        logs.write(ONE, f"line {number:04}")
    logs.close()
    lines = kept(tmp_path)
    assert lines == [f"line {number:04}" for number in range(100 - len(lines), 100)]
    assert 20 < len(lines) <= 30
    assert len(list((tmp_path / "logs" / "group").iterdir())) == 3


def test_older_files_are_deleted_and_the_newest_stays(
    files: Callable[..., LogFiles], tmp_path: Path
) -> None:
    logs = files(bytes_max=20, files_max=5)
    for number in range(8):
        logs.write(ONE, f"line {number:04}")
    logs.close()
    for path in (tmp_path / "logs" / "group").iterdir():
        os.utime(path, (1_000, 1_000))
    assert logs.drop_older(before=2_000) == 3
    assert kept(tmp_path) == ["line 0006", "line 0007"]


def test_what_the_disk_does_not_take_is_told_when_it_does_again(
    files: Callable[..., LogFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be made stands for a full disk: both are an OSError of the same call."""
    (tmp_path / "logs").write_text("in the way")
    logs = files()
    refused = threading.Event()
    lose = logs._lose

    def seen(stream: Stream, lines: int) -> None:
        lose(stream, lines)
        if lines == 3:
            refused.set()

    monkeypatch.setattr(logs, "_lose", seen)
    for word in "abc":
        logs.write(ONE, word)
    assert refused.wait(10)
    (tmp_path / "logs").unlink()
    logs.write(ONE, "d")
    logs.close()
    assert kept(tmp_path) == ["d", "3 lines were lost here: the disk did not take them"]
