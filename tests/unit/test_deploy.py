"""The files under `deploy` as they are read: what they name exists, what they promise is told.

What Prometheus itself says of them is in `tests/integration/test_prometheus.py`, what a running
replication gives for each query in `tests/scenario/test_monitoring.py`.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.config.load_serve import load_daemon
from tests.deployed import ALERTS, DASHBOARD, GUIDE, ROOT, cloudwatch, measured, panels

GRID_COLUMNS = 24

ALERT = re.compile(
    r"^      - alert: (\w+)\n(.*?)(?=^      (?:- alert|#)|\Z)", re.DOTALL | re.MULTILINE
)

BODIES = dict(ALERT.findall(ALERTS.read_text()))


def expectations(alert: str) -> list[bool]:
    """Of each moment that an alert's tests look at: whether it fires."""
    text = ALERTS.with_name("alerts_test.yml").read_text()
    found = re.findall(rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:( \[\])?\n", text)
    return [silent == "" for silent in found]


@pytest.mark.parametrize("alert", BODIES)
def test_every_alert_is_tested_to_fire_and_not_to(alert: str) -> None:
    assert set(expectations(alert)) == {True, False}


@pytest.mark.parametrize("alert", BODIES)
def test_every_alert_says_how_bad_it_is_and_has_its_line_in_the_guide(alert: str) -> None:
    body = BODIES[alert]
    assert re.search(r"severity: (critical|warning)\n", body)
    assert f'runbook: "docs/guide/monitoring.md#{alert.lower()}"' in body
    assert re.search(rf"^### {alert}\n\n\S+", GUIDE.read_text(), re.MULTILINE)


def test_the_guide_tells_of_no_other_alert() -> None:
    assert set(re.findall(r"^### (\w+)$", GUIDE.read_text(), re.MULTILINE)) == set(BODIES)


def test_every_threshold_has_its_reason_above_it() -> None:
    lines = ALERTS.read_text().splitlines()
    bare = [
        line
        for number, line in enumerate(lines)
        if "- alert:" in line and not lines[number - 1].lstrip().startswith("#")
    ]
    assert bare == []


def test_every_metric_of_cloudwatch_for_serverless_is_in_the_guide() -> None:
    assert {row.name for row in cloudwatch()} >= {
        "CapacityUtilization",
        "CDCIncomingChanges",
        "CDCLatencySource",
        "CDCLatencyTarget",
        "CDCThroughputBandwidthTarget",
        "CDCThroughputRowsSource",
        "CDCThroughputRowsTarget",
        "FullLoadThroughputBandwidthTarget",
        "FullLoadThroughputRowsTarget",
        "CPUUtilization",
    }
    for row in cloudwatch():
        assert row.metric in row.query
        assert measured(row.query) <= {row.metric}


def test_panels_have_an_id_a_title_and_a_description_of_their_own() -> None:
    for key in ("id", "title", "description"):
        values = [panel[key] for panel in panels()]
        assert all(values), key
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_no_two_panels_lie_on_one_place() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= GRID_COLUMNS
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert (x, y) not in taken, f"{panel['title']} on {taken[x, y]}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_every_query_is_of_the_chosen_replications_and_server(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    references = [target["refId"] for target in panel["targets"]]
    assert references
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert 'replication=~"$replication"' in target["expr"]


COMPOSE = ROOT / "docker" / "compose.yaml"


def test_files_that_compose_mounts_are_there() -> None:
    mounted = re.findall(r"^ +- (\.\S+?):\S+:ro$", COMPOSE.read_text(), re.MULTILINE)
    assert mounted
    for name in mounted:
        assert (COMPOSE.parent / name).exists(), name


def test_compose_publishes_nothing_beyond_the_machine_and_names_every_version() -> None:
    text = COMPOSE.read_text()
    published = re.findall(r"ports: \[(.*)\]", text)
    assert published
    assert all(port.startswith('"127.0.0.1:') for port in published)
    images = re.findall(r"image: (\S+)$", text, re.MULTILINE)
    assert [image for image in images if ":" not in image] == ["penstock"], "which is built"


def test_every_secret_of_compose_is_asked_for() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    example = (COMPOSE.parent / ".env.example").read_text()
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == wanted


def test_the_daemon_takes_the_file_of_compose() -> None:
    keys = {
        "PENSTOCK_ACCESS_KEY_ID": "AKIAPENSTOCKCOMPOSE",
        "PENSTOCK_SECRET_ACCESS_KEY": "a secret of more than thirty-two characters",
    }
    read = load_daemon(COMPOSE.parent / "penstock.toml", keys, {})
    assert read.serve.metrics_listen == "0.0.0.0:8629", "where the image's check asks"


def test_the_daemon_takes_the_file_of_kubernetes(tmp_path: Path) -> None:
    manifests = ROOT / "deploy" / "kubernetes"
    _, _, text = (manifests / "config.yaml").read_text().partition("penstock.toml: |\n")
    secret = tmp_path / "admin.secret"
    secret.write_text("a secret of more than thirty-two characters\n")
    file = tmp_path / "penstock.toml"
    file.write_text(text.replace("/run/secrets/penstock/admin.secret", str(secret)))
    read = load_daemon(file, {}, {})
    assert (read.serve.listen, read.serve.metrics_listen) == ("0.0.0.0:8628", "0.0.0.0:8629")
    mounts = re.findall(r"mountPath: (\S+?),", (manifests / "deployment.yaml").read_text())
    for path in (read.serve.tls_certificate, read.serve.tls_key):
        assert str(Path(path).parent) in mounts
