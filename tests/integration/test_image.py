"""The image of `docker/Dockerfile`: built, started as it says, and looked at from outside."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.servers.image import NAME, ROOT, Image, find_image

pytestmark = pytest.mark.nightly

PATIENCE_SECONDS = 60.0

KEYS = {
    "PENSTOCK_ACCESS_KEY_ID": "AKIAPENSTOCKIMAGE",
    "PENSTOCK_SECRET_ACCESS_KEY": "a secret of more than thirty-two characters",
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    need(NAME, find_image)
    with Image(tmp_path_factory.mktemp("image")) as made:
        made.start(ROOT / "docker" / "penstock.toml", KEYS)
        yield made


def healthy(image: Image) -> tuple[int, str]:
    """What the image's own check says."""
    kind, *words = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    return image.run(*words)


def test_it_becomes_healthy(image: Image) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := healthy(image))[0] != 0:
        assert time.monotonic() < deadline, found[1]
        time.sleep(0.2)


def test_it_answers_who_signs_with_a_key(image: Image) -> None:
    test_it_becomes_healthy(image)
    words = ("penstock", "status", "--endpoint-url=http://127.0.0.1:8628", "--output=json")
    code, said = image.run(*words, environment=KEYS)
    assert code == 0, said
    refused = {
        **KEYS,
        "PENSTOCK_SECRET_ACCESS_KEY": "another one, and as long as the right one",
    }
    assert image.run(*words, environment=refused)[0] != 0


def test_it_is_nobody_and_may_write_nothing_but_its_state(image: Image) -> None:
    assert image.run("id", "-u") == (0, "8628\n")
    for place in ("/opt/penstock", "/usr", "/etc/penstock", "/var"):
        code, said = image.run("touch", f"{place}/there")
        assert code != 0, place
        assert "Read-only" in said or "Permission denied" in said
    assert image.run("touch", "/var/lib/penstock/there", "/tmp/there")[0] == 0


def test_it_has_the_compiled_loops_every_driver_and_no_installer(image: Image) -> None:
    modules = "connectors._interchange._accelerated, asyncpg, psycopg, aiomysql, uvloop, botocore"
    where = image.run("python", "-I", "-c", "import sys; print(sys.prefix)")
    assert where == (0, "/opt/penstock\n")
    code, said = image.run("python", "-I", "-c", f"import {modules}")
    assert code == 0, said
    assert image.run("python", "-I", "-m", "pip", "--version")[0] != 0


def test_it_ends_well_when_it_is_stopped(image: Image) -> None:
    test_it_becomes_healthy(image)
    assert image.started is not None
    os.kill(image.pid, signal.Signals[image.config.get("StopSignal", "SIGTERM")])
    said, _ = image.started.communicate(timeout=PATIENCE_SECONDS)
    assert image.started.returncode == 0, said
    assert '"level":"error"' not in said


def test_paths_that_the_file_copies_are_let_through() -> None:
    ignore = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [
        source
        for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert {f"!{source}" for source in copied} == {line for line in ignore if line[:1] == "!"}
    assert all((ROOT / source).exists() for source in copied)
    assert not Path(ROOT / ".dockerignore").exists()
