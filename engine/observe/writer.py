"""Log lines on their way out: formatted, queued, written by one thread.

A station must never wait for whoever reads the log, so a line goes into a bounded queue and a
daemon thread writes it. When the reader stalls and the queue fills, lines are dropped and counted;
the count is written as soon as there is room.
"""

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

import orjson

from engine.observe.log import Level, Line, Write
from engine.observe.redact import Fact, clean

LINES_WAITING_MAX: Final = 10_000
"""Lines held for a log reader that stalls; about 5 MiB at most, then lines are dropped."""

CLOSE_SECONDS: Final = 1.0
"""How long `close` waits for the last lines to be written."""


def stamp(at: float) -> str:
    """A wall clock time as people and parsers read it: UTC, ISO 8601, milliseconds."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def as_json(line: Line) -> str:
    """One JSON object. The four fixed names come first and win over a field of that name."""
    head = {"time": stamp(line.at), "level": line.level.name.lower(), "message": line.message}
    fields = {name: value for name, value in line.fields.items() if name not in head}
    return orjson.dumps({**head, **fields}, option=orjson.OPT_NON_STR_KEYS).decode()


def as_text(line: Line) -> str:
    """`time LEVEL message name=value ...`, for a terminal and for grep."""
    facts = "".join(f" {name}={_text(value)}" for name, value in line.fields.items())
    return f"{stamp(line.at)} {line.level.name:<7} {line.message}{facts}"


FORMATS: Final[Mapping[str, Callable[[Line], str]]] = {"text": as_text, "json": as_json}
"""The values of `--log-format`."""


class LineWriter:
    """Writes lines to a stream from a thread of its own; `write` is a `log.Write`."""

    def __init__(self, stream: TextIO, format: Callable[[Line], str]) -> None:
        self._stream = stream
        self._format = format
        self._queue: queue.Queue[Line | None] = queue.Queue(LINES_WAITING_MAX)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, line: Line) -> None:
        """Queue a line. Thread-safe, never waits, never raises."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what is queued, waiting at most `CLOSE_SECONDS`, and end the thread."""
        try:
            self._queue.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            self._put(line)
            if self._lost:
                self._put(self._lost_line(line.at))

    def _lost_line(self, at: float) -> Line:
        lost, self._lost = self._lost, 0
        fields: dict[str, Fact] = {"action": "log.lost", "lines": lost}
        return Line(at, Level.WARNING, "log lines were lost: nobody read them", fields)

    def _put(self, line: Line) -> None:
        try:
            self._stream.write(self._format(line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader is gone, or the stream was closed at exit
            self._lost += 1


class LibraryLines(logging.Handler):
    """Passes warnings of libraries (asyncio, drivers) on as lines.

    Only the first line of the unformatted message is taken: arguments and what follows may quote
    whatever the library had in hand.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one library record. Never raises."""
        fields: dict[str, Fact] = {"action": "library", "library": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        first = str(record.msg).partition("\n")[0]
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        self._write(Line(record.created, level, clean(first), fields))


def start_writing(format: str, stream: TextIO | None = None) -> LineWriter:
    """Start writing to `stream` (standard error), and route libraries' warnings there too.

    `format` is a name of `FORMATS`.
    """
    writer = LineWriter(stream or sys.stderr, FORMATS[format])
    root = logging.getLogger()
    root.handlers[:] = [LibraryLines(writer.write)]
    logging.raiseExceptions = False
    return writer


def _text(value: Fact) -> str:
    if isinstance(value, str):
        quoted = not value or any(character in value for character in ' "=')
        return '"' + value.replace('"', '\\"') + '"' if quoted else value
    if isinstance(value, (list, dict)):
        return orjson.dumps(value).decode()
    return str(value)
