"""The files under `deploy`, and the table of the guide, read for tests."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]

PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
CONFIG: Final = PROMETHEUS / "prometheus.yml"
RULES: Final = PROMETHEUS / "rules.yml"
ALERTS: Final = PROMETHEUS / "alerts.yml"

UNITS: Final = tuple(sorted((ROOT / "deploy" / "systemd").glob("*.service")))
"""Unit files, one of them a template."""

GUIDE: Final = ROOT / "docs" / "guide" / "monitoring.md"

DASHBOARD: Final[Mapping[str, Any]] = json.loads(
    (ROOT / "deploy" / "grafana" / "penstock.json").read_text()
)

DAEMONS: Final = (
    "penstock_capacity_waiting",
    "penstock_daemon_acts",
    "penstock_notices_failed_total",
    "penstock_replication_status",
)
"""Metrics in our queries that only `penstock serve` has."""

SELECTOR: Final = re.compile(r"\b((?:penstock|process)_\w+|up\b)(\{[^}]*\})?")
"""A metric with its label matchers, in a query of ours."""

CLOUDWATCH_ROW: Final = re.compile(
    r"^\| (?:`(\w+)`)?[^|]* \| `(\w+)` \| `([^`]+)` \| [^|]+ \|$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class CloudWatchRow:
    """A row of the guide's table; `name` is empty for what CloudWatch does not show."""

    name: str
    metric: str
    query: str


def panels() -> Sequence[Mapping[str, Any]]:
    """Those that draw something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def cloudwatch() -> Sequence[CloudWatchRow]:
    """The guide's table from CloudWatch to Prometheus."""
    return [CloudWatchRow(*found) for found in CLOUDWATCH_ROW.findall(GUIDE.read_text())]


def measured(query: str) -> set[str]:
    """The metrics that a query reads."""
    return {name for name, _ in SELECTOR.findall(query)}


def selectors(query: str) -> list[str]:
    """What a query selects, each alone; one for every alternative of a matched label."""
    return [name + each for name, matchers in SELECTOR.findall(query) for each in _single(matchers)]


def _single(matchers: str) -> Sequence[str]:
    alternatives = re.search(r'=~"([\w|-]+)"', matchers)
    if alternatives is None:
        return [matchers]
    words = alternatives.group(1).split("|")
    return [matchers.replace(alternatives.group(), f'="{word}"') for word in words]
