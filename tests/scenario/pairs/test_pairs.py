"""Between families: killed at random moments of load and stream while writers run: what `make
test` runs of the suites `pair-kills` and `pair-hand-over` of `python -m tests.chaos`."""

import random

from tests.scenario.kills import Plan, applying, kill_and_compare, loading, prepare
from tests.scenario.pairs.conftest import Replicate
from tests.scenario.pairs.sides import Side
from tests.scenario.workload import LOAD_SCHEMA, TABLES

SEED = random.SystemRandom().randrange(1 << 32)


def test_killed_in_load_and_stream_it_loses_and_repeats_nothing(
    replicate: Replicate, pair: tuple[Side, Side]
) -> None:
    replication = replicate(apply=applying("transactional"), **loading(pair[0].engine))
    prepare(replication, loaded=False, loading=True)
    plan = Plan(5, SEED, "transactional", load=True)
    assert kill_and_compare(replication, plan, tables=(*TABLES, *LOAD_SCHEMA)).committed
