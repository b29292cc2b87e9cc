"""The engine's seams in a simulation: time, chance and disk."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from engine.errors import StateError
from tests.simulation.loop import SimulatedLoop

EPOCH_SECONDS: Final = 1_700_000_000.0
"""The wall clock when a simulation begins."""

DISK_BYTES_MAX: Final = 1 << 20

GARBAGE_BYTES_MAX: Final = 64


class SimulatedClock:
    """A machine's clock. Its wall may be set, forward and back; its monotonic time never is."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._set_by = 0.0

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return EPOCH_SECONDS + self._loop.time() + self._set_by

    def set_by(self, seconds: float) -> None:
        """Somebody, or a time server, sets the wall clock."""
        self._set_by += seconds


class SimulatedRandom:
    """Jitter and keys, of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def key(self, size: int) -> bytes:
        return self._random.randbytes(size)


class SimulatedDisk:
    """Files whose newest bytes a crash takes away or leaves as garbage: nobody asked for them to be
    synchronised. `refuses` tells of a write whether there is no room just now, `damages` of a read
    whether a byte has gone bad."""

    def __init__(self, bytes_max: int = DISK_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._files: dict[str, bytearray] = {}
        self.refuses: Callable[[], bool] = lambda: False
        self.damages: Callable[[], bool] = lambda: False

    def append(self, name: str, data: bytes) -> int:
        used = sum(map(len, self._files.values()))
        if used + len(data) > self._bytes_max or self.refuses():
            raise StateError("no space left on the simulated disk")
        file = self._files.setdefault(name, bytearray())
        offset = len(file)
        file += data
        return offset

    def read(self, name: str, offset: int, size: int) -> bytes:
        file = self._files.get(name, bytearray())
        if size and offset < len(file) and self.damages():
            file[offset] ^= 0x40
        data = bytes(file[offset : offset + size])
        if len(data) != size:
            raise StateError(f"{name} ends before byte {offset + size}")
        return data

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    def names(self) -> Sequence[str]:
        return sorted(self._files)

    def size(self, name: str) -> int:
        return len(self._files.get(name, b""))

    def crash(self, chance: random.Random) -> None:
        """Lose files, or their ends, or have them torn: garbage where the last writes were."""
        for name in self.names():
            file = self._files[name]
            fate = chance.choice(("lost", "short", "torn", "kept"))
            if fate == "lost":
                del self._files[name]
            elif fate != "kept":
                del file[chance.randint(0, len(file)) :]
            if fate == "torn":
                file += chance.randbytes(chance.randint(1, GARBAGE_BYTES_MAX))
