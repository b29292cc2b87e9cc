"""A new key for a daemon's store, made while nobody acts on it.

Killed at any moment it leaves the store readable under the keys in the file, old and new, and may
be started again.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.config.key_variables import KEY
from engine.config.serve import DaemonConfig
from engine.control import key_file
from engine.control.lease import acquire, release
from engine.control.rotation import Rotated, is_sealed, require_keys, rotate
from engine.control.state_places import key_source, locked, state_directory, store_of
from engine.control.store.choice import FILE_NAME
from engine.control.store.contract import Store
from engine.errors import ConfigError

LEASE_SECONDS: Final = 600.0
"""Longer than ten thousand secrets take: a daemon that began meanwhile would lack the new key."""


async def rekey(config: DaemonConfig, environment: Mapping[str, str]) -> tuple[Rotated, Path]:
    """Make a key, seal everything under it, and take the older ones out. What was done, and the
    file of the keys.

    Raises:
        ConfigError: there is no store, a daemon runs, or the keys are in no file; nothing was
            changed.
        VaultError: a key is missing, or cannot be written.
        StateError: the store cannot be reached; started again, it goes on with the rest.
    """
    state = state_directory(config.serve, environment)
    if not config.serve.store and not (state / FILE_NAME).exists():
        raise ConfigError(
            "serve.state_dir",
            f"{state} holds no store: nothing was sealed there yet",
            hint="name the daemon's own with --state-dir or --config",
        )
    with locked(state):
        async with store_of(config, state) as store:
            holder = f"{socket.gethostname()}:{state}"
            lease = await acquire(store, holder, seconds=LEASE_SECONDS)
            if lease is None:
                raise ConfigError(
                    "serve.store",
                    "is another daemon's, which runs",
                    hint="stop every daemon on this store; afterwards each is given the new key"
                    " before it is started",
                )
            try:
                return await _rekey(store, config, environment, state, lease.number)
            finally:
                await release(store, lease)


async def _rekey(
    store: Store,
    config: DaemonConfig,
    environment: Mapping[str, str],
    state: Path,
    fence: int,
) -> tuple[Rotated, Path]:
    source = key_source(config.serve, state)
    path = source.default_file(environment)
    if path is None:
        raise ConfigError(
            KEY,
            "holds the keys themselves, and what is in the environment cannot be changed here",
            hint="put them into a file, one a line, and name it by PENSTOCK_KEY_FILE",
        )
    vault = source.load(environment, may_make=not await is_sealed(store))
    await require_keys(store, vault)
    key_file.add(path)
    rotated = await rotate(store, source.load(environment, may_make=False), fence=fence)
    key_file.drop(path, rotated.unused_keys)
    return rotated, path
