"""The page on differences from AWS DMS names every default of ours that is not AWS's."""

import re
from pathlib import Path
from typing import Final

from engine.config.limits import Limits
from engine.config.reconcile import PAIRS, Pair
from engine.config.replication import ApplyConfig, LoadConfig
from engine.config.section import Section, declared_keys
from engine.config.settings import ReplicationSettings, defaults
from engine.control.api.quotas import RESOURCES_MAX
from engine.control.notices import PAUSE_SECONDS, PAUSE_SECONDS_MAX
from engine.control.otherwise import DIFFERENCES
from engine.control.webhook import POST_SECONDS

PAGE: Final = (Path(__file__).parents[3] / "docs" / "differences-from-aws-dms.md").read_text()

SECTIONS: Final[dict[str, type[Section]]] = {"load": LoadConfig, "apply": ApplyConfig}

ONLY_FASTER: Final = {"FullLoadSettings.MaxFullLoadSubTasks"}
"""Differences that no start tells of: every row arrives all the same."""

ROW: Final = re.compile(
    r"^\| (?P<aws>`[^|]+`) \| (?P<theirs>[^|]+) \| (?P<here>[^|]+) \|"
    r" `(?P<key>[^|]+)` \| (?P<said>[^|]+) \|$",
    re.MULTILINE,
)


def default(pair: Pair) -> str:
    _, declared = declared_keys(SECTIONS[pair.section])[pair.field]
    return str(declared.default)


def differs(pair: Pair) -> bool:
    """Whether AWS's defaults mean something else than ours, in a replication of any type."""
    every = frozenset(key for each in PAIRS for key in each.aws)
    for kind in ("full-load", "cdc", "full-load-and-cdc"):
        settings = ReplicationSettings(expanded=defaults(kind), written=every)
        if str(pair.meaning(settings, pair.aws)) != default(pair):
            return True
    return False


def keys(text: str) -> set[str]:
    return set(re.findall(r"`([A-Za-z.]+)`", text))


def test_the_page_has_a_row_for_each_default_that_differs_and_no_other() -> None:
    rows = {row["key"]: row for row in ROW.finditer(PAGE)}
    different = {f"{pair.section}.{pair.field}": pair for pair in PAIRS if differs(pair)}
    assert rows.keys() == different.keys()
    for name, pair in different.items():
        assert keys(rows[name]["aws"]) == set(pair.aws)
        if default(pair) != "0":
            assert f"`{default(pair)}`" in rows[name]["here"]
        shown = [defaults("full-load")] if pair.section == "load" else [defaults("cdc")]
        for key in pair.aws:
            value = ReplicationSettings(expanded=shown[0]).value(key)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert text in rows[name]["theirs"]


def test_a_start_tells_of_those_that_the_page_says_it_does() -> None:
    told = {key for difference in DIFFERENCES for key in difference.keys}
    said = {key for row in ROW.finditer(PAGE) if row["said"] == "yes" for key in keys(row["aws"])}
    unsaid = {key for row in ROW.finditer(PAGE) if row["said"] != "yes" for key in keys(row["aws"])}
    assert said == told
    assert unsaid == ONLY_FASTER
    for difference in DIFFERENCES:
        assert f"`{'.'.join(difference.ours)}`" in PAGE


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    limits = Limits()
    assert f"{limits.calls_per_second} calls a second, and {limits.calls_burst:,} at once" in PAGE
    assert f"{RESOURCES_MAX:,} of each kind" in PAGE
    assert f"within {POST_SECONDS:g} s is tried again, after {PAUSE_SECONDS:g} s" in PAGE
    assert f"{PAUSE_SECONDS_MAX / 60:g} minutes at most" in PAGE
