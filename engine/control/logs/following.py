"""Reading the streams of a group as they grow: the last lines first, then what came since.

A cursor says how far each stream was read. A file keeps its inode when it is rotated away, so a
reader that was slow finds the rest of it, and only what was deleted meanwhile is missed; a file
that got the inode of a deleted one is told by what stands before the place. Everything here reads
files, and is for a thread.
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from engine.control.logs.files import SUFFIX, Stream

BYTES_MAX: Final = 1 << 20
"""Read of all streams together at once: some 5,000 lines."""

LINES_MAX: Final = 10_000
"""Last lines of each stream that may be asked for."""

WAIT_SECONDS_MAX: Final = 20
"""Longest wait for what comes next, in seconds: less than what proxies and SDKs put up with."""

MARK_BYTES: Final = 256
"""As much as stands before a place is kept of it, as a checksum."""

Place: TypeAlias = tuple[int, int, int]
"""A file's inode, how much of it was read, and the checksum of the last of that."""

Cursor: TypeAlias = Mapping[str, Place]
"""By stream; one that is not there is read from its beginning."""


@dataclass(frozen=True, slots=True)
class Read:
    """Lines by stream, oldest first, without line ends; and where to go on."""

    lines: Mapping[str, list[str]]
    cursor: Cursor
    more: bool
    """There was more than is read at once."""


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a stream as it is now."""

    path: Path
    inode: int
    size: int


def streams(folder: Path, group: str) -> list[str]:
    """Names of a group's streams, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in (folder / group).glob(f"*{SUFFIX}"))


class _MovedError(Exception):
    """A file was rotated between two looks at it: the next one finds it under its new name."""


def last_lines(folder: Path, group: str, names: list[str], count: int) -> Read:
    """The last `count` lines of each of these streams, or fewer where they are long."""
    share = BYTES_MAX // max(len(names), 1)
    lines: dict[str, list[str]] = {}
    cursor: dict[str, Place] = {}
    for name in names:
        text, place = _last(folder, Stream(group, name), share)
        if place is not None:
            lines[name], cursor[name] = text[-count:] if count else [], place
    return Read(lines, cursor, more=False)


def _last(folder: Path, stream: Stream, bytes_max: int) -> tuple[list[str], Place | None]:
    while True:
        try:
            return _tail(_files(folder, stream), bytes_max)
        except _MovedError:
            continue


def _tail(files: list[_File], bytes_max: int) -> tuple[list[str], Place | None]:
    """The last whole lines of at most so many bytes; and the end of the newest file."""
    kept: list[str] = []
    place: Place | None = None
    for file in reversed(files):
        start = max(0, file.size - bytes_max)
        data = _bytes(file, start, file.size)
        whole = data[: data.rfind(b"\n") + 1]
        if place is None:
            place = _place(file, start, whole)
        begun = whole.partition(b"\n")[2] if start else whole
        kept = [*_lines(begun), *kept]
        bytes_max -= len(data)
        if bytes_max <= 0:
            break
    return kept, place


def lines_since(folder: Path, group: str, names: list[str], cursor: Cursor) -> Read:
    """Whole lines that came since, of each of these streams in turn."""
    lines: dict[str, list[str]] = {}
    places = dict(cursor)
    left, more = BYTES_MAX, False
    for name in names:
        reading = _Stream(_files(folder, Stream(group, name)), places.get(name))
        try:
            left = reading.read(left)
        except _MovedError:
            more = True
        more = more or reading.more
        if reading.place is not None:
            places[name] = reading.place
        if reading.lines:
            lines[name] = reading.lines
    return Read(lines, places, more)


class _Stream:
    """One stream while it is read on."""

    def __init__(self, files: list[_File], place: Place | None) -> None:
        self.place = place
        self.lines: list[str] = []
        self.more = False
        self._files = files

    def read(self, left: int) -> int:
        """Read at most `left` bytes; what is left of them."""
        for file, start in self._unread():
            if left <= 0:
                self.more = True
                break
            back = max(0, start - MARK_BYTES)
            end = min(file.size, start + left)
            before, data = _split(_bytes(file, back, end), start - back)
            whole = data[: data.rfind(b"\n") + 1]
            # A line that is longer than all that may be read is passed on in pieces.
            taken = whole or (data if len(data) == left else b"")
            left -= len(taken)
            self.lines += _lines(taken)
            self.place = _place(file, back, before + taken)
            if end < file.size:
                self.more = True
                break
        return left

    def _unread(self) -> list[tuple[_File, int]]:
        """Files with where to begin in each, oldest first."""
        for number, file in enumerate(self._files):
            if self.place is not None and self.place[0] == file.inode:
                read = self.place[1]
                back = max(0, read - MARK_BYTES)
                if _place(file, back, _bytes(file, back, read)) == self.place:
                    later = self._files[number + 1 :]
                    return [(file, read), *((each, 0) for each in later)]
        return [(file, 0) for file in self._files]


def _split(data: bytes, at: int) -> tuple[bytes, bytes]:
    return data[:at], data[at:]


def _place(file: _File, start: int, data: bytes) -> Place:
    """The place behind `data`, which begins at `start`; both reach back far enough for the mark."""
    return file.inode, start + len(data), zlib.crc32(data[-MARK_BYTES:])


def _files(folder: Path, stream: Stream) -> list[_File]:
    """The files of a stream that are there, oldest first."""
    seen = _look(folder, stream)
    while True:
        again = _look(folder, stream)
        # A look while files are rotated may pass one of them over.
        if [file.inode for file in again] == [file.inode for file in seen]:
            return again
        seen = again


def _look(folder: Path, stream: Stream) -> list[_File]:
    newest = stream.path(folder)
    older = (path.suffix[1:] for path in newest.parent.glob(f"{newest.name}.*"))
    numbers = sorted((int(number) for number in older if number.isdecimal()), reverse=True)
    found = []
    for number in (*numbers, 0):
        path = stream.path(folder, number)
        try:
            told = path.stat()
        except FileNotFoundError:  # rotated away meanwhile
            continue
        found.append(_File(path, told.st_ino, told.st_size))
    return found


def _bytes(file: _File, start: int, end: int) -> bytes:
    """A part of a file. Raises _MovedError."""
    try:
        with file.path.open("rb") as opened:
            if os.fstat(opened.fileno()).st_ino != file.inode:
                raise _MovedError
            opened.seek(start)
            return opened.read(end - start)
    except FileNotFoundError:
        raise _MovedError from None


def _lines(data: bytes) -> list[str]:
    return data.decode(errors="replace").splitlines()
