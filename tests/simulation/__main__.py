"""Replay one run, or many: what a failure prints.

python -m tests.simulation --scenario mixed --seed 7 --storm --crashes 3
python -m tests.simulation --scenario mixed --seed 7 --crash-at 1234 --trace
python -m tests.simulation --scenario all --seeds 0-2000 --storm
python -m tests.simulation --scenario all --seed 1 --everywhere [cancel]
"""

# ruff: noqa: T201 (a command that prints)

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from tests.simulation.everywhere import Strike, crash_everywhere
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.spell import Spell
from tests.simulation.swarm import command, run


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    names = sorted(SCENARIOS) if options.scenario == "all" else [options.scenario]
    chosen = [SCENARIOS[name] for name in names]
    if options.everywhere:
        strike = Strike(options.everywhere)
        return max(_everywhere(s, options.seed, strike, every=options.every) for s in chosen)
    if options.seeds:
        low, _, high = options.seeds.partition("-")
        return max(_many(scenario, range(int(low), int(high))) for scenario in chosen)
    spell = Spell(**{field.name: getattr(options, field.name) for field in fields(Spell)})
    return max(_one(scenario, spell, traced=options.trace) for scenario in chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--scenario", choices=["all", *sorted(SCENARIOS)], required=True)
    for field in fields(Spell):
        name = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=int, default=int(field.name == "seed"))
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--seeds", default="", help="LOW-HIGH: as the test suite runs them")
    parser.add_argument(
        "--everywhere",
        nargs="?",
        const=Strike.CRASH,
        choices=list(Strike),
        help="at every step: crash, unless it says cancel",
    )
    parser.add_argument("--every", action="store_true", help="also where nothing had changed")
    return parser


def _one(scenario: Scenario, spell: Spell, *, traced: bool) -> int:
    try:
        report = run(scenario, spell, traced=traced)
    except Exception:  # noqa: BLE001 (it is what we are here to show)
        traceback.print_exc()
        return 1
    for line in report.trace:
        print(line)
    print(
        f"{scenario.name}: {report.steps} steps, {report.seconds:.1f} virtual seconds, "
        f"{report.checks} tables compared, {report.restarts} restarts, {report.met}, "
        f"{dict(report.reached)}"
    )
    return 0


def _many(scenario: Scenario, seeds: range) -> int:
    failed = 0
    met: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for seed in seeds:
        spell = Spell.of(seed)
        try:
            report = run(scenario, spell)
            met.update(report.met)
            reached.update(report.reached)
        except Exception as error:  # noqa: BLE001 (counted, and shown by its command)
            failed += 1
            print(f"{type(error).__name__}: {error}\n    {command(scenario, spell)}")
    print(f"{scenario.name}: {failed} of {len(seeds)} failed; {dict(met)}; {dict(reached)}")
    return 1 if failed else 0


def _everywhere(scenario: Scenario, seed: int, strike: Strike, *, every: bool) -> int:
    crashes = crash_everywhere(scenario, seed, every=every, strike=strike)
    for step, text in crashes.failed.items():
        print(f"{text}\n    {command(scenario, strike.spell(seed, step))}")
    print(f"{scenario.name}: {crashes.points} {strike} points, {len(crashes.failed)} failed")
    return 1 if crashes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
