"""Replications at the daemon: found by name, started, stopped and waited for."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from engine.config.problems import nearest, shown
from engine.control.client.daemon import Daemon
from engine.control.client.errors import FaultError
from engine.control.lifecycle import AT_REST, Status
from engine.errors import ConfigError, PenstockError

LOOK_SECONDS: Final = 0.3
"""Between two looks at a replication that is waited for."""

LOOKS_BEFORE_WAITING: Final = 10
"""Three seconds in `provisioning_capacity`: what is free is had at once."""

NOT_FOUND: Final = "ResourceNotFoundFault"

REST: Final = frozenset(map(str, AT_REST))


class FailedError(PenstockError):
    """A replication that was waited for has failed."""


def every(daemon: Daemon) -> Iterator[dict[str, Any]]:
    """How all of them are, by name."""
    after: dict[str, str] = {}
    while True:
        answer = daemon.get("replications", **after)
        yield from answer["replications"]
        if "after" not in answer:
            return
        after = {"after": answer["after"]}


def one(daemon: Daemon, name: str) -> dict[str, Any]:
    """How one of them is, with what was given for it. `name`: its identifier or ARN. Raises
    ConfigError for an unknown one."""
    found = known(daemon, name)
    if found is not None:
        return found
    names = [str(each["identifier"]) for each in every(daemon)]
    suggestion = nearest(name, names)
    if suggestion:
        hint = f"did you mean {suggestion}?"
    elif names:
        hint = "`penstock status` lists them"
    else:
        hint = "it has none yet: `penstock apply FILE` makes one of a replication file"
    raise ConfigError("ID", f"{daemon.address} has no replication {shown(name)}", hint=hint)


def known(daemon: Daemon, name: str) -> dict[str, Any] | None:
    """As `one`; None for an unknown one."""
    try:
        return daemon.get("replications", name)
    except FaultError as error:
        if error.code == NOT_FOUND:
            return None
        raise


def wait(
    daemon: Daemon, name: str, done: Callable[[str], bool], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Look at it until its status is `done`; each that it passes through is told, and why it waits.

    Raises:
        FailedError: it failed, and that is not what was waited for.
    """
    before, looks, told = "", 0, set[str]()
    while True:
        found = one(daemon, name)
        status, identifier = str(found["status"]), found["identifier"]
        failures = list(map(str, found.get("failures", ())))
        looks = looks + 1 if status == before else 0
        if status != before:
            tell(status)
        if looks == LOOKS_BEFORE_WAITING and status == Status.PROVISIONING_CAPACITY:
            tell(
                f"waits until the machine has memory for it: `penstock logs {identifier}` tells how"
                " much"
            )
        if done(status):
            return found
        if status == Status.FAILED:
            reason = " ".join(failures) or "for a reason it did not tell"
            raise FailedError(
                f"{identifier} has failed: {reason}", hint=f"`penstock logs {identifier}` has more"
            )
        for failure in failures:
            if failure not in told:
                tell(failure)
        told.update(failures)
        before = status
        time.sleep(LOOK_SECONDS)
