"""Decisions recomputed from a recorded trace. (pure)"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from engine.capacity.decision import Decision
from engine.capacity.law import begin, initial, step
from engine.capacity.trace import Life


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a trace and the law part; None where one of them has nothing."""

    recorded: Decision | None
    recomputed: Decision | None


def replay(life: Life) -> Sequence[Decision]:
    """What the law decides by the samples of a trace."""
    state = initial(life.parameters, life.units, life.at, life.bar)
    made: list[Decision] = []
    for number in range(len(life.samples) + 1):
        if life.first is not None and number == life.first_after:
            state, first = begin(life.parameters, state, life.first)
            made.append(first)
        if number == len(life.samples):
            break
        state, decision = step(life.parameters, state, life.samples[number])
        if decision is not None:
            made.append(decision)
    return made


def differences(life: Life, recomputed: Sequence[Decision]) -> Sequence[Difference]:
    """Every place where they are not the same; empty for a trace that was recorded by this law."""
    return [
        Difference(recorded, again)
        for recorded, again in zip_longest(life.decisions, recomputed)
        if recorded != again
    ]
