"""kill -9 of the daemon and of workers at random moments, while writers run and calls go on: what
`make test` runs of the suite `daemon-kills` of `python -m tests.chaos`."""

import random
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Clusters
from tests.scenario.conftest import Majors
from tests.scenario.daemon.answered import DONE, NOT_DONE, Absent, Endpoint, Kept
from tests.scenario.daemon.kills import Plan, asked, kill_and_check
from tests.scenario.daemon.processes import watched
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import until
from tests.servers.postgres import Database

SEED = random.SystemRandom().randrange(1 << 32)


def test_kills_at_random_moments_leave_everything_whole(
    tmp_path: Path, source: Database, target: Database, clusters: Clusters, majors: Majors
) -> None:
    other = Database.create(clusters.need(majors[1]), f"{target.name}_too")
    assert kill_and_check(tmp_path, source, (target, other), Plan(10, SEED)).committed
    other.drop()


def test_what_does_not_hold_is_seen(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        api, seen = asked(daemon), Counter[str]()
        it = Endpoint("it", "arn:aws:dms:us-east-1:000000000000:endpoint:it")
        kept = Kept(setting=5432, tag=1)
        operation, members = it.creation(kept)
        api.call(operation, **members)
        with pytest.raises(AssertionError, match="it is Kept"):
            it.check(api, seen)
        it.may_be = [Absent(), kept]
        it.check(api, seen)
        it.may_be = [kept, Kept(setting=5433, tag=1)]
        it.check(api, seen)
        assert seen == {DONE: 1, NOT_DONE: 1}
        assert it.may_be == [kept]
        operation, members = it.modification(5433)
        api.call(operation, **members)
        with pytest.raises(AssertionError, match="it was answered for as"):
            it.check(api, seen)


def test_a_second_worker_is_seen(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "input()", "engine.worker", f"{tmp_path}/one/one.toml"]
    with ExitStack() as stack:
        both = [
            stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE)) for _ in range(2)
        ]
        with pytest.raises(AssertionError, match="one has workers"):
            _until_seen(tmp_path)
        for process in both:
            process.communicate(b"\n")


def _until_seen(folder: Path) -> None:
    with watched(folder) as watch:
        until(lambda: bool(watch.doubled), "both to be seen")
