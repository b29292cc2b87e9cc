"""Penstock's own worker on a replication file whose target is the blackhole.

    python -m benchmarks.decode_worker ROWS FILE --stop-at caught-up

Everything but the target is what `penstock run` runs. Prints what was discarded and when the last
of ROWS rows was, as JSON; times are those of the machine's monotonic clock.
"""

import json
import sys
import threading
import time
from dataclasses import replace

from connectors.blackhole.target import BlackholeTarget
from engine import worker
from engine.config.replication import ReplicationConfig
from engine.contracts import Source, Target
from engine.machine import Clock, Random

LOOK_SECONDS = 0.002


def main() -> int:
    """Run the worker and print its figures."""
    expected, arguments = int(sys.argv[1]), sys.argv[2:]
    found: list[BlackholeTarget] = []
    done: list[float] = []

    def parts() -> worker.Parts:
        system = worker.system_parts()

        def connect(
            config: ReplicationConfig, clock: Clock, random: Random
        ) -> tuple[Source, Target]:
            source, target = system.connect(config, clock, random)
            assert isinstance(target, BlackholeTarget)
            found.append(target)
            return source, target

        return replace(system, connect=connect)

    def watch() -> None:
        while not found or found[-1].rows < expected:
            time.sleep(LOOK_SECONDS)
        done.append(time.perf_counter())

    threading.Thread(target=watch, daemon=True).start()
    code = worker.main(arguments, parts)
    figures = {
        "rows": found[-1].rows,
        "checksum": found[-1].checksum,
        "done": done[0] if done else None,
    }
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    sys.exit(main())
