"""Try to break it, and say how hard it was tried.

python -m tests.chaos --tier smoke
python -m tests.chaos --tier nightly --suite simulator --suite kills
python -m tests.chaos --tier nightly --suite simulator --share 0.05     a part; parts add up
python -m tests.chaos card                                              writes docs/reliability.md

Nightly and release runs are kept in docs/reliability/ and the card is written anew; a smoke run
only with --keep. Exit code 1: a trial failed, or a whole tier never reached a situation that it is
there to reach, or measured what is not within its limit.
"""

import argparse
import random
import signal
import sys
from collections.abc import Sequence
from typing import Final

from tests.chaos.card import card
from tests.chaos.results import FOLDER, ROOT, Record, others_at_work, stored
from tests.chaos.run import run_suite, shown
from tests.chaos.suite import Outcome, Suite, Tier, share
from tests.chaos.suites import suites

CARD: Final = ROOT / "docs" / "reliability.md"

SEED_MAX: Final = 1 << 31


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.what == "card":
        write_card()
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    known = suites()
    chosen = [known[name] for name in options.suite or known]
    tier = Tier(options.tier)
    others = others_at_work()
    outcomes: dict[str, Outcome] = {}
    with shown() as told:
        for suite in chosen:
            sizes = share(suite.sizes[tier], options.share)
            outcomes[suite.name] = run_suite(suite, sizes, options.seed, told)
    others = max(others, others_at_work())  # what came meanwhile is there still, mostly
    if options.keep or tier is not Tier.SMOKE:
        Record.now(tier, options.share, options.seed, outcomes, others).store(FOLDER)
        write_card()
    verdicts = [verdict(s, outcomes[s.name], whole=options.share >= 1) for s in chosen]
    return 0 if all(verdicts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=["run", "card"], default="run")
    parser.add_argument("--tier", choices=list(Tier), default=Tier.SMOKE)
    parser.add_argument("--suite", action="append", choices=list(suites()), help="all without")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, SEED_MAX))
    parser.add_argument("--share", type=float, default=1.0, help="of the tier's size")
    parser.add_argument("--keep", action="store_true", help="keep a smoke run too")
    return parser


def verdict(suite: Suite, outcome: Outcome, *, whole: bool) -> bool:
    """Say what a suite came to; whether that is what it must. A part of a run may miss what is
    rare."""
    trials = ", ".join(f"{count:,} {unit}" for unit, count in outcome.trials.items())
    print(f"{suite.name}: {trials}, {len(outcome.failures)} failed")  # noqa: T201
    for failure in outcome.failures:
        print(f"{failure.what}\n    replay: {failure.replay}")  # noqa: T201
    missed = suite.missed(outcome)
    for name in missed:
        print(f"{suite.name} never reached: {name} ({suite.situations[name]})")  # noqa: T201
    exceeded = suite.exceeded(outcome)
    for what in exceeded:
        print(f"{suite.name}: {what}")  # noqa: T201
    return not outcome.failures and not (whole and (missed or exceeded))


def write_card() -> None:
    CARD.write_text(card(stored(), suites()))


if __name__ == "__main__":
    sys.exit(main())
