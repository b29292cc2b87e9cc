"""Waiting for a replication."""

from typing import Any

import pytest

from engine.control.client import replications
from engine.control.client.address import parse_address
from engine.control.client.daemon import Daemon
from engine.control.client.replications import FailedError, wait
from engine.seams import SystemClock


class Scripted(Daemon):
    """Its replication has these statuses, one at each look, and then stays. What stands behind a
    colon is a failure that it tells."""

    def __init__(self, *statuses: str) -> None:
        super().__init__(parse_address("http://127.0.0.1:1"), None, SystemClock())
        self._statuses = list(statuses)

    def get(self, *path: str, **query: object) -> dict[str, Any]:
        assert path == ("replications", "orders")
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        status, *failures = status.split(": ")
        told = {"failures": failures} if failures else {}
        return {"identifier": "Orders", "status": status, **told}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replications, "LOOK_SECONDS", 0.0)


def waited(*statuses: str) -> list[str]:
    told: list[str] = []
    wait(Scripted(*statuses), "orders", lambda status: status == "running", told.append)
    return told


def test_each_status_is_told_once() -> None:
    assert waited("initializing", "initializing", "running") == ["initializing", "running"]


def test_whoever_waits_for_memory_is_told_that_and_once() -> None:
    here = ["provisioning_capacity"]
    assert waited(*here * replications.LOOKS_BEFORE_WAITING, "running") == [*here, "running"]
    status, waits, end = waited(*here * 50, "running")
    assert (status, end) == ("provisioning_capacity", "running")
    assert waits == (
        "waits until the machine has memory for it: `penstock logs Orders` tells how much"
    )
    assert len(waited(*["testing_connection"] * 50, "running")) == 2


def test_a_failure_ends_it() -> None:
    with pytest.raises(FailedError, match=r"Orders has failed: No way\. no route to host"):
        waited("initializing", "failed: No way.: no route to host")


def test_whoever_waits_for_the_machine_is_told_why_and_each_reason_once() -> None:
    """A start without room or processes is tried again for an hour."""
    full = "initializing: The disk is full."
    assert waited(full, full, f"{full}: It is tried again.", full, "running") == [
        "initializing",
        "The disk is full.",
        "It is tried again.",
        "running",
    ]
