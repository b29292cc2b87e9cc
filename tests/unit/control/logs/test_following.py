"""Log streams read as they grow."""

import random
from pathlib import Path

import pytest

from engine.control.logs import following
from engine.control.logs.files import Stream
from engine.control.logs.following import last_lines, lines_since, streams

GROUP = "group"


class Writer:
    """Writes and rotates as `LogFiles` does, at once."""

    def __init__(self, folder: Path, name: str = "one") -> None:
        self.folder = folder
        self.stream = Stream(GROUP, name)
        self.stream.path(folder).parent.mkdir(exist_ok=True)

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.stream.path(self.folder).open("a") as file:
            file.write("".join(f"{line}{end}" for line in lines))

    def rotate(self, files_max: int = 8) -> None:
        self.stream.path(self.folder, files_max - 1).unlink(missing_ok=True)
        for number in range(files_max - 2, -1, -1):
            path = self.stream.path(self.folder, number)
            if path.exists():
                path.rename(self.stream.path(self.folder, number + 1))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def test_a_group_has_its_streams(tmp_path: Path) -> None:
    assert streams(tmp_path, GROUP) == []
    for name in ("two", "one"):
        Writer(tmp_path, name).write("a")
    rotated = Writer(tmp_path, "two")
    rotated.rotate()
    rotated.write("b")
    assert streams(tmp_path, GROUP) == ["one", "two"]


def test_the_last_lines_reach_back_over_rotated_files(writer: Writer) -> None:
    writer.write("1", "2", "3")
    writer.rotate()
    writer.write("4", "5")
    read = last_lines(writer.folder, GROUP, ["one"], 3)
    assert read.lines == {"one": ["3", "4", "5"]}
    assert lines_since(writer.folder, GROUP, ["one"], read.cursor).lines == {}


def test_no_lines_are_a_place_to_go_on_from(writer: Writer) -> None:
    writer.write("1")
    read = last_lines(writer.folder, GROUP, ["one"], 0)
    assert read.lines == {"one": []}
    writer.write("2")
    assert lines_since(writer.folder, GROUP, ["one"], read.cursor).lines == {"one": ["2"]}


def test_a_line_that_is_being_written_is_left_for_later(writer: Writer) -> None:
    writer.write("1")
    writer.write("half", end="")
    read = last_lines(writer.folder, GROUP, ["one"], 10)
    assert read.lines == {"one": ["1"]}
    assert lines_since(writer.folder, GROUP, ["one"], read.cursor).lines == {}
    writer.write(" and half")
    read = lines_since(writer.folder, GROUP, ["one"], read.cursor)
    assert read.lines == {"one": ["half and half"]}


def test_what_was_rotated_away_meanwhile_is_read_to_its_end(writer: Writer) -> None:
    writer.write("1")
    read = last_lines(writer.folder, GROUP, ["one"], 10)
    writer.write("2")
    writer.rotate()
    writer.write("3")
    writer.rotate()
    writer.write("4")
    read = lines_since(writer.folder, GROUP, ["one"], read.cursor)
    assert read.lines == {"one": ["2", "3", "4"]}
    assert not read.more


def test_a_reader_whose_file_was_deleted_goes_on_with_what_is_kept(writer: Writer) -> None:
    writer.write("1")
    read = last_lines(writer.folder, GROUP, ["one"], 10)
    for line in "2345":
        writer.rotate(files_max=2)
        writer.write(line)
    read = lines_since(writer.folder, GROUP, ["one"], read.cursor)
    assert read.lines == {"one": ["4", "5"]}


def test_a_stream_that_came_later_is_read_from_its_beginning(writer: Writer) -> None:
    writer.write("1")
    read = last_lines(writer.folder, GROUP, ["one"], 10)
    Writer(writer.folder, "two").write("a", "b")
    read = lines_since(writer.folder, GROUP, ["one", "two"], read.cursor)
    assert read.lines == {"two": ["a", "b"]}


def test_more_than_is_read_at_once_comes_in_parts(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BYTES_MAX", 100)
    written = [f"line {number}" for number in range(200)]
    writer.write(*written[:90])
    writer.rotate()
    writer.write(*written[90:])
    found: list[str] = []
    read = lines_since(writer.folder, GROUP, ["one"], {})
    while read.lines:
        found += read.lines["one"]
        assert read.more == (len(found) < len(written))
        read = lines_since(writer.folder, GROUP, ["one"], read.cursor)
    assert found == written
    assert last_lines(writer.folder, GROUP, ["one"], 50).lines["one"] == written[-11:]


def test_a_line_longer_than_is_read_at_once_is_passed_on_in_pieces(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BYTES_MAX", 10)
    writer.write("x" * 25, "y")
    read = lines_since(writer.folder, GROUP, ["one"], {})
    pieces: list[str] = []
    while read.lines:
        pieces += read.lines["one"]
        read = lines_since(writer.folder, GROUP, ["one"], read.cursor)
    assert "".join(pieces) == "x" * 25 + "y"


@pytest.mark.parametrize("seed", range(20))
def test_every_line_comes_once_and_in_order_whatever_happens_between(
    writer: Writer, seed: int
) -> None:
    chance = random.Random(seed)
    written: list[str] = []
    found: list[str] = []
    cursor: following.Cursor = {}
    for _ in range(300):
        match chance.randrange(4):
            case 0 | 1:
                written.append(f"line {len(written)}")
                writer.write(written[-1])
            case 2 if len(written) % 3 == 0:
                writer.rotate(files_max=200)
            case _:
                read = lines_since(writer.folder, GROUP, ["one"], cursor)
                found += read.lines.get("one", [])
                cursor = read.cursor
    found += lines_since(writer.folder, GROUP, ["one"], cursor).lines.get("one", [])
    assert found == written
