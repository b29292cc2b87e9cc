"""Take each guard out and see a test fail.

python -m tests.mutants                     # all of them
python -m tests.mutants deletes-first ...   # some
"""

# ruff: noqa: T201 (a command that prints)

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.guard import Guard
from tests.mutants.guards import GUARDS
from tests.mutants.trial import attempt, copy_project, run_tests


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("guard", nargs="*", choices=[*(g.name for g in GUARDS), []])
    named = parser.parse_args(arguments).guard
    # leaves by way of every `finally`: the tests that run are ended, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [guard for guard in GUARDS if not named or guard.name in named]
    with tempfile.TemporaryDirectory(prefix="penstock-mutants-") as name:
        copy_project(Path(name))
        if not _whole(Path(name), chosen):
            return 1
        return _without(Path(name), chosen)


def _whole(folder: Path, guards: Sequence[Guard]) -> bool:
    """With every guard in its place their tests pass: else a failure would say nothing."""
    tests = tuple(dict.fromkeys(test for guard in guards for test in guard.held_by))
    done = run_tests(folder, tests)
    print(done.stdout if done.returncode else f"with all guards: {done.stdout.splitlines()[-1]}")
    return done.returncode == 0


def _without(folder: Path, guards: Sequence[Guard]) -> int:
    missed = 0
    for number, guard in enumerate(guards, 1):
        trial = attempt(folder, guard)
        missed += not trial.good
        print(
            f"{number}/{len(guards)} without {guard.name}: {trial.outcome}"
            f" ({trial.seconds:.0f} s) {trial.told}",
            flush=True,
        )
    print(f"{len(guards) - missed} of {len(guards)} guards are held by a test")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
