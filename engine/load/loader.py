"""Who copies chunks: a session, and the checkpoint row that fences what is written over it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from engine.contracts import TargetSession
from engine.model.state import Fence, LaneRow


@dataclass(slots=True)
class LoaderLane:
    """The checkpoint row that fences one loader's transactions; it holds no position."""

    name: str
    epoch: int
    seq: int

    def fence(self) -> Fence:
        return Fence(self.name, self.epoch, self.seq, "")

    @classmethod
    def of(cls, name: str, row: LaneRow) -> "LoaderLane":
        return cls(name, row.epoch, row.seq)


Loader: TypeAlias = tuple[TargetSession, LoaderLane]

Work: TypeAlias = Callable[[Loader], Awaitable[None]]
"""What a loader does, until nothing is left for it or it `is_surplus`."""


class Crew(Protocol):
    """Loaders side by side (`engine.copiers.Copiers`)."""

    def is_surplus(self, loader: Loader) -> bool:
        """Whether one that has done its chunk is to leave."""
        ...

    async def run(self, work: Work, more: Callable[[], bool], first: Loader) -> None:
        """Until all has been done. `more`: whether there is something to do for one that joins.
        `first` is there already. Raises what ends a loader."""
        ...
