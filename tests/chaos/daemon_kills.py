"""Suite `daemon-kills`: kills of `penstock serve` and of its workers, under writers and calls.

Each task starts servers of its own and leaves nothing running.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.chaos.kills import KILLS
from tests.chaos.servers import SOURCE, TARGET
from tests.chaos.suite import Failure, Outcome, Sizes, Suite, Task, Tier, register
from tests.scenario.daemon.kills import DAEMON, EARLY, WORKER, Plan, command, kill_on

KILLS_PER_TASK: Final = 50


def _kill(plan: Plan) -> Outcome:
    outcome = Outcome()
    began = time.monotonic()
    try:
        outcome.reached.update(kill_on(SOURCE, TARGET, plan).reached)
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        outcome.failures.append(Failure(f"{type(error).__name__}: {error}", command(plan)))
    outcome.trials[KILLS] += plan.count
    outcome.seconds = time.monotonic() - began
    return outcome


def _tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    tasks: list[Task] = []
    left = sizes[KILLS]
    while left > 0:
        plan = Plan(min(left, KILLS_PER_TASK), seed + len(tasks))
        tasks.append(Task(f"{plan.count} kills", partial(_kill, plan)))
        left -= plan.count
    return tasks


register(
    Suite(
        "daemon-kills",
        "a daemon or a worker of it killed with -9 at any moment while writers run and calls go on:"
        " what was answered holds, no replication has two workers, all rows arrive once",
        {Tier.SMOKE: {KILLS: 10}, Tier.NIGHTLY: {KILLS: 100}, Tier.RELEASE: {KILLS: 500}},
        _tasks,
        {
            EARLY: "killed before it listened",
            DAEMON: "killed while it listened and was asked",
            WORKER: "killed under a daemon that went on",
        },
        alone=True,
    )
)
