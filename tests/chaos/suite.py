"""What a suite of trials is: its sizes by tier, its tasks, what they may come to.

A suite is one way of trying to break the engine, run as often as a tier says. It is cut into tasks
that know nothing of each other, so they may run side by side, in parts, and on different days;
outcomes add up.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Tier(StrEnum):
    """How much is run: in every `make test`; in a night; before a release."""

    SMOKE = "smoke"
    NIGHTLY = "nightly"
    RELEASE = "release"


Sizes = Mapping[str, int]
"""How many trials of each kind, by its plural: `{"seeds": 2000}`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that did not end as it must. `replay` is the command that shows it again."""

    what: str
    replay: str


@dataclass(slots=True)
class Outcome:
    """What trials came to. `seconds` are those of work, not of the clock on the wall."""

    trials: Counter[str] = field(default_factory=Counter[str])
    failures: list[Failure] = field(default_factory=list[Failure])
    reached: Counter[str] = field(default_factory=Counter[str])
    """Situations, and how often each was reached."""
    seconds: float = 0.0
    measured: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """What was measured on the way, by the name of its measure."""

    def add(self, other: "Outcome") -> None:
        self.trials.update(other.trials)
        self.failures += other.failures
        self.reached.update(other.reached)
        self.seconds += other.seconds
        for name, values in other.measured.items():
            self.measured.setdefault(name, []).extend(values)


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of a suite. `work` goes to another process: a `functools.partial` of a function."""

    name: str
    work: Callable[[], Outcome]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a suite: the `percentile` of what its trials measured, and what it must be."""

    meaning: str
    unit: str
    percentile: int
    at_least: float = -math.inf
    at_most: float = math.inf

    def figure(self, values: Sequence[float]) -> float:
        """The percentile (nearest rank) of at least one value."""
        ordered = sorted(values)
        rank = -(-len(ordered) * self.percentile // 100)
        return ordered[max(rank, 1) - 1]

    def holds(self, values: Sequence[float]) -> bool:
        return self.at_least <= self.figure(values) <= self.at_most

    @property
    def limit(self) -> str:
        """What it must be, in words; empty where it is only told."""
        parts = [f"at least {self.at_least:g}"] if self.at_least > -math.inf else []
        parts += [f"at most {self.at_most:g}"] if self.at_most < math.inf else []
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Suite:
    """`tasks(sizes, seed)` cuts that many trials into tasks; the same seed gives the same trials.
    Every one of `situations` (name -> meaning) must be reached by each tier, every one of
    `measures` taken and within its limit. `alone`: its tasks run one after the other, as they keep
    the whole machine busy themselves."""

    name: str
    proves: str
    sizes: Mapping[Tier, Sizes]
    tasks: Callable[[Sizes, int], Sequence[Task]]
    situations: Mapping[str, str] = field(default_factory=dict[str, str])
    alone: bool = False
    measures: Mapping[str, Measure] = field(default_factory=dict[str, Measure])

    def missed(self, outcome: Outcome) -> list[str]:
        """Situations that were never reached."""
        return [name for name in self.situations if not outcome.reached[name]]

    def exceeded(self, outcome: Outcome) -> list[str]:
        """Measures that were not taken or are not what they must be, each with its figure."""
        found: list[str] = []
        for name, measure in self.measures.items():
            values = outcome.measured.get(name, [])
            if not values:
                found.append(f"{name} was never measured ({measure.meaning})")
            elif not measure.holds(values):
                figure = f"p{measure.percentile} {measure.figure(values):.3g} {measure.unit}"
                found.append(f"{name}: {figure} of {len(values)}, must be {measure.limit}")
        return found


_SUITES: Final[dict[str, Suite]] = {}


def register(suite: Suite) -> Suite:
    """Make a suite known to `python -m tests.chaos`; its module is named in `suites`."""
    if _SUITES.setdefault(suite.name, suite) is not suite:
        raise ValueError(f"two suites are called {suite.name}")
    return suite


def registered() -> Mapping[str, Suite]:
    """Every known suite, by name."""
    return MappingProxyType(_SUITES)


def share(sizes: Sizes, part: float) -> Sizes:
    """The sizes of a part of a run; at least one trial of each kind."""
    return {unit: max(1, round(count * part)) for unit, count in sizes.items()}
