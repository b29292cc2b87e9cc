"""Log streams as files: `<folder>/<group>/<stream>.log`, rotated, kept for a time.

One thread writes all of them, so that a slow or full disk holds up nobody. What the queue cannot
take, and what the disk refuses, is dropped, counted, and told in the stream as soon as it can be.
Files that were rotated away are deleted when they are older than the retention, in the maintenance
window or when there are too many.
"""

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STREAM_BYTES_MAX: Final = 16 << 20
"""Size at which a stream begins a new file; an editor still opens one."""

FILES_MAX: Final = 8
"""Files of one stream, the newest included: 128 MiB for the most talkative of streams."""

LINES_WAITING_MAX: Final = 20_000
"""Lines held while the disk does not answer; about 5 MiB."""

CLOSE_SECONDS: Final = 2.0
"""How long `close` waits for the last lines."""

SUFFIX: Final = ".log"


@dataclass(frozen=True, slots=True)
class Stream:
    """Where lines go."""

    group: str
    name: str

    def path(self, folder: Path, number: int = 0) -> Path:
        """Of its newest file (0) or an older one."""
        ending = f".{number}" if number else ""
        return folder / self.group / f"{self.name}{SUFFIX}{ending}"


class LogFiles:
    """The streams of one daemon, below one folder, which only its own account may read."""

    def __init__(
        self, folder: Path, *, bytes_max: int = STREAM_BYTES_MAX, files_max: int = FILES_MAX
    ) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._queue: queue.Queue[tuple[Stream, str] | None] = queue.Queue(LINES_WAITING_MAX)
        self._lost: Counter[Stream] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log files", daemon=True)
        self._thread.start()

    def write(self, stream: Stream, line: str) -> None:
        """Queue a line. Never waits, never raises; a line break in it becomes a space."""
        try:
            self._queue.put_nowait((stream, " ".join(line.splitlines())))
        except queue.Full:
            self._lose(stream, 1)

    def close(self) -> None:
        """Write what is queued, for at most `CLOSE_SECONDS`."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)

    def drop_older(self, before: float) -> int:
        """Delete files not written to since `before` (seconds since the epoch), except each
        stream's newest; how many."""
        gone = 0
        for path in self._folder.glob(f"*/*{SUFFIX}.*"):
            with contextlib.suppress(FileNotFoundError):  # rotated away meanwhile
                if path.stat().st_mtime < before:
                    path.unlink()
                    gone += 1
        return gone

    def _lose(self, stream: Stream, lines: int) -> None:
        with self._lock:
            self._lost[stream] += lines

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            stream, line = item
            with self._lock:
                lost = self._lost.pop(stream, 0)
            lines = [line]
            if lost:
                lines.append(f"{lost} lines were lost here: the disk did not take them")
            try:
                self._append(stream, "".join(f"{text}\n" for text in lines))
            except OSError:
                self._lose(stream, 1 + lost)

    def _append(self, stream: Stream, text: str) -> None:
        path = stream.path(self._folder)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size + len(text) > self._bytes_max:
            self._rotate(stream)
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)

    def _rotate(self, stream: Stream) -> None:
        stream.path(self._folder, self._files_max - 1).unlink(missing_ok=True)
        for number in range(self._files_max - 2, -1, -1):
            path = stream.path(self._folder, number)
            if path.exists():
                path.rename(stream.path(self._folder, number + 1))


def lines_of(folder: Path, stream: Stream) -> Iterator[str]:
    """Everything that is kept of a stream, oldest first, without line ends."""
    numbers = [int(path.suffix[1:]) for path in _older(folder, stream)]
    for number in [*sorted(numbers, reverse=True), 0]:
        with contextlib.suppress(FileNotFoundError):
            path = stream.path(folder, number)
            yield from path.read_text(encoding="utf-8", errors="replace").splitlines()


def _older(folder: Path, stream: Stream) -> Iterator[Path]:
    newest = stream.path(folder)
    for path in newest.parent.glob(f"{newest.name}.*"):
        if path.suffix[1:].isdecimal():
            yield path
