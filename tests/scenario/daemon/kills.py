"""kill -9 of the daemon and of workers at random moments, while writers run and calls go on.

    python -m tests.scenario.daemon.kills --count 100 [--seed N]

Whatever was answered holds in the next daemon (`answered`); of one replication there are never two
workers; one that was running runs again, and both sides are equal in the end; no process is left.
A quarter of the kills ends a daemon that has not listened yet, a quarter one that has, half a
worker. Two replications read one source: one runs all the time, the other is stopped and started
again.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.control.client.address import parse_address
from engine.control.client.daemon import Daemon
from engine.control.client.errors import UnreachableError
from engine.seams import SystemClock
from tests.scenario import workload
from tests.scenario.daemon.answered import STARTED, Config, Endpoint, Running, Thing
from tests.scenario.daemon.processes import of_session, watched
from tests.scenario.daemon.replicated import Replicated, endpoint, replicated, start
from tests.scenario.daemon.serving import Serving, workers_of
from tests.scenario.running import Replication, kill, until
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database

EARLY: Final = "a daemon that starts"
DAEMON: Final = "a daemon that listens"
WORKER: Final = "a worker"

VICTIMS: Final = (EARLY, DAEMON, WORKER, WORKER)
"""Of each four kills. More of workers in a row, and a supervisor might give up, as it should."""

EARLY_SECONDS: Final = 0.6
"""A daemon listens after about so long on a machine that has time."""

LATEST_SECONDS: Final = 2.5
"""Other kills come so long after the one before, at most: from the taking up to the stream."""

PAUSE_SECONDS: Final = 0.02
"""Between two calls, so that the machine has time for those who are killed."""

ENDPOINTS: Final = ("endpoint-1", "endpoint-2", "endpoint-3")
CONFIGS: Final = ("config-1", "config-2", "config-3")
"""What calls create, change and delete."""

CONFIG_FILE: Final = "[limits]\ncalls_per_second = 10000\ncalls_burst = 10000\n"

WRITERS_PAUSE_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """So many kills, chosen by this seed."""

    count: int
    seed: int

    def victims(self) -> Iterator[str]:
        """Whom the kills end, one after the other."""
        chance = random.Random(self.seed)
        left = self.count
        while left > 0:
            yield from chance.sample(VICTIMS, len(VICTIMS))[:left]
            left -= len(VICTIMS)


@dataclass
class Killing:
    """One folder of state, its daemons, and all that was ever asked of them."""

    folder: Path
    chance: random.Random
    things: Sequence[Thing]
    reached: Counter[str] = field(default_factory=Counter[str])
    sessions: list[int] = field(default_factory=list[int])

    def serving(self) -> Serving:
        """The next daemon."""
        daemon = Serving(self.folder, config=CONFIG_FILE)
        self.sessions.append(daemon.process.pid)
        return daemon

    def kill_all(self, victims: Sequence[str]) -> None:
        """One kill after the other; leaves nothing of Penstock running, if the kernel does not."""
        waiting = list(reversed(victims))
        while waiting:
            with self.serving() as daemon:
                self._life(daemon, waiting)

    def check(self, daemon: Serving) -> None:
        """All that was answered holds."""
        for thing in self.things:
            thing.check(asked(daemon), self.reached)

    def _life(self, daemon: Serving, waiting: list[str]) -> None:
        """Of one daemon, to its death or until no kill is left."""
        if waiting[-1] == EARLY:
            self.reached[waiting.pop()] += 1
            time.sleep(self.chance.uniform(0.0, EARLY_SECONDS))
            daemon.process.kill()
            return
        unseen, listening = list(self.things), asked(daemon)
        with ThreadPoolExecutor(1) as pool:
            while waiting and waiting[-1] != EARLY:
                victim = waiting.pop()
                self.reached[victim] += 1
                moment = self.chance.uniform(0.0, LATEST_SECONDS)
                killed = pool.submit(self._kill, daemon, victim, moment, self.chance.random())
                try:
                    while not killed.done():
                        self._call(listening, unseen)
                except UnreachableError:
                    if victim != DAEMON:
                        raise
                killed.result()
                if victim == DAEMON:
                    return
        assert daemon.stop() == 0

    def _kill(self, daemon: Serving, victim: str, moment: float, which: float) -> None:
        time.sleep(moment)
        if victim == DAEMON:
            daemon.process.kill()
            return
        workers: list[int] = []

        def some() -> bool:
            workers[:] = workers_of(daemon.process.pid)
            return bool(workers)

        until(some, "a worker to kill")
        kill(workers[int(which * len(workers))], signal.SIGKILL)

    def _call(self, daemon: Daemon, unseen: list[Thing]) -> None:
        """Look at what this daemon has not shown yet; else do something."""
        if unseen:
            unseen[-1].check(daemon, self.reached)
            unseen.pop()
        else:
            self.chance.choice(self.things).turn(daemon, self.chance, self.reached)
        time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it: transactions written meanwhile, and how often what was reached."""

    committed: int
    reached: Mapping[str, int]


