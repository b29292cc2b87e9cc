"""What `make test` runs of the suite `soak` of `python -m tests.chaos`: enough to see that a round
of each trouble ends whole and leaves nothing behind that is counted one by one."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from engine.flow import Flow
from engine.outcome import Outcome
from tests.scenario.running import Replication
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import PAIRS
from tests.soak.judge import rising
from tests.soak.run import ROUNDS_MIN, Soak
from tests.soak.virtual import moving_parts, soak
from tests.soak.worker import PREFIX

SEED: Final = random.SystemRandom().randrange(1 << 31)

STATION: Final = f"{PREFIX}engine.apply.applier.ApplyStation"
"""Each attempt to carry a replication has one, with all that waits in it."""

VIRTUAL_DAYS: Final = 0.07


def test_hours_of_cut_connections_and_reloads_leave_nothing_behind() -> None:
    of_others = moving_parts()[STATION]  # what tests before this one still hold
    rounds, _ = soak(VIRTUAL_DAYS, SEED)
    assert len(rounds) >= ROUNDS_MIN
    assert rising(rounds) == [], f"seed {SEED}"
    assert {figures[STATION] - of_others for figures in rounds} == {1}, f"seed {SEED}"


def test_an_attempt_that_is_kept_for_good_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Flow] = []
    carry = Flow.run

    async def run(self: Flow) -> Outcome:
        kept.append(self)
        return await carry(self)

    monkeypatch.setattr(Flow, "run", run)
    rounds, _ = soak(VIRTUAL_DAYS, SEED)
    assert len(kept) > len(rounds)
    assert any("engine.flow.Flow rises" in what for what in rising(rounds)), f"seed {SEED}"


def test_a_round_of_every_trouble_between_real_servers_ends_whole_and_at_rest(
    private_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    """What a series of rounds adds to this, a longer run looks at."""
    source, target = (private_cluster(major) for major in PAIRS[0])
    ends = Database.create(source, "source"), Database.create(target, "target")
    replication = Replication.between(tmp_path, "soak", *ends)
    soaked = Soak(replication, SEED, work_seconds=0.1).run(0, rounds_min=1)
    assert soaked.differences == [], f"seed {SEED}"
    assert soaked.transactions
    (figures,) = soaked.rounds
    once = {"slots": 1, "prepared transactions": 0, "folder": 0, STATION: 1}
    assert {name: figures[name] for name in once} == once, f"seed {SEED}"
