"""Suites of kills between real servers: `kills` and `hand-over` of PostgreSQL, `pair-kills` and
`pair-hand-over` where a side is MySQL or MariaDB.

Each task starts servers of its own and leaves nothing running. They keep the machine busy, so they
run one after the other.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from tests.chaos.suite import Failure, Measure, Outcome, Sizes, Suite, Task, Tier, register
from tests.scenario.kills import Plan, command, kill_on

KILLS: Final = "kills"

OF_A_SERVER: Final = "of them of a server"

TO_PROGRESS: Final = "start to progress"

TO_PROGRESS_SECONDS_MAX: Final = 5.0
"""What an operator may count on, on a machine that is busy with both servers and the writers."""

KILLS_PER_TASK: Final = 50

HAND_OVER_KILLS_PER_TASK: Final = 8
"""A load of the workload's tables takes about so many starts; the next task loads anew."""

Way: TypeAlias = tuple[str, str, str]
"""Source, target, mode."""

POSTGRES: Final[Sequence[Way]] = (
    ("15", "18", "table-parallel"),
    ("15", "18", "transactional"),
    ("15", "18", "key-parallel"),
)

PAIRS: Final[Sequence[Way]] = (
    ("mariadb-10.11", "18", "table-parallel"),
    ("mysql-9", "mariadb-10.11", "transactional"),
    ("18", "mysql-9", "key-parallel"),
    ("mysql-9", "18", "transactional"),
    ("mariadb-10.11", "mysql-9", "table-parallel"),
    ("mariadb-11.8", "mysql-8.0", "key-parallel"),
    ("mysql-8.0", "mariadb-11.8", "table-parallel"),
    ("18", "mariadb-11.8", "transactional"),
    ("mysql-8.0", "18", "key-parallel"),
)
"""The first five are what a smoke tier reaches: each family into each."""

SMOKE_PAIRS: Final = 5


def _kill(source: str, target: str, plan: Plan) -> Outcome:
    outcome = Outcome()
    began = time.monotonic()
    try:
        killed = kill_on(source, target, plan)
        if killed.to_progress:
            outcome.measured[TO_PROGRESS] = list(killed.to_progress)
        outcome.trials[OF_A_SERVER] += sum(
            count for whom, count in killed.by_victim.items() if "server" in whom
        )
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        what = f"{source} to {target}, {plan.mode}: {type(error).__name__}: {error}"
        outcome.failures.append(Failure(what, command(source, target, plan)))
    outcome.trials[KILLS] += plan.count
    outcome.seconds = time.monotonic() - began
    return outcome


def _tasks(
    sizes: Sizes, seed: int, *, ways: Sequence[Way], smoke_ways: int, per_task: int, plan: Plan
) -> Sequence[Task]:
    """The ways take turns, also when there are few kills: as few as `smoke_ways` have each some."""
    tasks: list[Task] = []
    left = sizes[KILLS]
    most = min(per_task, -(-left // smoke_ways))
    while left > 0:
        count, number = min(left, most), len(tasks)
        source, target, mode = ways[number % len(ways)]
        its = replace(plan, count=count, seed=seed + number, mode=mode)
        name = f"{count} kills, {source} to {target}, {mode}"
        tasks.append(Task(name, partial(_kill, source, target, its)))
        left -= count
    return tasks


_of_postgres = partial(_tasks, ways=POSTGRES, smoke_ways=len(POSTGRES))
_of_pairs = partial(_tasks, ways=PAIRS, smoke_ways=SMOKE_PAIRS)

_MEASURES: Final = {
    TO_PROGRESS: Measure(
        "from the start of a worker's process after a kill to its first transaction that is"
        " durable on the target",
        "s",
        percentile=99,
        at_most=TO_PROGRESS_SECONDS_MAX,
    )
}

register(
    Suite(
        "kills",
        "a worker, or it and its supervisor, killed with -9 at any moment while writers run loses"
        " and repeats nothing between real servers",
        {
            Tier.SMOKE: {KILLS: 30},
            Tier.NIGHTLY: {KILLS: 500},
            Tier.RELEASE: {KILLS: 2_000},
        },
        partial(_of_postgres, per_task=KILLS_PER_TASK, plan=Plan(0, 0)),
        alone=True,
        measures=_MEASURES,
    )
)

register(
    Suite(
        "hand-over",
        "the same in every phase of the full load and of the hand-over to the stream",
        {
            Tier.SMOKE: {KILLS: 15},
            Tier.NIGHTLY: {KILLS: 200},
            Tier.RELEASE: {KILLS: 1_000},
        },
        partial(_of_postgres, per_task=HAND_OVER_KILLS_PER_TASK, plan=Plan(0, 0, load=True)),
        alone=True,
    )
)

register(
    Suite(
        "pair-kills",
        "the same as `kills` where a side is MySQL or MariaDB, its servers killed too",
        {
            Tier.SMOKE: {KILLS: 20},
            Tier.NIGHTLY: {KILLS: 200},
            Tier.RELEASE: {KILLS: 1_000},
        },
        partial(_of_pairs, per_task=25, plan=Plan(0, 0, servers=True)),
        alone=True,
        measures=_MEASURES,
    )
)

register(
    Suite(
        "pair-hand-over",
        "the same as `hand-over` where a side is MySQL or MariaDB",
        {
            Tier.SMOKE: {KILLS: 30},
            Tier.NIGHTLY: {KILLS: 200},
            Tier.RELEASE: {KILLS: 1_000},
        },
        partial(
            _of_pairs,
            per_task=HAND_OVER_KILLS_PER_TASK,
            plan=Plan(0, 0, load=True, servers=True),
        ),
        alone=True,
    )
)
