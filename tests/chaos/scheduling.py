"""Suite `scheduling`: what the neighbours of a table that does not move carry meanwhile.

Between real servers, and only by ratios of two times of one run: how fast the machine is does not
count.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.chaos.servers import SOURCE, TARGET
from tests.chaos.suite import Failure, Measure, Outcome, Sizes, Suite, Task, Tier, register
from tests.scenario.beside import ratios_between
from tests.servers.postgres import Cluster

PAIRS: Final = "pairs of runs"
"""Of each kind."""

PAIRS_PER_TASK: Final = 5

BESIDE: Final = {"locked": "beside a stuck lane", "slow": "beside a slow lane"}
"""Names of what is measured, by how the table is held up."""

NEIGHBOURS_LEAST: Final = 0.9
"""Share of their throughput that the neighbours of a stuck lane keep until its overflow is full."""


def _beside(*, how: str, pairs: int) -> Outcome:
    outcome = Outcome()
    began = time.monotonic()
    try:
        with Cluster(SOURCE) as source, Cluster(TARGET) as target:
            found = ratios_between(source, target, how, pairs=pairs)
        outcome.measured[BESIDE[how]] = list(found)
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        what = f"{type(error).__name__}: {error}"
        replay = f"python -m tests.scenario.beside --how {how} --pairs {pairs}"
        outcome.failures.append(Failure(what, replay))
    outcome.trials[PAIRS] += pairs
    outcome.seconds = time.monotonic() - began
    return outcome


def _tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    """Nothing in them is of chance."""
    tasks: list[Task] = []
    left = sizes[PAIRS]
    while left > 0:
        pairs = min(left, PAIRS_PER_TASK)
        tasks += [
            Task(f"{pairs} pairs, {how}", partial(_beside, how=how, pairs=pairs)) for how in BESIDE
        ]
        left -= pairs
    return tasks


register(
    Suite(
        "scheduling",
        "one table that does not move leaves its neighbours their throughput, and nothing is lost",
        {Tier.SMOKE: {PAIRS: 1}, Tier.NIGHTLY: {PAIRS: 20}, Tier.RELEASE: {PAIRS: 60}},
        _tasks,
        alone=True,
        measures={
            BESIDE["locked"]: Measure(
                "throughput of four tables while a fifth waits for a row lock on the target, by"
                " their throughput otherwise",
                "times",
                percentile=50,
                at_least=NEIGHBOURS_LEAST,
            ),
            BESIDE["slow"]: Measure(
                "the same while the fifth takes 10 ms a row there, and more waits for it than the"
                " queue holds",
                "times",
                percentile=50,
            ),
        },
    )
)
