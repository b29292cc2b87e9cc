"""Suites `simulator`, `crash-points` and `cancel-points`: the whole engine on a virtual clock.

Every seed is another weather, and goes to every scenario. Crash points are steps of a calm run of
each scenario before which the process is killed, cancel points those before which it is cancelled;
asked for as many as there are, every one is taken.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from tests.chaos.suite import Failure, Outcome, Sizes, Suite, Task, Tier, register
from tests.simulation.everywhere import Strike, crash_sample
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.situations import SITUATIONS
from tests.simulation.spell import Spell
from tests.simulation.swarm import command, run

SEEDS: Final = "seeds"
CRASH_POINTS: Final = "crash points"
CANCEL_POINTS: Final = "cancel points"

ALL: Final = 200_000
"""Several times the crash points that there are: every one."""

SEEDS_PER_TASK: Final = 25
CRASH_SHARDS: Final = 4

SIZES: Final = {
    Tier.SMOKE: {SEEDS: 2_000},
    Tier.NIGHTLY: {SEEDS: 100_000},
    Tier.RELEASE: {SEEDS: 500_000},
}

CRASH_SIZES: Final = {
    Tier.SMOKE: {CRASH_POINTS: 1_000},
    Tier.NIGHTLY: {CRASH_POINTS: ALL},
    Tier.RELEASE: {CRASH_POINTS: ALL},
}

CANCEL_SIZES: Final = {
    Tier.SMOKE: {CANCEL_POINTS: 100},
    Tier.NIGHTLY: {CANCEL_POINTS: ALL},
    Tier.RELEASE: {CANCEL_POINTS: ALL},
}

POINTS: Final = {Strike.CRASH: CRASH_POINTS, Strike.CANCEL: CANCEL_POINTS}

FRESH: Final = 10

KNOWN: Final = 200
"""The first of the seeds that are the same in every run: with these each scenario reaches what it
is home to. Another draw in `Spell.of` moves them."""


def mostly_known(count: int, seed: int) -> Sequence[int]:
    """Seeds for `make test`: one in ten is a fresh one, from `seed` on, the others are the same in
    every run. What held yesterday must hold today, and yesterday did not try everything."""
    fresh = count // FRESH
    return [*range(KNOWN, KNOWN + count - fresh), *range(seed, seed + fresh)]


def try_seeds(name: str, seeds: Iterable[int]) -> Outcome:
    """Run a scenario under each of these seeds."""
    outcome = Outcome()
    began = time.process_time()
    for seed in seeds:
        spell = Spell.of(seed)
        outcome.trials[SEEDS] += 1
        try:
            report = run(SCENARIOS[name], spell)
        except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
            what = f"{name}: {type(error).__name__}: {error}"
            outcome.failures.append(Failure(what, command(SCENARIOS[name], spell)))
        else:
            outcome.reached.update(report.reached)
            outcome.reached.update({fault_of(met): n for met, n in report.met.items()})
    outcome.seconds = time.process_time() - began
    return outcome


def try_crashes(
    name: str,
    seed: int,
    *,
    count: int,
    shard: int = 0,
    shards: int = 1,
    strike: Strike = Strike.CRASH,
) -> Outcome:
    """Kill, or cancel, a scenario's first process at about `count` of its steps, spread over all;
    of these the given shard."""
    began = time.process_time()
    crashes = crash_sample(
        SCENARIOS[name], seed, count=count, shard=shard, shards=shards, strike=strike
    )
    outcome = Outcome(Counter({POINTS[strike]: crashes.tried}), reached=crashes.reached)
    for step, text in crashes.failed.items():
        replay = command(SCENARIOS[name], strike.spell(seed, step))
        outcome.failures.append(Failure(f"{name}: {text}", replay))
    outcome.seconds = time.process_time() - began + crashes.copies_seconds
    return outcome


def fault_of(name: str) -> str:
    """A fault that struck, as a situation: one that never strikes proves nothing."""
    return f"fault-{name.replace('_', '-')}"


FAULTS: Final = {
    fault_of(name): f"the fault `{name}` struck"
    for name in Spell(0, storm=True, slow=True, disk=True).faults.chances
}


_AT_HOME: Final = {
    "mixed": (
        "crash-after-commit crash-before-acknowledge crash-inside-transaction commit-cut-landed"
        " commit-unknown-landed commit-unknown-lost commit-late replay-suppressed repeat-dropped"
        " owner-replaced rival-refused stop-in-stream lane-handed-over applier-dismissed"
        " fault-target-cut fault-busy"
        " fault-lost-reply fault-lost-commit fault-late-commit"
    ),
    "load": (
        "crash-in-load load-resumed chunk-dropped-change chunk-admitted-change"
        " fault-source-down fault-full"
    ),
    "keys-load": "chunk-divided-move",
    "keys-left": "stop-in-load",
    "keys-refuse": "commit-cut-lost",
    "load-cleared": "load-began-anew",
    "alter-load": "chunk-refused table-reshaped",
    "reload": "reloaded keys-put-off",
    "evolve": "schema-applied keepalive-moved-frontier fault-repeat fault-recut fault-source-cut",
    "zombie": "zombie-fenced",
    "rewind": "target-rewound",
    "refuse": (
        "crash-with-overflow table-stopped table-came-back stopped-table-resumed waiting-lost"
        " fault-acknowledgement-lost fault-disk-full"
    ),
    "refuse-full-disk": "changes-dropped",
    "keys-hot": "share-helped buckets-apart",
    "refuse-load": "load-set-aside commit-cut-late",
    "quarantine": "row-kept replay-divided",
    "stuck": (
        "queue-full queue-over-full lane-spilled lane-unspilled drain-given-up fault-slow"
        " fault-disk-damaged"
    ),
    "stuck-full-disk": "spill-refused stuck-stopped",
}

HOMES: Final = {name: home for home, names in _AT_HOME.items() for name in names.split()}
"""The scenario in whose smoke runs each situation must be reached: `make test` runs the scenarios
apart from each other."""


def _each(count: int) -> int:
    """One scenario's share."""
    return -(-count // len(SCENARIOS))


def _seed_tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    seeds = range(seed, seed + _each(sizes[SEEDS]))
    return [
        Task(f"{name} seeds", partial(try_seeds, name, seeds[first : first + SEEDS_PER_TASK]))
        for name in sorted(SCENARIOS)
        for first in range(0, len(seeds), SEEDS_PER_TASK)
    ]


def _crash_tasks(sizes: Sizes, seed: int, *, strike: Strike) -> Sequence[Task]:
    count = _each(sizes[POINTS[strike]])
    shards = min(CRASH_SHARDS, count)
    work = partial(try_crashes, seed=seed, count=count, shards=shards, strike=strike)
    return [
        Task(f"{name}, {POINTS[strike]}", partial(work, name, shard=shard))
        for name in sorted(SCENARIOS)
        for shard in range(shards)
    ]


register(
    Suite(
        "simulator",
        "no interleaving of faults, kills, stops, second owners and slow parts that the engine was"
        " driven through loses, repeats or reorders a change",
        SIZES,
        _seed_tasks,
        {**SITUATIONS, **FAULTS},
    )
)

register(
    Suite(
        "crash-points",
        "killed before any step of a story that differs from the one before, the next process ends"
        " equal",
        CRASH_SIZES,
        partial(_crash_tasks, strike=Strike.CRASH),
    )
)

register(
    Suite(
        "cancel-points",
        "the same when it is cancelled there, and closes what it has open in the middle of it",
        CANCEL_SIZES,
        partial(_crash_tasks, strike=Strike.CANCEL),
    )
)
