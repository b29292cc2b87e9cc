"""`penstock rotate`: a new key for what a daemon keeps, whose replications go on."""

import asyncio
import contextlib
import os
import random
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.config.secret import Secret
from engine.control import key_file
from engine.control.rotation import place_of, require_keys
from engine.control.sealing import open_secrets, seal_secrets, sealed_places
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.control.vault import Vault
from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import PENSTOCK, ROOT
from tests.servers.postgres import Database


def rotate(state: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*PENSTOCK, "rotate", f"--state-dir={state}"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def keys(daemon: Serving) -> list[str]:
    return [key.id for key in key_file.read(daemon.state / "penstock.key")]


def test_what_ran_under_the_old_key_runs_under_the_new_one(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "orders", source, target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        before = keys(daemon)
        code, said = rotate(daemon.state)
        assert (code, keys(daemon)) == (2, before)
        assert "is another daemon's, which runs" in said
        assert daemon.stop() == 0
    code, said = rotate(daemon.state)
    assert code == 0, said
    assert said.startswith("3 secrets were sealed again under a new key; 1 older key was taken out")
    (after,) = keys(daemon)
    assert after not in before
    with Serving(tmp_path) as daemon:
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (2, 'under the new key')")
        daemon.until(it.rows("t"), "the change")
        assert daemon.stop() == 0
    said = rotate(daemon.state)[1]
    assert said.startswith("4 secrets"), "as often as one likes; a start made a key for its rows"


def test_where_no_daemon_was_nothing_is_made(tmp_path: Path) -> None:
    code, said = rotate(tmp_path)
    assert code == 2
    assert "holds no store" in said
    assert not list(tmp_path.iterdir())


def test_keys_in_the_environment_are_left_alone(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        assert daemon.address
        assert daemon.stop() == 0
    own = key_file.read(daemon.state / "penstock.key")[0].text().reveal()
    code, said = rotate(daemon.state, PENSTOCK_KEY=own)
    assert code == 2
    assert "PENSTOCK_KEY_FILE" in said
    assert own not in said


SEED: Final = 20_261_130

MANY: Final = 400
"""Secrets of one store: their rotation takes some tenths of a second, after a second of start."""

ROUNDS_MAX: Final = 40

CUTS: Final = 3
"""Kills that are to leave some secrets under one key and some under another."""


def secrets(state: Path, vault: Vault) -> tuple[dict[str, Secret], set[str]]:
    """Every secret of a store, opened, and the keys that they are sealed under."""

    async def read() -> tuple[dict[str, Secret], set[str]]:
        opened, used = {}, set[str]()
        async with SqliteStore(state / "penstock.db") as store, store.read() as reading:
            await require_keys(store, vault)
            for record in await reading.find("endpoint"):
                place = place_of(record)
                opened[record.name] = open_secrets(vault, place, record.document)["Password"]
                used |= {key for _, key in sealed_places(place, record.document)}
        return opened, used

    return asyncio.run(read())


async def fill(state: Path, vault: Vault, wanted: Mapping[str, Secret]) -> None:
    async with SqliteStore(state / "penstock.db") as store, store.write() as writing:
        for name, secret in wanted.items():
            record = Record("endpoint", name, name, {})
            sealed = seal_secrets(vault, place_of(record), {"Password": secret})
            await writing.insert(replace(record, document=sealed))


def test_every_secret_can_be_read_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    """kill -9 of the command at random moments, again and again, until some have cut it in two."""
    with Serving(tmp_path) as daemon:
        assert daemon.address
        assert daemon.stop() == 0
    state = tmp_path / "state"
    file, chance = state / "penstock.key", random.Random(SEED)

    def vault() -> Vault:
        return Vault(key_file.read(file))

    wanted = {f"e{number:04}": Secret(f"secret {number}") for number in range(MANY)}
    asyncio.run(fill(state, vault(), wanted))
    whole, cut = 0.0, 0
    for _ in range(ROUNDS_MAX):
        began = time.monotonic()
        process = subprocess.Popen(
            [*PENSTOCK, "rotate", f"--state-dir={state}"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if whole:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(whole * chance.uniform(0.5, 1.1))
            process.kill()
        code = process.wait()
        whole = whole if code else time.monotonic() - began
        opened, used = secrets(state, vault())
        assert opened == wanted
        cut += len(used) > 1
        if cut == CUTS:
            break
    assert cut == CUTS, "no kill came in the middle"
    code, said = rotate(state)
    assert code == 0, said
    (key,) = key_file.read(file)
    assert secrets(state, Vault([key])) == (wanted, {key.id})