def kill_and_check(
    folder: Path, source: Database, targets: tuple[Database, Database], plan: Plan
) -> Killed:
    """The whole story between empty databases. `folder`: an empty one, for state."""
    try:
        return _story(folder, source, targets, plan)
    except BaseException as error:
        error.add_note(f"replay: {command(plan)}")
        raise


def _story(
    folder: Path, source: Database, targets: tuple[Database, Database], plan: Plan
) -> Killed:
    workload.create(source)
    killing = Killing(folder, random.Random(plan.seed), [])
    with killing.serving() as daemon:
        both = [
            replicated(daemon, name, source, target)
            for name, target in zip(("steady", "swayed"), targets, strict=True)
        ]
        for each in both:
            start(daemon, each.arn)
        killing.things = things(daemon, both)
        for each in both:
            daemon.await_status(each.arn, "running")
    with watched(folder / "state"):
        with Writers(source, seed=plan.seed, pause_seconds=WRITERS_PAUSE_SECONDS) as writers:
            killing.kill_all(list(plan.victims()))
        with killing.serving() as daemon:
            _whole(daemon, killing, both)
    for session in killing.sessions:
        until(lambda session=session: not of_session(session), "every process to be gone")  # type: ignore[misc]
    return Killed(writers.committed, killing.reached)


def things(daemon: Serving, both: Sequence[Replicated]) -> Sequence[Thing]:
    """What calls are about: nothing of it is there, but for the replications."""
    dms = daemon.client()
    ends = [
        endpoint(dms, "source-of-none", "source", both[0].source),
        endpoint(dms, "target-of-none", "target", both[0].target),
    ]
    steady, swayed = (each.arn for each in both)
    return [
        Running("steady", steady, [STARTED], fixed=True),
        Running("swayed", swayed, [STARTED]),
        *[Endpoint(name, named(ends[0], name)) for name in ENDPOINTS],
        *[Config(name, named(steady, name), ends=ends) for name in CONFIGS],
    ]


def named(arn: str, name: str) -> str:
    """The ARN of another one of its kind."""
    return f"{arn.rpartition(':')[0]}:{name}"


def asked(daemon: Serving) -> Daemon:
    """Our own client in front of it: it costs the machine a tenth of AWS's."""
    return Daemon(parse_address(f"http://{daemon.address}"), None, SystemClock())


def _whole(daemon: Serving, killing: Killing, both: Sequence[Replicated]) -> None:
    """Everything arrives, by one worker and one slot each, and is told of; then all rests."""
    killing.check(daemon)
    for each, thing in zip(both, killing.things, strict=False):
        if thing.may_be != [STARTED]:
            daemon.await_status(each.arn, "stopped")
            start(daemon, each.arn, "resume-processing")
        daemon.await_status(each.arn, "running")
        none = killing.folder / "none.toml"
        between = Replication(none, each.id, killing.folder, each.source, each.target)
        daemon.until(lambda b=between: not b.differences(), "both sides to be equal")  # type: ignore[misc]
        assert not workload.broken_rules(each.target)
        assert len(each.slots()) == 1
        daemon.until(lambda arn=each.arn: completed(daemon, arn), "its tables to be completed")  # type: ignore[misc]
    assert len(workers_of(daemon.process.pid)) == len(both)
    for each in both:
        daemon.client().stop_replication(ReplicationConfigArn=each.arn)
        assert daemon.await_status(each.arn, "stopped")["RecoveryCheckpoint"]
    assert daemon.stop() == 0


def completed(daemon: Serving, arn: str) -> bool:
    """Whether every table is told of as loaded and carried on."""
    answer = daemon.client().describe_replication_table_statistics(ReplicationConfigArn=arn)
    states = {table["TableState"] for table in answer["ReplicationTableStatistics"]}
    return states == {"Table completed"}


def kill_on(source: str, target: str, plan: Plan) -> Killed:
    """The whole story on servers of its own, named by version."""
    with Cluster(source) as start, Cluster(target) as end, tempfile.TemporaryDirectory() as folder:
        targets = Database.create(end, "steady"), Database.create(end, "swayed")
        return kill_and_check(Path(folder), Database.create(start, "shop"), targets, plan)


def command(plan: Plan) -> str:
    """What does the same again, as far as moments are the same."""
    return f"python -m tests.scenario.daemon.kills --count {plan.count} --seed {plan.seed}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenario.daemon.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--source", default="15", help="major version of PostgreSQL")
    parser.add_argument("--target", default="18", help="major version of PostgreSQL")
    given = parser.parse_args()
    plan = Plan(given.count, given.seed)
    sys.stdout.write(f"{command(plan)}\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    killed = kill_on(given.source, given.target, plan)
    told = ", ".join([f"{what} {count}" for what, count in sorted(killed.reached.items())])
    sys.stdout.write(
        f"{given.count} kills in {time.monotonic() - began:.0f} s over {killed.committed}"
        f" transactions: {told}\n"
    )


if __name__ == "__main__":
    main()
