"""What daemons have answered, and that it holds: in the next one too.

A call that was answered has been done; one that was not, because the daemon was killed under it,
has been done whole or not at all. So each thing has the states that it may be in, one of them
mostly, and each look at it must show one of those.
"""

import json
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from engine.control.client.daemon import Daemon
from engine.control.client.errors import FaultError
from tests.scenario.daemon.replicated import RULES

LOOKS: Final = 0.3
"""Part of all calls that only look."""

DONE, NOT_DONE = "unanswered and done", "unanswered and not done"


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource with a setting and a tag. Both are drawn anew at each change."""

    setting: int
    tag: int


@dataclass(frozen=True, slots=True)
class Absent:
    """There is none. `wholly`: nothing of it is left to be taken away."""

    wholly: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A replication that runs or starts, or one that does neither; `still` when it is stopped."""

    running: bool
    still: bool = False


STARTED: Final = Wanted(running=True)
STOPPING: Final = Wanted(running=False)
STILL: Final = Wanted(running=False, still=True)

State: TypeAlias = Kept | Absent | Wanted


@dataclass(frozen=True, slots=True)
class Act:
    """One call, and what the thing is once it was answered."""

    operation: str
    members: Mapping[str, Any]
    after: State


@dataclass
class Thing(ABC):
    """One thing that the daemon has or has not; its ARN is known beforehand."""

    name: str
    arn: str
    may_be: list[State] = field(default_factory=lambda: [Absent()])
    """The second, where there is one, is what an unanswered call would have made of it."""

    @abstractmethod
    def look(self, daemon: Daemon) -> State:
        """How it is."""

    @abstractmethod
    def act(self, state: State, chance: random.Random) -> Act | None:
        """Something that can be done to it as it is; None: only waited for."""

    def settles(self, expected: State, seen: State) -> bool:
        """Whether what was expected may show itself as what is seen, after a while."""
        return expected == seen

    def check(self, daemon: Daemon, reached: Counter[str]) -> None:
        """Look at it. AssertionError: it is what it cannot be."""
        seen = self.look(daemon)
        matching = [each for each in self.may_be if self.settles(each, seen)]
        assert matching, f"{self.name} is {seen}; it was answered for as {self.may_be}"
        if len(self.may_be) > 1:
            reached[DONE if self.settles(self.may_be[1], seen) else NOT_DONE] += 1
        self.may_be = [seen]

    def turn(self, daemon: Daemon, chance: random.Random, reached: Counter[str]) -> None:
        """Do something, or look. UnreachableError: nobody knows whether it has been done."""
        if len(self.may_be) > 1 or chance.random() < LOOKS:
            self.check(daemon, reached)
            return
        (state,) = self.may_be
        act = self.act(state, chance)
        if act is None:
            self.check(daemon, reached)
            return
        self.may_be.append(act.after)
        daemon.call(act.operation, **act.members)
        self.may_be = [act.after]
        reached["answered changes"] += 1


@dataclass
class Resource(Thing):
    """Created, modified, tagged, deleted."""

    def settles(self, expected: State, seen: State) -> bool:
        """What is deleted needs a while to go."""
        return expected == seen or (isinstance(expected, Absent) and seen == Absent())

    def act(self, state: State, chance: random.Random) -> Act | None:
        match state:
            case Absent(wholly=True):
                kept = Kept(_drawn(chance), _drawn(chance))
                return Act(*self.creation(kept), kept)
            case Kept() as kept:
                return chance.choice((self._modify, self._tag, self._delete))(kept, chance)
            case _:
                return None

    def _modify(self, kept: Kept, chance: random.Random) -> Act:
        after = replace(kept, setting=_drawn(chance))
        return Act(*self.modification(after.setting), after)

    def _tag(self, kept: Kept, chance: random.Random) -> Act:
        after = replace(kept, tag=_drawn(chance))
        members = {"ResourceArn": self.arn, "Tags": _tags(after.tag)}
        return Act("AddTagsToResource", members, after)

    def _delete(self, _kept: Kept, _chance: random.Random) -> Act:
        return Act(*self.deletion(), Absent(wholly=False))

    def look(self, daemon: Daemon) -> State:
        try:
            setting = self.setting(daemon)
            if setting is None:
                return Absent(wholly=False)
            tags = daemon.call("ListTagsForResource", ResourceArn=self.arn)["TagList"]
        except FaultError as fault:
            if fault.code != "ResourceNotFoundFault":
                raise
            return Absent()
        (tag,) = [each["Value"] for each in tags]
        return Kept(setting, int(tag))

    @abstractmethod
    def creation(self, kept: Kept) -> tuple[str, Mapping[str, Any]]: ...

    @abstractmethod
    def modification(self, setting: int) -> tuple[str, Mapping[str, Any]]: ...

    @abstractmethod
    def deletion(self) -> tuple[str, Mapping[str, Any]]: ...

    @abstractmethod
    def setting(self, daemon: Daemon) -> int | None:
        """Its setting. None: it is being deleted.

        Raises FaultError with ResourceNotFoundFault where there is none.
        """


