"""Soak one process between real servers, and tell what rises.

python -m tests.soak --seconds 600 [--seed N] [--curves FILE.svg] [--figures FILE.json]
"""

import argparse
import json
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.curves import curves
from tests.servers.postgres import Cluster
from tests.soak.judge import MAIN, rising
from tests.soak.run import soak_between


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--source", default="15", help="major version of PostgreSQL")
    parser.add_argument("--target", default="18", help="major version of PostgreSQL")
    parser.add_argument("--curves", type=Path, help="draw what was held into this SVG file")
    parser.add_argument("--figures", type=Path, help="write all of it into this JSON file")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with Cluster(given.source) as source, Cluster(given.target) as target:
        soaked = soak_between(source, target, seconds=given.seconds, seed=given.seed)
    if given.curves is not None:
        series = {name: [figures[name] for figures in soaked.rounds] for name in MAIN}
        given.curves.write_text(curves(series))
    if given.figures is not None:
        given.figures.write_text(json.dumps(soaked.rounds))
    found = soaked.differences + rising(soaked.rounds)
    for what in found:
        sys.stdout.write(f"{what}\n")
    sys.stdout.write(
        f"seed {given.seed}: {len(soaked.rounds)} rounds in {soaked.seconds:.0f} s,"
        f" {soaked.transactions:,} transactions, {len(found)} findings\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
