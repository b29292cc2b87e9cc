"""kill -9 of the worker, and of the supervisor with it, while writers run: what `make test` runs of
the suite `kills` of `python -m tests.chaos`."""

import random

import pytest

from tests.scenario.conftest import Replicate
from tests.scenario.kills import Plan, applying, kill_and_compare, prepare

SEED = random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize("mode", ["table-parallel", "key-parallel"])
def test_kills_at_random_moments_lose_and_repeat_nothing(replicate: Replicate, mode: str) -> None:
    replication = replicate(apply=applying(mode))
    prepare(replication, loaded=True)
    assert kill_and_compare(replication, Plan(10, SEED, mode)).committed


def test_no_reading_of_a_transactional_target_shows_what_the_source_never_was(
    replicate: Replicate,
) -> None:
    replication = replicate(apply={"mode": "transactional"})
    prepare(replication, loaded=True)
    assert kill_and_compare(replication, Plan(10, SEED, "transactional")).committed
