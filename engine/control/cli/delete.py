"""`penstock delete`: a replication with what it made at the databases."""

import time
from typing import Annotated, Any, TypeAlias

import typer

from engine.control.cli.ending import end_with
from engine.control.cli.reach import (
    USUAL,
    As,
    Id,
    NoWait,
    Output,
    Url,
    Yes,
    agreed,
    daemon,
    document,
    say,
)
from engine.control.client.daemon import Daemon
from engine.control.client.errors import RunningError
from engine.control.client.faces import face, which
from engine.control.client.replications import LOOK_SECONDS, REST, known, one
from engine.control.happenings import DELETING, LEFT_BEHIND
from engine.control.lifecycle import Status

WithEndpoints: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--with-endpoints", metavar="", help="Its endpoints too, where nobody else uses them."
    ),
]


def delete(
    id: Id,
    yes: Yes = False,
    with_endpoints: WithEndpoints = False,
    no_wait: NoWait = False,
    output: As = Output.TEXT,
    url: Url = USUAL,
) -> None:
    """Delete a replication that is not running: also its slot, publications and control rows.

    Tables stay as they are, on both sides. It cannot be taken back: another one begins anew.
    """
    end_with(
        lambda: _delete(id, url, output, yes=yes, with_endpoints=with_endpoints, no_wait=no_wait)
    )


def _delete(
    id: str, url: str, output: Output, *, yes: bool, with_endpoints: bool, no_wait: bool
) -> int:
    asked = daemon(url)
    found = one(asked, id)
    name, arn = str(found["identifier"]), str(found["arn"])
    if found["status"] not in (*REST, Status.DELETING):
        raise RunningError(
            f"{name} is {found['status']}: what is deleted must not run",
            hint=f"`penstock stop {name}` first",
        )
    if not agreed(f"Delete {name} ({found['status']}) with its slot and its position?", yes=yes):
        say("nothing was deleted", output)
        return 1
    asked.call(face(found).delete, **which(found))
    deleted, kept = [name], list[str]()
    if with_endpoints or not no_wait:
        while known(asked, arn) is not None:
            time.sleep(LOOK_SECONDS)
    left = "" if no_wait and not with_endpoints else _left_behind(asked, found)
    if with_endpoints:
        kept = _endpoints(asked, found, deleted)
    for each in deleted:
        say(f"deleted  {each}", output)
    for each in kept:
        say(f"kept     {each}, which others use", output)
    if output is Output.JSON:
        document({"deleted": deleted, "left_behind": left})
    elif left:
        say(left)
    return 1 if left else 0


def _left_behind(asked: Daemon, found: dict[str, Any]) -> str:
    """The daemon's sentence on what it could not remove at the databases; empty when nothing."""
    left = ""
    of = {"SourceIdentifier": found["identifier"], "SourceType": face(found).source_type}
    for event in asked.pages("DescribeEvents", "Events", **of):
        message = str(event["Message"])
        if message.startswith(DELETING.text):  # an earlier one had this name
            left = ""
        elif message.startswith(LEFT_BEHIND.text):
            left = message
    return left


def _endpoints(asked: Daemon, found: dict[str, Any], deleted: list[str]) -> list[str]:
    """Delete those of a replication that nobody uses, noting them; the others' identifiers."""
    kept = []
    for side in ("source", "target"):
        name = str(found[side])
        endpoint = asked.get("endpoints", name)
        if not endpoint["used_by"]:
            asked.call("DeleteEndpoint", EndpointArn=endpoint["arn"])
            deleted.append(name)
        else:
            kept.append(name)
    return kept
