"""The engine's seams in a simulation: time, chance and disk."""

import random
from collections.abc import Sequence
from typing import Final

from engine.errors import StateError
from tests.simulation.loop import SimulatedLoop

EPOCH_SECONDS: Final = 1_700_000_000.0
"""The wall clock when a simulation begins."""

DISK_BYTES_MAX: Final = 1 << 20


class SimulatedClock:
    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return EPOCH_SECONDS + self._loop.time()


class SimulatedRandom:
    """Jitter and keys, of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def key(self, size: int) -> bytes:
        return self._random.randbytes(size)


class SimulatedDisk:
    """Files whose newest bytes a crash takes away: nobody asked for them to be synchronised."""

    def __init__(self, bytes_max: int = DISK_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._files: dict[str, bytearray] = {}

    def append(self, name: str, data: bytes) -> int:
        used = sum(map(len, self._files.values()))
        if used + len(data) > self._bytes_max:
            raise StateError("no space left on the simulated disk")
        file = self._files.setdefault(name, bytearray())
        offset = len(file)
        file += data
        return offset

    def read(self, name: str, offset: int, size: int) -> bytes:
        data = bytes(self._files.get(name, bytearray())[offset : offset + size])
        if len(data) != size:
            raise StateError(f"{name} ends before byte {offset + size}")
        return data

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    def names(self) -> Sequence[str]:
        return sorted(self._files)

    def crash(self, chance: random.Random) -> None:
        """Lose files, or their ends."""
        for name in self.names():
            kept = chance.choice((0, chance.randint(0, len(self._files[name])), None))
            if kept == 0:
                del self._files[name]
            elif kept is not None:
                del self._files[name][kept:]
