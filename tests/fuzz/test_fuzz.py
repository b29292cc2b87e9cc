"""A million messages, of which no reader may make anything but sense or a declared error.

How many follows PENSTOCK_FUZZ_MESSAGES; ten times as many every night, of other seeds.
"""

import os
from collections.abc import Sequence
from typing import Final

import pytest

from connectors._interchange import compiled
from tests.fuzz import run
from tests.fuzz.campaign import Result, plan
from tests.fuzz.registry import targets
from tests.fuzz.regressions import REGRESSIONS
from tests.fuzz.sanitized import NoSanitizerError, build

MESSAGES: Final = int(os.environ.get("PENSTOCK_FUZZ_MESSAGES", "1000000"))

NIGHTLY_MESSAGES: Final = 10_000_000
NIGHTLY_SEED: Final = 1_000

LARGE: Final = ("pgoutput", "pgoutput-rows")
"""Targets with most of the messages: a test each, so that they can run side by side."""

GROUPS: Final = {
    **{name: (name,) for name in LARGE},
    "others": tuple(name for name in targets() if name not in LARGE),
}

COMPILED: Final = (
    "pgoutput",
    "pgoutput-rows",
    "copy-data",
    "copy-rows",
    "binlog-rows",
    "load-lines",
)
"""Targets whose messages go through the compiled loops."""


def share(names: Sequence[str], messages: int) -> int:
    return sum(job.messages for job in plan(messages, 1, ()) if job.target in names)


def require(results: Sequence[Result], messages: int) -> None:
    failures = [str(failure) for result in results for failure in result.failures]
    assert not failures, "\n\n".join(failures[:10])
    assert sum(result.messages for result in results) >= messages


def test_the_groups_come_to_the_whole_number() -> None:
    assert sum(share(names, MESSAGES) for names in GROUPS.values()) >= MESSAGES


@pytest.mark.parametrize("group", GROUPS)
def test_no_message_brings_anything_but_sense_or_a_declared_error(group: str) -> None:
    if compiled.LOOPS is None:
        pytest.skip("the compiled loops are not built or turned off")
    messages = share(GROUPS[group], MESSAGES)
    require(run(messages, names=GROUPS[group]), messages)


@pytest.mark.nightly
def test_nor_do_ten_times_as_many() -> None:
    require(run(NIGHTLY_MESSAGES, seed=NIGHTLY_SEED), NIGHTLY_MESSAGES)


@pytest.mark.nightly
def test_the_compiled_loops_touch_no_memory_that_is_not_theirs() -> None:
    try:
        checked = build()
    except NoSanitizerError as error:
        pytest.skip(str(error))
    require(run(MESSAGES, names=COMPILED, build=checked), MESSAGES)


@pytest.mark.parametrize("number", range(len(REGRESSIONS)))
def test_what_was_misread_once_is_not_again(number: int) -> None:
    name, case = REGRESSIONS[number]
    targets()[name].attempt(case)
