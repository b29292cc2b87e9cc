"""Somebody at a shell, in front of a daemon whose fleet does what it is woken for."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.control.cli.app import app
from tests.integration.control.api.daemon import ADMIN, Daemon, serving
from tests.integration.control.api.replicating import CONFIG, ExampleFleet, add_pair


class Town:
    """A daemon whose fleet does what it is woken for, and somebody at a shell."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.fleet = ExampleFleet(daemon)
        self.environment = {
            "PENSTOCK_ENDPOINT": f"http://127.0.0.1:{daemon.port}",
            "PENSTOCK_ACCESS_KEY_ID": ADMIN.id,
            "PENSTOCK_SECRET_ACCESS_KEY": ADMIN.secret.reveal(),
        }

    async def penstock(self, *words: str, input: str | None = None, **environment: str) -> Result:
        """A command, to its end, beside the daemon's loop."""
        env = {**self.environment, **environment}
        invoke: Callable[..., Result] = CliRunner().invoke
        result = await asyncio.to_thread(invoke, app, list(words), env=env, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert "Traceback" not in result.output
        return result

    async def done(self, *words: str) -> str:
        """What a command that is right says."""
        result = await self.penstock(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    async def told(self, *words: str) -> Any:
        """Its JSON document."""
        return json.loads(await self.done(*words, "--output", "json"))

    async def refused(self, code: int, *words: str, **environment: str) -> str:
        """The last line of a command that fails."""
        result = await self.penstock(*words, **environment)
        assert result.exit_code == code, result.output
        return result.stderr.splitlines()[-1]

    async def orders(self) -> str:
        """A replication called Orders; the end of its ARN."""
        await add_pair(self.daemon)
        made = await self.daemon.call("create_replication_config", **CONFIG)
        arn: str = made["ReplicationConfig"]["ReplicationConfigArn"]
        return arn.rpartition(":")[2]


@contextlib.asynccontextmanager
async def in_town(directory: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    """A town with a daemon of its own."""
    async with serving(directory) as daemon:
        town = Town(daemon)
        acting = asyncio.TaskGroup()

        async with acting:
            wake = daemon.idle.wake

            def act(replication: str) -> None:
                wake(replication)
                acting.create_task(town.fleet.settle(replication))

            patch.setattr(daemon.idle, "wake", act)
            yield town
