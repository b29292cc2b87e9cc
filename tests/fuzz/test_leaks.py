"""What the compiled loops take of memory they give back, also of messages that they refuse."""

import gc
import sys
from collections.abc import Callable
from itertools import islice

import pytest

from connectors._interchange import compiled
from tests.fuzz.registry import targets

MESSAGES = 400
ROUNDS = 40
BLOCKS_MAX = 200
"""One object for every second round of one message would already be more."""


def growth(work: Callable[[], None]) -> int:
    """Blocks of memory that are left of many rounds of the same, beyond those of the first."""
    for _ in range(3):
        work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(ROUNDS):
        work()
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize(
    "name", ["pgoutput-rows", "copy-data", "copy-rows", "binlog-rows", "load-lines"]
)
def test_nothing_is_left_behind(name: str) -> None:
    if compiled.LOOPS is None:
        pytest.skip("the compiled loops are not built or turned off")
    target = targets()[name]
    cases = list(islice(target.cases(3), MESSAGES))

    def work() -> None:
        for case in cases:
            target.attempt(case)

    assert growth(work) < BLOCKS_MAX


def test_what_is_left_behind_is_seen() -> None:
    kept: list[object] = []
    assert growth(lambda: kept.extend([object() for _ in range(MESSAGES)])) > BLOCKS_MAX
