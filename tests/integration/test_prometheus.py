"""What Prometheus's own tool says of the files under `deploy`; and the server that tests use."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need
from tests.deployed import ALERTS, CONFIG, PROMETHEUS, RULES
from tests.scenario.running import alive, until
from tests.servers.prometheus import (
    NAME,
    Prometheus,
    PrometheusPrograms,
    QueryError,
    find_prometheus,
    promtool,
)

ABANDON = """
import os, signal
from tests.servers.prometheus import Prometheus
server = Prometheus({"prometheus.yml": "scrape_configs: []"})
server.start()
print(server.directory, server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module", autouse=True)
def programs() -> PrometheusPrograms:
    return need(NAME, find_prometheus)


def test_the_tool_finds_nothing_wrong_with_rules_and_alerts() -> None:
    code, said = promtool("check", "rules", "--lint-fatal", RULES, ALERTS)
    assert code == 0, said


def test_the_tool_finds_nothing_wrong_with_the_configuration() -> None:
    code, said = promtool("check", "config", "--lint-fatal", CONFIG)
    assert code == 0, said
    assert "2 rule files found" in said


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    code, said = promtool("test", "rules", "alerts_test.yml", folder=PROMETHEUS)
    assert code == 0, said


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("latency_target_seconds > 60", "latency_target_seconds > 50"),
        ("for: 5m", "for: 1m"),
    ],
)
def test_a_threshold_that_moved_is_noticed(tmp_path: Path, written: str, meant: str) -> None:
    text = ALERTS.read_text()
    assert written in text
    (tmp_path / ALERTS.name).write_text(text.replace(written, meant))
    head, *tests = ALERTS.with_name("alerts_test.yml").read_text().split("\n  - name: ")
    few = [head, *(test for test in tests if "PenstockBehind" in test)]
    (tmp_path / "alerts_test.yml").write_text("\n  - name: ".join(few))
    code, said = promtool("test", "rules", "alerts_test.yml", folder=tmp_path)
    assert code != 0
    assert "FAILED" in said


def test_a_wrong_query_is_refused_with_its_reason() -> None:
    with Prometheus({CONFIG.name: "scrape_configs: []"}) as prometheus:
        assert prometheus.query("vector(1) + 1")[0]["value"][1] == "2"
        with pytest.raises(QueryError, match="unclosed left parenthesis"):
            prometheus.query("rate(up[1m]")


def test_a_wrong_configuration_does_not_start_and_says_why() -> None:
    prometheus = Prometheus({CONFIG.name: "scrapes: []"})
    try:
        with pytest.raises(RuntimeError, match="field scrapes not found"):
            prometheus.start()
    finally:
        prometheus.destroy()
    assert not prometheus.directory.exists()


def test_the_server_ends_with_a_test_process_that_was_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDON], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder, pid = done.stdout.split()
    until(lambda: not alive(int(pid)), "the server to end")
    until(lambda: not Path(folder).exists(), "its folder to go")