@dataclass
class Endpoint(Resource):
    """Of a server that nobody connects to; the setting is its port."""

    def creation(self, kept: Kept) -> tuple[str, Mapping[str, Any]]:
        return "CreateEndpoint", {
            "EndpointIdentifier": self.name,
            "ResourceIdentifier": self.name,
            "EndpointType": "source",
            "EngineName": "postgres",
            "ServerName": "db.example",
            "Port": kept.setting,
            "DatabaseName": "shop",
            "Username": "penstock",
            "Password": "nobody asks for it",
            "Tags": _tags(kept.tag),
        }

    def modification(self, setting: int) -> tuple[str, Mapping[str, Any]]:
        return "ModifyEndpoint", {"EndpointArn": self.arn, "Port": setting}

    def deletion(self) -> tuple[str, Mapping[str, Any]]:
        return "DeleteEndpoint", {"EndpointArn": self.arn}

    def setting(self, daemon: Daemon) -> int | None:
        filters = [{"Name": "endpoint-id", "Values": [self.name]}]
        (found,) = daemon.call("DescribeEndpoints", Filters=filters)["Endpoints"]
        return None if found["Status"] == "deleting" else int(found["Port"])


@dataclass
class Config(Resource):
    """A replication that never runs; the setting is one of its document."""

    ends: Sequence[str] = ()
    """ARNs of its source and target."""

    def creation(self, kept: Kept) -> tuple[str, Mapping[str, Any]]:
        return "CreateReplicationConfig", {
            "ReplicationConfigIdentifier": self.name,
            "ResourceIdentifier": self.name,
            "SourceEndpointArn": self.ends[0],
            "TargetEndpointArn": self.ends[1],
            "ComputeConfig": {"MaxCapacityUnits": 1},
            "ReplicationType": "cdc",
            "TableMappings": json.dumps(RULES),
            "ReplicationSettings": _settings(kept.setting),
            "Tags": _tags(kept.tag),
        }

    def modification(self, setting: int) -> tuple[str, Mapping[str, Any]]:
        members = {"ReplicationConfigArn": self.arn, "ReplicationSettings": _settings(setting)}
        return "ModifyReplicationConfig", members

    def deletion(self) -> tuple[str, Mapping[str, Any]]:
        return "DeleteReplicationConfig", {"ReplicationConfigArn": self.arn}

    def setting(self, daemon: Daemon) -> int | None:
        filters = [{"Name": "replication-config-id", "Values": [self.name]}]
        (shown,) = daemon.call("DescribeReplicationConfigs", Filters=filters)["ReplicationConfigs"]
        (running,) = daemon.call("DescribeReplications", Filters=filters)["Replications"]
        document = json.loads(shown["ReplicationSettings"])
        deleting = running["Status"] == "deleting"
        return None if deleting else int(document["FullLoadSettings"]["CommitRate"])


@dataclass
class Running(Thing):
    """A replication that carries rows. `fixed`: nobody stops it."""

    fixed: bool = False

    def look(self, daemon: Daemon) -> State:
        filters = [{"Name": "replication-config-arn", "Values": [self.arn]}]
        (found,) = daemon.call("DescribeReplications", Filters=filters)["Replications"]
        status = found["Status"]
        assert status != "failed", f"{self.name}: {found.get('FailureMessages')}"
        return Wanted(status not in ("stopping", "stopped"), status == "stopped")

    def settles(self, expected: State, seen: State) -> bool:
        """What is to stop needs a while to stand still, and then does."""
        return seen == expected or (expected, seen) == (STOPPING, STILL)

    def act(self, state: State, chance: random.Random) -> Act | None:
        del chance
        members = {"ReplicationConfigArn": self.arn}
        match state:
            case _ if self.fixed:
                return None
            case Wanted(running=True):
                return Act("StopReplication", members, STOPPING)
            case Wanted(still=True):
                how = {"StartReplicationType": "resume-processing"}
                return Act("StartReplication", members | how, STARTED)
            case _:
                return None


def _drawn(chance: random.Random) -> int:
    return chance.randrange(1, 10_001)


def _tags(value: int) -> list[dict[str, str]]:
    return [{"Key": "drawn", "Value": str(value)}]


def _settings(value: int) -> str:
    return json.dumps({"FullLoadSettings": {"CommitRate": value}})
