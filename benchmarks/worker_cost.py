"""Penstock's own worker on a replication file, with all it counts and measures, or with nothing.

    python -m benchmarks.worker_cost counted|uncounted FILE --stop-at caught-up

Prints the CPU seconds of the process from the beginning of the stream to its end, as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from engine import worker

COMMAND: Final = (sys.executable, "-m", "benchmarks.worker_cost")

NOTHING: Final = (
    "engine.apply.tally.Tally.add",
    "engine.observe.metrics.Metrics.applied",
    "engine.observe.metrics.Metrics.received",
    "engine.observe.stages.Occupancy.add",
    "engine.observe.stages.Occupancy.__enter__",
    "engine.observe.stages.Occupancy.__exit__",
    "engine.worker.Worker._send_metrics",
)
"""Called for each batch, block or wait, or each second."""

NEVER: Final = (
    "engine.autoscaling.Autoscaling.run",
    "engine.gauges.Gauges.run",
    "engine.judging.Judging.watch_target",
)
"""Loops that measure."""


def nothing(*_: object) -> None:
    """In the place of what counts."""


async def never(*_: object) -> None:
    """In the place of a loop that measures."""
    await asyncio.Event().wait()


def main() -> int:
    """Run the worker and print its figure."""
    counted, arguments = sys.argv[1] == "counted", sys.argv[2:]
    begun: list[float] = []
    if not counted:
        for name in NOTHING:
            patch(name, nothing).start()
        for name in NEVER:
            patch(name, never).start()

    def parts() -> worker.Parts:
        system = worker.system_parts()

        def pipeline(*ends: Any, report: Callable[..., None], **options: Any) -> Awaitable[object]:
            def told(event: str, facts: Mapping[str, object]) -> None:
                if facts.get("state") == "streaming" and not begun:
                    begun.append(time.process_time())
                report(event, facts)

            return system.pipeline(*ends, report=told, **options)

        return replace(system, pipeline=pipeline)

    code = worker.main(arguments, parts)
    print(json.dumps({"cpu_seconds": time.process_time() - begun[0]}))
    return code


if __name__ == "__main__":
    sys.exit(main())
