"""`python -m benchmarks [CASE ...]`: a JSON object per result on standard output."""

import argparse
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.binlog import binlog_decode
from benchmarks.case import Case, Options
from benchmarks.decode import decode
from benchmarks.describe import describe, poll
from benchmarks.drain import drain_hot, drain_insert, drain_pgbench
from benchmarks.latency import latency
from benchmarks.load import load_1, load_2
from benchmarks.maria_drain import maria_maria_drain, maria_pg_drain
from benchmarks.maria_load import maria_pg_load
from benchmarks.maria_memory import rss_mysql
from benchmarks.memory import rss_idle, rss_steady, rss_transaction
from benchmarks.metrics_cost import metrics_cost
from benchmarks.scale import scale_rtt
from benchmarks.scale_dip import scale_dip
from benchmarks.serve import serve_idle, serve_start
from benchmarks.servers import servers
from benchmarks.spike import spike
from benchmarks.table import markdown
from benchmarks.target_bound import target_bound
from benchmarks.verdict import verdict

CASES: Final[Mapping[str, Case]] = {
    "drain-insert": drain_insert,
    "drain-pgbench": drain_pgbench,
    "drain-hot": drain_hot,
    "decode": decode,
    "load-1": load_1,
    "load-2": load_2,
    "latency": latency,
    "rss-transaction": rss_transaction,
    "rss-steady": rss_steady,
    "rss-idle": rss_idle,
    "binlog-decode": binlog_decode,
    "maria-pg-drain": maria_pg_drain,
    "maria-maria-drain": maria_maria_drain,
    "maria-pg-load": maria_pg_load,
    "rss-mysql": rss_mysql,
    "verdict": verdict,
    "metrics-cost": metrics_cost,
    "scale-rtt": scale_rtt,
    "scale-dip": scale_dip,
    "target-bound": target_bound,
    "spike": spike,
    "describe": describe,
    "poll": poll,
    "serve-start": serve_start,
    "serve-idle": serve_idle,
}

PAIRS: Final = 5


def main() -> int:
    """Run the named cases, or all."""
    arguments = _arguments()
    names = arguments.cases or list(CASES)
    options = Options(pairs=arguments.pairs, quick=arguments.quick)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", file=sys.stderr)
    results = []
    with servers(arguments.major, fsync=arguments.fsync) as both:
        for name in names:
            for result in CASES[name](both, options):
                print(result.json(), flush=True)
                results.append(result)
    if arguments.write:
        arguments.write.write_text(markdown(results, sys.argv[1:]))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of runs per result")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the harness")
    parser.add_argument("--major", default="15", help="PostgreSQL major version")
    parser.add_argument("--fsync", action="store_true", help="servers flush to the device")
    parser.add_argument("--write", type=Path, help="write a Markdown table of the results here")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.cases) - CASES.keys())
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
