"""Suite `fuzz`: whatever parses bytes or text, given what it should not be given."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.chaos.suite import Failure, Outcome, Sizes, Suite, Task, Tier, register
from tests.fuzz.campaign import run

MESSAGES: Final = "messages"

MESSAGES_PER_TASK: Final = 500_000

SEEDS_PER_TASK: Final = 1_000
"""More than a campaign of one task counts up."""


def _fuzz(*, messages: int, seed: int) -> Outcome:
    results = run(messages, seed=seed)
    return Outcome(
        Counter({MESSAGES: sum(result.messages for result in results)}),
        [
            Failure(f"{result.target}: {failure.what}", failure.command)
            for result in results
            for failure in result.failures
        ],
        seconds=sum(result.seconds for result in results),
    )


def _tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    tasks: list[Task] = []
    left = sizes[MESSAGES]
    while left > 0:
        count = min(left, MESSAGES_PER_TASK)
        work = partial(_fuzz, messages=count, seed=seed + SEEDS_PER_TASK * len(tasks))
        tasks.append(Task(f"{count} messages", work))
        left -= count
    return tasks


register(
    Suite(
        "fuzz",
        "only the declared error leaves a reader of bytes or text, in time and in bounded memory",
        {
            Tier.SMOKE: {MESSAGES: 1_000_000},
            Tier.NIGHTLY: {MESSAGES: 10_000_000},
            Tier.RELEASE: {MESSAGES: 100_000_000},
        },
        _tasks,
    )
)
