"""A worker whose size swings: `python -m tests.scenario.swinging SECONDS ...`, as `engine.worker`.

In the place of the law of capacity stands one that decides for another size every so many seconds,
whatever is measured. Everything else is the worker of `penstock run`.
"""

import itertools
import sys
from typing import Final

from engine.capacity import law
from engine.capacity.decision import Decision, Rule, inputs
from engine.capacity.sample import Sample
from engine.leaving import leave
from engine.worker import main

SIZES: Final = (8, 1, 4, 2, 16, 1)
"""From many appliers to few at once, and back."""


def swing(seconds: int) -> None:
    """Have another size decided at every sample that many seconds apart."""
    sizes = itertools.cycle(SIZES)
    samples = itertools.count(1)

    def step(
        parameters: law.Parameters, state: law.State, sample: Sample
    ) -> tuple[law.State, Decision | None]:
        del parameters
        if next(samples) % seconds:
            return state, None
        units = next(sizes)
        return state, Decision(
            at=sample.at,
            rule=Rule.UP if units > sample.units else Rule.DOWN,
            units_from=sample.units,
            units_to=units,
            reason="it swings",
            inputs=inputs(state.evidence, sample),
        )

    law.step = step


if __name__ == "__main__":
    swing(int(sys.argv[1]))
    leave(main(sys.argv[2:]))
