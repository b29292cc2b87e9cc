"""Fuzz what parses; or show one message of a campaign again.

python -m tests.fuzz --messages 10000000
python -m tests.fuzz --messages 1000000 --target pgoutput --seed 100
python -m tests.fuzz --messages 1000000 --sanitize
python -m tests.fuzz --target pgoutput --seed 7 --message 4711

Findings go to standard error, one line of JSON per target to standard output. What PostgreSQL sends
is decoded by the compiled loops and by Python's alike, each message by both, and counts once.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence

from tests.fuzz import sanitized
from tests.fuzz.campaign import run
from tests.fuzz.registry import targets


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--messages", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--target", choices=list(targets()), action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--message", type=int, help="show this one")
    parser.add_argument("--sanitize", action="store_true", help="check the compiled loops' memory")
    options = parser.parse_args(arguments)
    if options.message is None:
        return _campaign(options)
    if len(options.target) != 1:
        parser.error("--message needs one --target")
    return _replay(options)


def _campaign(options: argparse.Namespace) -> int:
    build = sanitized.build() if options.sanitize else None
    results = run(options.messages, seed=options.seed, names=options.target, build=build)
    for result in results:
        for failure in result.failures:
            sys.stderr.write(f"{result.target}: {failure}\n\n")
    for result in results:
        sys.stdout.write(json.dumps(result.facts()) + "\n")
    return 1 if any(result.failures for result in results) else 0


def _replay(options: argparse.Namespace) -> int:
    """In a process of its own, which may die of it."""
    words = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.replay", options.target[0]]
    words += [str(options.seed), str(options.message)]
    environment = dict(os.environ)
    if options.sanitize:
        build = sanitized.build()
        words.append(str(build.module))
        environment |= build.environment
    return subprocess.run(words, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
