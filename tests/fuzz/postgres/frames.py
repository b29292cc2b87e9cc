"""Target `copy-data`: what libpq hands out of a stream, taken by the compiled loop and by Python's.

libpq is played by a few lines that give frames of any kind and length, nothing, the end, or an
error. The frames' headers are then read as the stream does.
"""

import ctypes
from collections.abc import Iterator, Sequence
from random import Random
from types import SimpleNamespace
from typing import Final, NamedTuple, cast

import psycopg

from connectors._interchange import compiled
from connectors.postgres import messages
from connectors.postgres.replication import Drained, ReplicationConnection
from engine.errors import DecodeError
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Decoded, Fuzzed

NOTHING: Final = 0
ENDED: Final = -1
FAILED: Final = -2

DATA: Final = b"w" + bytes(16) + b"\0\x02\xd8\x24\x10\x00\0\0" + b"I\0\0\x40\0N\0\x01n"
KEEPALIVE: Final = b"k" + bytes(7) + b"\x09" + bytes(8) + b"\x01"


class Case(NamedTuple):
    """`last` is what comes behind the frames."""

    frames: Sequence[bytes]
    last: int
    room: int


def cases(random: Random) -> Iterator[Case]:
    while True:
        frames = []
        for _ in range(int(random.random() * 12)):
            frame = DATA if random.random() < 0.7 else KEEPALIVE
            if random.random() < 0.4:
                frame = mutated(frame, random) or b"w"  # libpq gives no empty message
            frames.append(frame)
        room = random.choice((1, 40, 1 << 20))
        yield Case(frames, random.choice((NOTHING, NOTHING, ENDED, FAILED)), room)


# --- libpq ----------------------------------------------------------------------------------------

_C: Final = ctypes.CDLL(None)
_C.malloc.restype = ctypes.c_void_p
_C.malloc.argtypes = [ctypes.c_size_t]

_GET: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int
)


class Libpq:
    """Both faces: C functions by address, and psycopg's methods."""

    pgconn_ptr = 1

    def __init__(self) -> None:
        self._left: list[bytes] = []
        self._last = NOTHING
        self._get = _GET(self._get_copy_data)
        get = ctypes.cast(self._get, ctypes.c_void_p).value
        free = ctypes.cast(_C.free, ctypes.c_void_p).value
        assert get is not None
        assert free is not None
        self.addresses = messages._Libpq(get, free)

    def play(self, case: Case) -> None:
        self._left = list(reversed(case.frames))
        self._last = case.last

    def _get_copy_data(
        self, _connection: int, buffer: "ctypes._Pointer[ctypes.c_void_p]", _: int
    ) -> int:
        if not self._left:
            return self._last
        frame = self._left.pop()
        address = _C.malloc(len(frame))
        ctypes.memmove(address, frame, len(frame))
        buffer[0] = ctypes.c_void_p(address)
        return len(frame)

    def get_copy_data(self, _wait: int) -> tuple[int, memoryview]:
        if self._left:
            frame = self._left.pop()
            return len(frame), memoryview(frame)
        if self._last == FAILED:
            raise psycopg.OperationalError("it failed")
        return self._last, memoryview(b"")

    def get_error_message(self) -> str:
        return "it failed"


LIBPQ: Final = Libpq()


# --- reading --------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    taken: list[bytes]
    facts: tuple[int, int, int, bool, bool, int, int, int]
    error: str


def decode(case: Case) -> Decoded:
    native, python = _read(case, native=True), _read(case, native=False)
    assert native == python, f"{native}\n{python}"
    return Decoded(max(1, len(case.frames)), 1 if native.error else 0)


def _read(case: Case, *, native: bool) -> Outcome:
    loops, libpq = compiled.LOOPS, messages._libpq
    LIBPQ.play(case)
    drained = Drained()
    error = ""
    facts = (0, 0, 0)
    try:
        compiled.LOOPS = loops if native else None
        messages._libpq = lambda: LIBPQ.addresses  # type: ignore[assignment]
        stub = cast(ReplicationConnection, SimpleNamespace(_pgconn=LIBPQ))
        ReplicationConnection._take(stub, drained, case.room)
        facts = (drained.sent_at_us, drained.written, drained.all_sent)
    except (DecodeError, psycopg.OperationalError) as refused:
        error = f"{type(refused).__name__}: {refused}"
    finally:
        compiled.LOOPS, messages._libpq = loops, libpq
    ends = (drained.bytes, drained.keepalive, drained.keepalive_at)
    kept = drained.messages if not error else []
    return Outcome(kept, (*ends, drained.reply_asked, drained.ended, *facts), error)


TARGETS: Final = (Fuzzed(name="copy-data", generate=cases, decode=decode, errors=(), weight=100),)
