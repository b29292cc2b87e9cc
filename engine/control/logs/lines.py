"""Log lines as AWS DMS Serverless writes them. (pure)

The *orchestrator* stream tells how a replication comes to run, in texts that look like Python
dictionaries, each behind its time, as `aws logs tail` shows them; the *engine* stream what the
worker says, `<thread>: <time> [COMPONENT]<severity>: text (place)`. Source: AWS DMS user guide,
"AWS DMS Serverless components" (log groups and streams) and "Setting up logging"; forms of the
lines as seen in the field. Where AWS names a source file and line, ours has the fixed word of the
call site.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.control.lifecycle import Status

GROUP: Final = "dms-serverless-replication-{id}"
"""`{id}`: the last part of the replication's ARN."""

ORCHESTRATOR_STREAM: Final = "dms-serverless-replication-orchestrator-{id}"
ENGINE_STREAM: Final = "dms-serverless-{run}"
"""`{run}`: `serv-res-id-<milliseconds since the epoch>-<three letters>`, one for each start."""

MESSAGES: Final[Mapping[Status, str]] = {
    Status.INITIALIZING: "Initializing the replication workflow.",
    Status.PREPARING_METADATA_RESOURCES: "Preparing the resources for metadata collection.",
    Status.TESTING_CONNECTION: "Testing the connections to the source and the target.",
    Status.FETCHING_METADATA: "Reading the source's catalog for the tables that are selected.",
    Status.CALCULATING_CAPACITY: "Calculating the capacity to begin with.",
    Status.PROVISIONING_CAPACITY: "Reserving the capacity from this machine.",
    Status.REPLICATION_STARTING: "Starting the replication.",
    Status.RUNNING: "The replication is running.",
    Status.STOPPING: "Stopping the replication.",
    Status.STOPPED: "The replication has stopped.",
    Status.FAILED: "The replication has failed.",
}
"""What the orchestrator says of each status unless there is more to say. The first is AWS's own."""

COMPONENTS: Final[Mapping[str, str]] = {
    "appliers": "TARGET_APPLY",
    "apply": "TARGET_APPLY",
    "capacity": "PERFORMANCE",
    "capture": "SOURCE_CAPTURE",
    "copiers": "TARGET_LOAD",
    "discover": "TABLES_MANAGER",
    "lag": "PERFORMANCE",
    "lanes": "TABLES_MANAGER",
    "load": "TARGET_LOAD",
    "overflow": "SORTER",
    "pipeline": "TASK_MANAGER",
    "reload": "TABLES_MANAGER",
    "same-database": "METADATA_MANAGER",
    "select": "TABLES_MANAGER",
    "snapshot": "SOURCE_UNLOAD",
    "source": "SOURCE_CAPTURE",
    "stage": "TASK_MANAGER",
    "target": "TARGET_APPLY",
    "worker": "TASK_MANAGER",
}
"""AWS's component of what a call site's word begins with."""

OTHER: Final = "COMMON"

LETTERS: Final = {"debug": "D", "info": "I", "warning": "W", "error": "E"}

SEVERITIES: Final[Mapping[str, frozenset[str]]] = {
    "LOGGER_SEVERITY_ERROR": frozenset("E"),
    "LOGGER_SEVERITY_WARNING": frozenset("EW"),
    "LOGGER_SEVERITY_INFO": frozenset("EWI"),
    "LOGGER_SEVERITY_DEFAULT": frozenset("EWI"),
    "LOGGER_SEVERITY_DEBUG": frozenset("EWID"),
    "LOGGER_SEVERITY_DETAILED_DEBUG": frozenset("EWID"),
}
"""What `Logging.LogComponents` lets through of a component."""

DEFAULT: Final = "LOGGER_SEVERITY_DEFAULT"

_HEAD: Final = frozenset({"time", "level", "message", "action", "replication"})


def orchestrator_line(at: float, status: Status, message: str = "", failure: str = "") -> str:
    """A line of the orchestrator stream: the wall clock's time `at` (UTC), a space, the text. It is
    quoted as Python does, so that whoever reads it with `ast.literal_eval` may."""
    said: dict[str, str] = {"replication_state": str(status)}
    said["message"] = message or MESSAGES[status]
    if failure:
        said["failure_message"] = failure
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S} {said!r}"


def component(action: str) -> str:
    """Of a call site's word."""
    return COMPONENTS.get(action.partition(".")[0], OTHER)


def shown(line: Mapping[str, Any], severities: Mapping[str, str]) -> bool:
    """Whether `LogComponents` ({component: severity}) lets a worker's line through."""
    severity = severities.get(component(str(line.get("action", ""))), DEFAULT)
    return _letter(line) in SEVERITIES.get(severity, SEVERITIES[DEFAULT])


def engine_line(line: Mapping[str, Any], thread: int) -> str:
    """A worker's line (`writer.as_json`) in the form of the engine stream; facts follow the text.
    `thread`: the worker's process id."""
    action = str(line.get("action", ""))
    facts = "".join(
        f"; {name}={value}"
        for name, value in line.items()
        if name not in _HEAD and value not in ("", None)
    )
    place = f"  ({action})" if action else ""
    name = component(action)[:16]
    return (
        f"{thread:08}: {_time(line.get('time'))} [{name:<16}]{_letter(line)}: "
        f" {line.get('message', '')}{facts}{place}"
    )


def _letter(line: Mapping[str, Any]) -> str:
    return LETTERS.get(str(line.get("level", "")), "I")


def _time(text: object) -> str:
    """Without a zone: AWS writes UTC that way, to the second."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def run_id(milliseconds: int, letters: str) -> str:
    """The id of one start: in the engine stream's name and in what a target is told of us."""
    return f"serv-res-id-{milliseconds}-{letters}"
