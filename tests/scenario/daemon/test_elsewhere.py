"""Fail-over to another machine and back: what the other one runs cannot be seen from here."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.scenario import workload
from tests.scenario.daemon.elsewhere import lasting, on_machine, orphans
from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import Replication, alive, until
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

TAKE_OVER_SECONDS: Final = 15.0
"""Promised for a standby, from the end of the one that acted."""

NEEDS_A_PERSON: Final = 3
"""Exit code of a worker that finds another owner."""

SEED: Final = 20_261_130


class Machine:
    """Where a daemon runs."""

    def __init__(
        self, folder: Path, name: str, config: str, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self._config = config
        self._environment = environment

    def serving(self, **environment: str) -> Serving:
        return Serving(
            self.folder,
            config=self._config,
            command=on_machine(self.name),
            **self._environment,
            **environment,
        )

    def key(self) -> str:
        return (self.folder / "state" / "penstock.key").read_text().splitlines()[-1]


def fail_over(acting: Serving, standby: Serving, it: Replicated) -> None:
    """kill -9 of the daemon that acts, whose worker lives on until the other's takes its place."""
    worker = acting.worker()
    assert standby.get("/readyz")[0] == 503
    acting.process.kill()
    killed = time.monotonic()
    standby.until(lambda: standby.get("/readyz")[0] == 200, "the standby to act")
    assert time.monotonic() - killed < TAKE_OVER_SECONDS
    assert alive(worker), "it was ended by what nobody there can see"
    acting.wait()
    _, status = os.waitpid(worker, 0)
    assert os.waitstatus_to_exitcode(status) == NEEDS_A_PERSON
    standby.await_status(it.arn, "running")
    assert standby.worker() != worker


def test_another_machine_takes_over_and_back_from_workers_that_it_cannot_see(
    tmp_path: Path, source: Database, target: Database
) -> None:
    workload.create(source)
    config = f'[serve]\nstore = "{target.dsn}"\n'
    environment = lasting(tmp_path / "first")
    one = Machine(tmp_path, "one", config, environment)
    other = Machine(tmp_path, "other", config, environment)
    with orphans(), one.serving() as first:
        it = replicated(first, "shared", source, target)
        start(first, it.arn)
        first.await_status(it.arn, "running")
        with other.serving(PENSTOCK_KEY=one.key()) as second:
            with Writers(source, seed=SEED, pause_seconds=0.02) as writers:
                fail_over(first, second, it)
                third = one.serving()
                fail_over(second, third, it)
            assert writers.committed
            with third:
                _ends(third, it, tmp_path)


def _ends(daemon: Serving, it: Replicated, folder: Path) -> None:
    """Everything arrives, once, by one slot."""
    between = Replication(folder / "none.toml", it.id, folder, it.source, it.target)
    daemon.until(lambda: not between.differences(), "both sides to be equal")
    assert not workload.broken_rules(it.target)
    assert len(it.slots()) == 1
    pid = daemon.worker()
    assert daemon.stop() == 0
    until(lambda: not alive(pid), "its worker to end")
