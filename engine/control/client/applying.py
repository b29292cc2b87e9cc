"""Making the daemon's endpoints and replications what files say: a plan, and carrying it out.

    plan = planned(daemon, wanted)
    carry_out(daemon, plan, tell=print)

Each step leaves the daemon whole; whoever is interrupted plans again and goes on from there.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from engine.control.api.identifiers import RESOURCE_CHARACTERS_MAX
from engine.control.client.daemon import Daemon
from engine.control.client.difference import (
    PASSWORD,
    Difference,
    endpoint_differences,
    replication_differences,
    settings_change,
)
from engine.control.client.errors import FaultError, RunningError
from engine.control.client.faces import face, is_task, which
from engine.control.client.replications import (
    LOOK_SECONDS,
    NOT_FOUND,
    REST,
    every,
    known,
    one,
    wait,
)
from engine.control.client.wanted import (
    Wanted,
    WantedEndpoint,
    WantedReplication,
    check_resource,
)
from engine.control.lifecycle import StartType, Status
from engine.errors import ConfigError


class Action(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    EQUAL = "equal"


ENDPOINT: Final = "endpoint"
REPLICATION: Final = "replication"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One resource. `present` is what the daemon tells of it; `used_by` are replications that run
    and must not while it is modified."""

    action: Action
    kind: str
    name: str
    differences: Sequence[Difference] = ()
    wanted: WantedEndpoint | WantedReplication | None = None
    present: Mapping[str, Any] = field(default_factory=dict[str, Any])
    running: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of it, in the order in which it is done."""

    steps: Sequence[Step]

    @property
    def changes(self) -> Sequence[Step]:
        """What is to be done."""
        return [step for step in self.steps if step.action is not Action.EQUAL]

    @property
    def running(self) -> Sequence[str]:
        """Replications that must be stopped for it, sorted."""
        return sorted({name for step in self.changes for name in step.running})


def planned(daemon: Daemon, wanted: Wanted, *, prune: bool = False) -> Plan:
    """Compare. With `prune`, what is at the daemon and in no file is deleted.

    Raises:
        ConfigError: passwords would be sent in the clear, or something cannot be changed so.
    """
    if not daemon.address.is_private and any(each.password for each in wanted.endpoints.values()):
        raise ConfigError(
            "--endpoint-url",
            f"passwords would be sent to {daemon.address} for everybody to read",
            hint="use https://, or apply on the machine of the daemon",
        )
    steps = [_endpoint(daemon, each) for each in wanted.endpoints.values()]
    steps += [_replication(daemon, each) for each in wanted.replications]
    if prune:
        steps += _unwanted(daemon, wanted)
    return Plan(steps=steps)


def _endpoint(daemon: Daemon, wanted: WantedEndpoint) -> Step:
    try:
        present = daemon.get("endpoints", wanted.name)
    except FaultError as error:
        if error.code != NOT_FOUND:
            raise
        return Step(action=Action.CREATE, kind=ENDPOINT, name=wanted.name, wanted=wanted)
    members = present["members"]
    if members["EndpointType"] != wanted.role:
        raise ConfigError(
            f"{wanted.role}.endpoint",
            f"{wanted.name} is a {members['EndpointType']} at the daemon, and cannot be both",
            hint="give it another name in the files",
            file=wanted.file,
        )
    differences = endpoint_differences(
        wanted,
        members,
        present["ours"],
        same_password=_same_password(daemon, wanted, members),
    )
    users = present["used_by"]
    running = [each["identifier"] for each in users if each["status"] not in REST]
    return Step(
        action=Action.MODIFY if differences else Action.EQUAL,
        kind=ENDPOINT,
        name=wanted.name,
        differences=differences,
        wanted=wanted,
        present=present,
        running=running,
    )


def _same_password(daemon: Daemon, wanted: WantedEndpoint, members: Mapping[str, Any]) -> bool:
    if wanted.password is None or PASSWORD not in members:
        return wanted.password is None and PASSWORD not in members
    secrets = {PASSWORD: wanted.password.reveal()}
    answer = daemon.post("endpoints", wanted.name, "secrets", document={"secrets": secrets})
    return PASSWORD in answer["same"]


def _replication(daemon: Daemon, wanted: WantedReplication) -> Step:
    present = known(daemon, wanted.name)
    if present is None:
        check_resource(wanted)
        return Step(action=Action.CREATE, kind=REPLICATION, name=wanted.name, wanted=wanted)
    if is_task(present):
        raise ConfigError(
            "replication.id",
            f"{wanted.name} is a classic task at the daemon, which no file changes",
            hint="use `aws dms modify-replication-task`; or delete the task, or take another id",
            file=wanted.file,
        )
    differences = replication_differences(wanted, present)
    _check_fixed(wanted, present, differences)
    return Step(
        action=Action.MODIFY if differences else Action.EQUAL,
        kind=REPLICATION,
        name=wanted.name,
        differences=differences,
        wanted=wanted,
        present=present,
        running=[wanted.name] if present["status"] not in REST else [],
    )


FIXED: Final = frozenset({"source", "target", "replication.type"})


def _check_fixed(
    wanted: WantedReplication, present: Mapping[str, Any], differences: Sequence[Difference]
) -> None:
    """Of one that failed the daemon knows whether it got as far as to be provisioned."""
    if present["status"] in (Status.CREATED, Status.FAILED):
        return
    fixed = sorted(FIXED.intersection(each.member for each in differences))
    if fixed:
        raise ConfigError(
            ", ".join(fixed),
            f"cannot change once {wanted.name} has run",
            hint=f"`penstock delete {wanted.name}` and apply again, which begins anew; or take"
            " another id",
            file=wanted.file,
        )


def _unwanted(daemon: Daemon, wanted: Wanted) -> Iterator[Step]:
    names = {each.name.lower() for each in wanted.replications}
    gone = set()
    for each in every(daemon):
        name = str(each["identifier"])
        if name.lower() not in names and not is_task(each):
            gone.add(name)
            running = [name] if each["status"] not in REST else []
            yield Step(
                action=Action.DELETE, kind=REPLICATION, name=name, present=each, running=running
            )
    kept = {each.lower() for each in wanted.endpoints}
    for member in daemon.pages("DescribeEndpoints", "Endpoints"):
        name = str(member["EndpointIdentifier"])
        if name.lower() not in kept:
            present = daemon.get("endpoints", name)
            if {each["identifier"] for each in present["used_by"]} <= gone:
                yield Step(action=Action.DELETE, kind=ENDPOINT, name=name, present=present)


def carry_out(
    daemon: Daemon, plan: Plan, tell: Callable[[str, str], None], *, restart: bool = False
) -> None:
    """Do it, telling each thing that was done (`created`, `orders`).

    What had to be stopped is started again in any case. Raises RunningError before anything was
    done, where something would have to be stopped and `restart` is not wanted.
    """
    check_running(plan, restart=restart)
    stopped: list[str] = []
    try:
        for name in plan.running:
            _stop(daemon, name)
            stopped.append(name)
            tell("stopped", name)
        for step in plan.changes:
            _DO[step.action](daemon, step)
            tell(_DONE[step.action], f"{step.kind} {step.name}")
    finally:
        deleted = {step.name for step in plan.changes if step.action is Action.DELETE}
        for name in stopped:
            if name not in deleted:
                _start(daemon, name)
                tell("started", name)


def check_running(plan: Plan, *, restart: bool) -> None:
    """Raises RunningError."""
    if plan.running and not restart:
        several = len(plan.running) > 1
        raise RunningError(
            f"{', '.join(plan.running)} {'run' if several else 'runs'}, and what differs can only"
            " change while nothing runs",
            hint="`penstock stop` first, or add --restart, which stops, modifies and starts again",
        )


def _stop(daemon: Daemon, name: str) -> None:
    found = one(daemon, name)
    daemon.call(face(found).stop, **which(found))
    wait(daemon, found["arn"], REST.__contains__, lambda _status: None)


def _start(daemon: Daemon, name: str) -> None:
    found = one(daemon, name)
    of = face(found)
    daemon.call(of.start, **which(found), **{of.start_type: StartType.RESUME})


def _create(daemon: Daemon, step: Step) -> None:
    if isinstance(step.wanted, WantedEndpoint):
        _create_endpoint(daemon, step.wanted)
    elif isinstance(step.wanted, WantedReplication):
        _create_replication(daemon, step.wanted)


def _create_endpoint(daemon: Daemon, wanted: WantedEndpoint) -> None:
    members = dict(wanted.members)
    if wanted.password is not None:
        members[PASSWORD] = wanted.password.reveal()
    if wanted.certificate:
        members["CertificateArn"] = _certificate(daemon, wanted)
    if len(wanted.name) <= RESOURCE_CHARACTERS_MAX:
        members["ResourceIdentifier"] = wanted.name
    daemon.call("CreateEndpoint", **members)
    if wanted.ours:
        daemon.put("endpoints", wanted.name, "ours", document={"ours": wanted.ours})


def _certificate(daemon: Daemon, wanted: WantedEndpoint) -> str:
    """Its ARN; imported if need be."""
    name = wanted.certificate_name
    try:
        imported = daemon.call(
            "ImportCertificate", CertificateIdentifier=name, CertificatePem=wanted.certificate
        )
    except FaultError as error:
        if error.code != "ResourceAlreadyExistsFault":
            raise
        filters = [{"Name": "certificate-id", "Values": [name]}]
        (found,) = daemon.call("DescribeCertificates", Filters=filters)["Certificates"]
        return str(found["CertificateArn"])
    return str(imported["Certificate"]["CertificateArn"])


def _create_replication(daemon: Daemon, wanted: WantedReplication) -> None:
    members = {**wanted.members, **_ends(daemon, wanted), "ResourceIdentifier": wanted.name}
    if wanted.settings:
        members["ReplicationSettings"] = json.dumps(wanted.settings)
    daemon.call("CreateReplicationConfig", **members)
    if wanted.ours:
        daemon.put("replications", wanted.name, "ours", document={"ours": wanted.ours})


def _ends(daemon: Daemon, wanted: WantedReplication) -> dict[str, object]:
    return {
        "SourceEndpointArn": daemon.get("endpoints", wanted.source)["arn"],
        "TargetEndpointArn": daemon.get("endpoints", wanted.target)["arn"],
    }


def _modify(daemon: Daemon, step: Step) -> None:
    if isinstance(step.wanted, WantedEndpoint):
        _modify_endpoint(daemon, step, step.wanted)
    elif isinstance(step.wanted, WantedReplication):
        _modify_replication(daemon, step, step.wanted)


def _modify_endpoint(daemon: Daemon, step: Step, wanted: WantedEndpoint) -> None:
    changed = {each.member.partition(".")[0]: each for each in step.differences}
    members: dict[str, object] = {
        name: wanted.members.get(name, "")
        for name in changed
        if name in wanted.members or name in step.present["members"]
    }
    if wanted.settings in changed:
        members |= {
            wanted.settings: wanted.members.get(wanted.settings, {}),
            "ExactSettings": True,
        }
    if PASSWORD in changed:
        members[PASSWORD] = wanted.password.reveal() if wanted.password else ""
    if "CertificateArn" in changed:
        arn = _certificate(daemon, wanted) if wanted.certificate else ""
        members["CertificateArn"] = arn
    if members:
        daemon.call("ModifyEndpoint", EndpointArn=step.present["arn"], **members)
    if step.present["ours"] != wanted.ours:
        daemon.put("endpoints", wanted.name, "ours", document={"ours": wanted.ours})
    if "CertificateArn" in changed:
        _drop_certificate(daemon, wanted, str(changed["CertificateArn"].before))


def _drop_certificate(daemon: Daemon, wanted: WantedEndpoint, before: str) -> None:
    """The one before, if we made it: nothing else refers to it."""
    if before.startswith(f"{wanted.name}-ca".lower()):
        filters = [{"Name": "certificate-id", "Values": [before]}]
        for found in daemon.call("DescribeCertificates", Filters=filters)["Certificates"]:
            daemon.call("DeleteCertificate", CertificateArn=found["CertificateArn"])


def _modify_replication(daemon: Daemon, step: Step, wanted: WantedReplication) -> None:
    arn = step.present["arn"]
    changed = {each.member for each in step.differences}
    members: dict[str, object] = {}
    if changed & {"source", "target"}:
        members |= _ends(daemon, wanted)
    if "replication.type" in changed:
        members["ReplicationType"] = wanted.members["ReplicationType"]
    if changed & {"capacity.min", "capacity.max"}:
        members["ComputeConfig"] = wanted.members["ComputeConfig"]
    if any(member.startswith("mapping ") for member in changed):
        members["TableMappings"] = wanted.members["TableMappings"]
    given = step.present["given"]
    *before, last = settings_change(given["settings"], wanted.settings) or ({},)
    for document in before:
        settings = json.dumps(document)
        daemon.call(
            "ModifyReplicationConfig", ReplicationConfigArn=arn, ReplicationSettings=settings
        )
    if last:
        members["ReplicationSettings"] = json.dumps(last)
    if members:
        daemon.call("ModifyReplicationConfig", ReplicationConfigArn=arn, **members)
    if given["ours"] != wanted.ours:
        daemon.put("replications", wanted.name, "ours", document={"ours": wanted.ours})


def _delete(daemon: Daemon, step: Step) -> None:
    arn = step.present["arn"]
    if step.kind == ENDPOINT:
        daemon.call("DeleteEndpoint", EndpointArn=arn)
        return
    daemon.call("DeleteReplicationConfig", ReplicationConfigArn=arn)
    while known(daemon, step.name) is not None:
        time.sleep(LOOK_SECONDS)


_DO: Final[Mapping[Action, Callable[[Daemon, Step], None]]] = {
    Action.CREATE: _create,
    Action.MODIFY: _modify,
    Action.DELETE: _delete,
}

_DONE: Final[Mapping[Action, str]] = {
    Action.CREATE: "created",
    Action.MODIFY: "modified",
    Action.DELETE: "deleted",
}
