"""What everybody works with who runs replications: one value for a daemon."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.control.logs.files import LogFiles
from engine.control.memory_group import MemoryTree
from engine.control.room import Room
from engine.control.store.contract import Store
from engine.control.vault import Vault
from engine.control.worker_files import WorkerFiles
from engine.machine import Clock, Random
from engine.observe.log import Log


@dataclass(frozen=True, slots=True)
class Means:
    """`store` writes under the lease's fence by itself."""

    store: Store
    vault: Vault
    files: WorkerFiles
    room: Room
    logs: LogFiles
    log: Log
    clock: Clock
    random: Random
    environment: Mapping[str, str]
    """The daemon's own: where references to secrets are looked for."""
    overflow: Path
    """Where workers keep what overflows, a folder for each."""
    memory_bytes: int
    """What the machine has."""
    memory: MemoryTree | None
    """Where the kernel may hold workers to their budgets; None: it may not here."""
    worker: tuple[str, ...]
    """The command of a worker, before its arguments."""
    looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """A turn to look at the source of a replication at rest: one process at a time."""
