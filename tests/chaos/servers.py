"""Suites between real servers: `differential`, `differential-pairs`.

Each task starts servers of its own and leaves nothing running. They keep the machine busy, so they
run one after the other.
"""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.chaos.suite import Failure, Outcome, Sizes, Suite, Task, Tier, register
from tests.differential.between import between_servers

TRANSACTIONS: Final = "transactions"
MARKERS: Final = "markers"

MODES: Final = ("table-parallel", "transactional", "key-parallel")

SOURCE, TARGET = "15", "18"


def _differ(
    *, transactions: int, markers: int, seed: int, mode: str, source: str, target: str
) -> Outcome:
    options = (
        f"--transactions {transactions} --markers {markers} --seed {seed} --mode {mode}"
        f" --source {source} --target {target}"
    )
    replay = f"python -m tests.differential {options}"
    outcome = Outcome()
    began = time.monotonic()
    try:
        result = between_servers(
            source, target, mode=mode, seed=seed, transactions=transactions, markers=markers
        )
        outcome.trials += Counter({TRANSACTIONS: result.transactions, MARKERS: result.markers})
        outcome.failures += [Failure(difference, replay) for difference in result.differences]
    except Exception as error:  # noqa: BLE001 (told, with the command that shows it again)
        what = f"{mode}, {source} to {target}: {type(error).__name__}: {error}"
        outcome.failures.append(Failure(what, replay))
    outcome.seconds = time.monotonic() - began
    return outcome


Kind = tuple[str, str, str]
"""Mode, source, target."""


def _differential_tasks(kinds: Sequence[Kind], sizes: Sizes, seed: int) -> Sequence[Task]:
    """As much of each kind."""
    transactions = sizes[TRANSACTIONS] // len(kinds)
    markers = max(1, sizes[MARKERS] // len(kinds))
    return [
        Task(
            f"{transactions} transactions, {mode}, {source} to {target}",
            partial(
                _differ,
                transactions=transactions,
                markers=markers,
                seed=seed + number,
                mode=mode,
                source=source,
                target=target,
            ),
        )
        for number, (mode, source, target) in enumerate(kinds)
    ]


POSTGRES: Final = [(mode, *pair) for mode in MODES for pair in ((SOURCE, TARGET), (TARGET, SOURCE))]
"""Every mode up to a newer server, and down to an older one."""

PAIRS: Final = [
    ("table-parallel", "mariadb-10.11", "18"), ("transactional", "mariadb-10.11", "18"),
    ("table-parallel", "mysql-9", "mariadb-10.11"), ("transactional", "mysql-9", "18"),
    ("table-parallel", "18", "mysql-9"), ("key-parallel", "mysql-9", "18"),
]  # fmt: skip

MORE_PAIRS: Final = [
    *PAIRS,
    ("table-parallel", "mariadb-11.8", "18"), ("table-parallel", "mysql-8.0", "mariadb-10.11"),
    ("transactional", "mysql-9", "mariadb-10.11"), ("transactional", "18", "mysql-9"),
    ("table-parallel", "mariadb-10.11", "mysql-9"), ("key-parallel", "mariadb-10.11", "mysql-9"),
]  # fmt: skip

PAIRS_FROM: Final = 50_000
"""Transactions from which there are more pairs."""


def _pair_tasks(sizes: Sizes, seed: int) -> Sequence[Task]:
    more = sizes[TRANSACTIONS] >= PAIRS_FROM
    return _differential_tasks(MORE_PAIRS if more else PAIRS, sizes, seed)


register(
    Suite(
        "differential",
        "random schemas and work between real servers arrive whole, by count and hash of every"
        " table at markers",
        {
            Tier.SMOKE: {TRANSACTIONS: 10_000, MARKERS: 20},
            Tier.NIGHTLY: {TRANSACTIONS: 200_000, MARKERS: 300},
            Tier.RELEASE: {TRANSACTIONS: 1_000_000, MARKERS: 1_000},
        },
        partial(_differential_tasks, POSTGRES),
        alone=True,
    )
)

register(
    Suite(
        "differential-pairs",
        "the same between MySQL, MariaDB and PostgreSQL, with what their sessions may switch, every"
        " other marker reached by a worker that was killed on its way",
        {
            Tier.SMOKE: {TRANSACTIONS: 10_000, MARKERS: 40},
            Tier.NIGHTLY: {TRANSACTIONS: 100_000, MARKERS: 400},
            Tier.RELEASE: {TRANSACTIONS: 500_000, MARKERS: 2_000},
        },
        _pair_tasks,
        alone=True,
    )
)
