"""A worker that says what it is made of when it is asked: `python -m tests.soak.worker ...`.

It is the worker of `penstock run` with one thing more: at SIGUSR1 its loop writes a census into the
file that PENSTOCK_SOAK_CENSUS names, whole or not at all. What is garbage is collected before, so
that only what something still holds is counted; what the interpreter had at the start is not.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.worker import Parts, main, system_parts

CENSUS_FILE: Final = "PENSTOCK_SOAK_CENSUS"

PREFIX: Final = "objects "
"""Before the names of types."""


def census() -> Mapping[str, int]:
    """Tasks of the running loop, threads, memory blocks of the interpreter, objects by type."""
    gc.collect()
    types = Counter([type(thing) for thing in gc.get_objects()])
    objects = Counter[str]()
    for kind, count in types.items():
        objects[f"{PREFIX}{kind.__module__}.{kind.__qualname__}"] += count
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        **objects,
    }


def _write(path: Path) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(census()))
    draft.replace(path)


def counted_parts() -> Parts:
    """The real parts; the pipeline runs beside the handler."""
    parts = system_parts()

    async def pipeline(*arguments: Any, **named: Any) -> object:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, _write, Path(os.environ[CENSUS_FILE]))
        return await parts.pipeline(*arguments, **named)

    return replace(parts, pipeline=pipeline)


if __name__ == "__main__":
    sys.exit(main(parts=counted_parts))
