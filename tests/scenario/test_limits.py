"""Each thing that may limit a replication is told, between real servers, and what helps."""

from pathlib import Path
from typing import Final

import pytest

from tests.scenario.conftest import one_pair
from tests.scenario.limits import LIMITS
from tests.servers.postgres import Database

SAMPLES: Final = 8

ALWAYS: Final = ("target-no-index",)
"""The hardest: appliers at work and lanes waiting, and more of them would not help. The others are
of every night, and of `make bench CASES=verdict`."""


@one_pair
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ALWAYS else pytest.mark.nightly) for n in LIMITS]
)
def test_what_limits_is_told_within_five_seconds_and_what_helps(
    name: str, tmp_path: Path, source: Database, target: Database
) -> None:
    limit = LIMITS[name]
    observed = limit.observe(tmp_path, source, target, SAMPLES)
    assert observed.right(limit.cause) >= 0.95, (observed.causes, observed.log[-20:])
    assert observed.tells(limit.words), observed.log[-20:]
