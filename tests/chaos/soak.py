"""Suites `soak` and `virtual-days`: what one process holds after hours of work and trouble.

Every round's figures go into the record, and their curves beside it.
"""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.chaos.servers import SOURCE, TARGET
from tests.chaos.suite import Failure, Measure, Outcome, Sizes, Suite, Task, Tier, register
from tests.servers.postgres import Cluster
from tests.soak.judge import LAG_MAX, MAIN, rising
from tests.soak.run import soak_between
from tests.soak.virtual import soak
from tests.soak.worker import LAG

SECONDS: Final = "seconds"
ROUNDS: Final = "rounds"
DAYS: Final = "virtual days"

DAYS_PER_TASK: Final = 1


def _soak(*, seconds: int, seed: int) -> Outcome:
    """One process for all of it: in parts it would be several short ones."""
    replay = f"python -m tests.soak --seconds {seconds} --seed {seed}"
    outcome = Outcome(Counter({SECONDS: seconds}))
    began = time.monotonic()
    try:
        with Cluster(SOURCE) as source, Cluster(TARGET) as target:
            soaked = soak_between(source, target, seconds=seconds, seed=seed)
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        outcome.failures.append(Failure(f"{type(error).__name__}: {error}", replay))
    else:
        outcome.trials[ROUNDS] = len(soaked.rounds)
        outcome.measured = {name: [held[name] for held in soaked.rounds] for name in MAIN}
        found = soaked.differences + rising(soaked.rounds)
        outcome.failures += [Failure(what, replay) for what in found]
    outcome.seconds = time.monotonic() - began
    return outcome


def _soak_tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    seconds = sizes[SECONDS]
    return [Task(f"{seconds} seconds", partial(_soak, seconds=seconds, seed=seed))]


def _virtual(*, days: int, seed: int) -> Outcome:
    outcome = Outcome(Counter({DAYS: days}))
    began = time.process_time()
    replay = f"python -m tests.soak.virtual --days {days} --seed {seed}"
    try:
        rounds, _ = soak(days, seed)
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        outcome.failures.append(Failure(f"{type(error).__name__}: {error}", replay))
    else:
        outcome.failures += [Failure(what, replay) for what in rising(rounds)]
    outcome.seconds = time.process_time() - began
    return outcome


def _virtual_tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    return [
        Task(f"day {number + 1}", partial(_virtual, days=DAYS_PER_TASK, seed=seed + number))
        for number in range(-(-sizes[DAYS] // DAYS_PER_TASK))
    ]


register(
    Suite(
        "soak",
        "one process holds after each round of work, cut connections, restarts of the target,"
        " reloads and schema changes what it held before: memory, descriptors, tasks, threads,"
        " objects of each type, and on the servers connections, slots, publications, control rows",
        {
            Tier.SMOKE: {SECONDS: 120},
            Tier.NIGHTLY: {SECONDS: 3_600},
            Tier.RELEASE: {SECONDS: 14_400},
        },
        _soak_tasks,
        alone=True,
        measures={
            **{name: Measure("at rest", unit, percentile=99) for name, unit in MAIN.items()},
            LAG: Measure(
                "by which timers are late in a round, its 99th percentile",
                MAIN[LAG],
                percentile=50,
                at_most=LAG_MAX,
            ),
        },
    )
)

register(
    Suite(
        "virtual-days",
        "the same of the engine's moving parts on a virtual clock: timers, reconnects, reloads",
        {Tier.SMOKE: {DAYS: 2}, Tier.NIGHTLY: {DAYS: 10}, Tier.RELEASE: {DAYS: 50}},
        _virtual_tasks,
    )
)
