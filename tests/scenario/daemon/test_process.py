"""The daemon's process: where it listens, what it refuses, whom it tells, how it ends."""

import socket
import sqlite3
import stat
import urllib.error
import urllib.request
from pathlib import Path

from tests.scenario.daemon.serving import Serving

TOKEN = "a-token-for-whoever-scrapes-this-daemon"

RESIDENT_BYTES_MAX = 100 << 20
"""Of a daemon that has nothing to do."""


def test_beyond_loopback_it_wants_keys_and_tls(tmp_path: Path) -> None:
    with Serving(tmp_path, "--listen=0.0.0.0:0") as daemon:
        assert daemon.wait() == 2
        said = str(daemon.lines)
        assert "there is no access key" in said
        assert "could be read on the way" in said
        assert not (tmp_path / "state").exists(), "nothing was touched"


def test_probes_have_a_port_of_their_own_and_a_token(tmp_path: Path) -> None:
    config = '[serve]\nmetrics_listen = "127.0.0.1:0"\n[token.scraper]\nenv = "SCRAPER"\n'
    with Serving(tmp_path, config=config, SCRAPER=TOKEN) as daemon:
        assert daemon.address
        daemon.until(lambda: len(listening(daemon)) == 2, "both ports")
        probes = listening(daemon)[1]
        assert fetch(f"http://{probes}/healthz") == 200
        assert fetch(f"http://{probes}/readyz") == 200
        assert fetch(f"http://{probes}/metrics") == 401
        assert fetch(f"http://{probes}/metrics", "not it") == 401
        assert fetch(f"http://{probes}/metrics", TOKEN) == 200
        assert fetch(f"http://{probes}/") == 404, "the API is not there"
        assert TOKEN not in str(daemon.lines)


def test_a_service_manager_is_told_and_a_stop_is_in_order(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        with Serving(tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="200000") as daemon:
            told = {manager.recv(1000) for _ in range(5)}
            assert told == {b"READY=1", b"WATCHDOG=1"}
            assert daemon.stop() == 0
            while told != {b"STOPPING=1"}:
                told = {manager.recv(1000)}


def test_an_idle_daemon_is_small_and_private(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        daemon.client().describe_endpoints()
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        (resident,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        assert int(resident.split()[1]) << 10 < RESIDENT_BYTES_MAX
        for path in daemon.state.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        assert daemon.address
        assert daemon.stop() == 0
    with sqlite3.connect(tmp_path / "state" / "penstock.db") as store:
        store.execute("INSERT INTO format SELECT max(number) + 1, 0 FROM format")
    with Serving(tmp_path) as daemon:
        assert daemon.wait() == 3
        assert "newer" in str(daemon.lines)


def test_a_store_without_its_key_is_refused(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        assert daemon.address
        assert daemon.stop() == 0
    (tmp_path / "state" / "penstock.key").unlink()
    with Serving(tmp_path) as daemon:
        assert daemon.wait() == 3
        assert "penstock.key" in str(daemon.lines)


def test_markers_outlive_a_restart(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        for number in range(21):
            dms.create_endpoint(
                EndpointIdentifier=f"e{number}",
                EndpointType="source",
                EngineName="postgres",
                ServerName="db",
                Port=5432,
                Username="u",
                Password="p",
                DatabaseName="d",
            )
        marker = dms.describe_endpoints(MaxRecords=20)["Marker"]
        assert daemon.stop() == 0
    with Serving(tmp_path) as daemon:
        (last,) = daemon.client().describe_endpoints(MaxRecords=20, Marker=marker)["Endpoints"]
        assert last["EndpointIdentifier"] == "e9"


def listening(daemon: Serving) -> list[str]:
    """Addresses, in the order in which it said them."""
    lines = [line for line in list(daemon.lines) if line.get("action") == "api.listen"]
    return [str(line["address"]) for line in lines]


def fetch(url: str, token: str = "") -> int:
    """The status of an answer."""
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
