"""The page of failure modes names tests that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "failure-modes.md").read_text()
PATHS: Final = list((ROOT / "tests").rglob("*.py"))
FILES: Final = {path.name for path in PATHS}
TESTS: Final = {n for path in PATHS for n in re.findall(r"def test_(\w+)\(", path.read_text())}

SETTINGS: Final = {
    "max_slot_wal_keep_size",
    "idle_replication_slot_timeout",
    "catalog_xmin_age_warn",
    "innodb_flush_log_at_trx_commit",
    "lower_case_table_names",
}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:[a-z0-9]+_){3,}[a-z0-9]+)`", PAGE))))
def test_a_named_test_exists(name: str) -> None:
    assert name in TESTS | SETTINGS


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`[a-z_/]*?(\w+\.py)`", PAGE))))
def test_a_named_file_exists(name: str) -> None:
    assert name in FILES


def test_every_line_has_a_test_or_says_that_it_has_none() -> None:
    for line in PAGE.splitlines():
        if not line.startswith("| ") or line.startswith(("| fault", "| ---")):
            continue
        shown = line.split("|")[3]
        tested = re.search(r"`|simulation|unit", shown)
        assert tested or re.search(r"\*(no test|not \w+)\*", line), line
