"""`penstock rotate`: a new key for what the daemon keeps."""

import asyncio
import os

import typer

from engine.config.load_serve import load_daemon
from engine.config.serve import DaemonConfig
from engine.control.cli.ending import end_with
from engine.control.cli.serve import Config, StateDir


def rotate(config: Config = None, state_dir: StateDir = None) -> None:
    """Seal everything in the daemon's store under a new key, and take the old one out.

    The daemon must be stopped. Interrupted, it is started again. The new key is in the file of the
    old one: copy it to where copies are kept, and to every other daemon on the same store.
    """
    given = {"state_dir": state_dir} if state_dir else {}
    end_with(lambda: _rotate(load_daemon(config, os.environ, given)))


def _rotate(config: DaemonConfig) -> int:
    from engine.control.rekeying import rekey  # it brings the store

    os.umask(0o077)
    done, path = asyncio.run(rekey(config, os.environ))
    unused = len(done.unused_keys)
    keys = "1 older key was" if unused == 1 else f"{unused} older keys were"
    secrets = "1 secret was" if done.secrets == 1 else f"{done.secrets} secrets were"
    typer.echo(f"{secrets} sealed again under a new key; {keys} taken out of {path}")
    return 0
