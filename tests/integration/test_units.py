"""What systemd's own tools say of the files under `deploy/systemd`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployed import ROOT, UNITS

SYSTEMD = ROOT / "deploy" / "systemd"

EXPOSURE_TENTHS_MAX = 20

INSTALLED = "/opt/penstock/bin/penstock"


def tool(name: str) -> str:
    """A program of systemd's; its test is skipped where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def said(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=UNITS, ids=lambda unit: unit.stem)
def unit(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def installed(unit: Path, folder: Path) -> Path:
    """The unit with a program that is on this machine, an instance where it is a template."""
    text = unit.read_text()
    assert text.count(INSTALLED) == 1
    made = folder / unit.name.replace("@", "@shop")
    made.write_text(text.replace(INSTALLED, sys.executable))
    return made


def test_both_units_are_there() -> None:
    assert {unit.name for unit in UNITS} == {"penstock.service", "penstock@.service"}


def test_little_is_exposed(unit: Path) -> None:
    analyze = tool("systemd-analyze")
    words = ("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", "--no-pager")
    code, text = said(analyze, *words, unit)
    assert code == 0, text
    assert re.search(r"Overall exposure level for .*: \d\.\d OK", text)


def test_nothing_in_it_is_unknown_or_wrong(unit: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    assert said(analyze, "verify", installed(unit, tmp_path)) == (0, "")


def test_the_tool_would_say_so(unit: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    made = installed(unit, tmp_path)
    made.write_text(made.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    _, text = said(analyze, "verify", made)
    assert "WatchdogSecs" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes accounts and folders of others")
def test_the_account_and_the_folder_are_made(tmp_path: Path) -> None:
    sysusers, tmpfiles = tool("systemd-sysusers"), tool("systemd-tmpfiles")
    (tmp_path / "etc").mkdir()
    at = f"--root={tmp_path}"
    assert said(sysusers, at, SYSTEMD / "penstock.sysusers.conf")[0] == 0
    _, _, uid, gid, *_ = (tmp_path / "etc/passwd").read_text().split("penstock", 1)[1].split(":")
    code, text = said(tmpfiles, at, "--create", SYSTEMD / "penstock.tmpfiles.conf")
    assert code == 0, text
    found = (tmp_path / "etc/penstock").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, int(gid), 0o750)
    assert uid.isdecimal()
