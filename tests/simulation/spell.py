"""One run's weather: what happens to a scenario beside its own story."""

import random
from dataclasses import dataclass, fields, replace
from typing import Final

from tests.simulation.faults import CALM, STORM, Faults

CRASHES_MAX: Final = 4

SOMETIMES: Final = 0.3
"""Share of runs that each further trouble is in: most runs know a few, hardly one knows all, as
two troubles may hide each other."""


RESIZES_MAX: Final = 40
"""They do no harm to what is under way, so one run can have many of them."""

STORMY: Final = 0.8
"""Share of runs with faults on every link."""


@dataclass(frozen=True, slots=True)
class Spell:
    """Everything is off by default; a run is its scenario and this."""

    seed: int
    storm: bool = False
    """Faults on every link."""
    crashes: int = 0
    """Kills at moments of the seed's choosing."""
    half_open: bool = False
    """Servers notice the death of a client late."""
    crash_at: int = 0
    """The first process dies before this step of its own."""
    cancel_at: int = 0
    """The first process is cancelled before this step of its own."""
    late: bool = False
    """Calm until every table streams: most storms let the stream begin only now and then."""
    slow: bool = False
    """The target takes long over a write now and then."""
    disk: bool = False
    """The disk is full for a while now and then, or gives back other bytes."""
    stops: int = 0
    """SIGTERM, and a start afterwards."""
    cancels: int = 0
    """The running task is cancelled: an end without a drain that runs `finally`."""
    rivals: int = 0
    """A second process is started while the first one is well."""
    jumps: int = 0
    """Our machine's wall clock is set forward or back, by up to a day."""
    resized: bool = False
    """Every start has another number of appliers, and other batch limits."""
    resizes: int = 0
    """The running process is given another number of units, which is to say another memory, other
    budgets and another number of appliers."""

    @classmethod
    def of(cls, seed: int) -> "Spell":
        """Kills and further troubles as the seed says, mostly in a storm: in one that never ends,
        little that takes long is ever reached."""
        chance = random.Random(seed)

        def sometimes() -> bool:
            return chance.random() < SOMETIMES

        return cls(
            seed,
            crashes=seed % CRASHES_MAX,
            half_open=seed % 2 == 1,
            late=seed // CRASHES_MAX % 2 == 1,
            slow=sometimes(),
            disk=sometimes(),
            stops=chance.randint(1, 2) if sometimes() else 0,
            cancels=chance.randint(1, 2) if sometimes() else 0,
            rivals=chance.randint(1, 2) if sometimes() else 0,
            jumps=chance.randint(1, 3) if sometimes() else 0,
            resized=sometimes(),
            storm=chance.random() < STORMY,
            resizes=chance.randint(1, RESIZES_MAX) if sometimes() else 0,
        )

    @property
    def faults(self) -> Faults:
        """What may strike each call."""
        faults = STORM if self.storm else CALM
        if self.slow:
            faults = replace(faults, slow=0.05)
        if self.disk:
            faults = replace(faults, disk_full=0.1, disk_damaged=0.3)
        return faults

    @property
    def options(self) -> list[str]:
        """As options of `python -m tests.simulation`."""
        given: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "seed" or value:
                name = f"--{field.name.replace('_', '-')}"
                given.append(name if value is True else f"{name} {value}")
        return given
