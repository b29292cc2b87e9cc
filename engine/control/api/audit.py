"""Who changed what: one line for each call of an operation that may change something. (pure)

A call that was refused has its line too, with the fault it was refused with. Lines hold names, and
none of a request's other values. They do not pass the log's rate limit.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from engine.control.api.wire import Structure, Text
from engine.observe.log import Level, Line, Write
from engine.observe.redact import fact

DONE: Final = "done"
INTERRUPTED: Final = "interrupted"
"""Of a call that was cancelled: the daemon stopped. What it stored by then is stored."""

RESOURCE_CHARACTERS_MAX: Final = 350
"""As much of what a request is about as a line shows: an ARN with the longest name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. `result` is `done`, `interrupted` or the name of a fault; `resource` the ARN or the
    identifier of what it was about, as it was given."""

    request_id: str
    who: str
    role: str
    peer: str
    operation: str
    resource: str = ""
    result: str = INTERRUPTED


Audit: TypeAlias = Callable[[float, Entry], None]
"""Takes the wall clock's time and an entry; must neither raise nor wait."""


def to_log(write: Write) -> Audit:
    """An audit that is lines of the daemon's log."""

    def audit(at: float, entry: Entry) -> None:
        fields = {name: fact(value) for name, value in asdict(entry).items()}
        write(Line(at, Level.INFO, "call", {"action": "api.audit", **fields}))

    return audit


def resource(request: Mapping[str, Any], shape: Structure) -> str:
    """What a request is about: the first of its required members that is a name of something."""
    for name, member in shape.members.items():
        named = name in shape.required and isinstance(member, Text)
        if named and name.endswith(("Arn", "Identifier", "Name")):
            return str(request.get(name, ""))[:RESOURCE_CHARACTERS_MAX]
    return ""
