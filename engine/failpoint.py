"""Named crash points: places where a test kills, fails or delays the process.

    APPLIED: Final = register("apply.after-commit", "a batch is durable, not yet acknowledged")
    ...
    hit(APPLIED)

Off by default, and then `hit` is one comparison. A worker arms one from `PENSTOCK_FAILPOINT`, which
reads `name[:nth][:action]`: the n-th hit (from 1) does the action, `kill` (SIGKILL, the default),
`error` (an OSError from that line) or `sleep` (the whole process stands still for a while). This
module reads no environment by itself.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.errors import ConfigError

ACTIONS: Final = ("kill", "error", "sleep")

SLEEP_SECONDS: Final = 5.0
"""How long `sleep` blocks the process: longer than the loop watchdog's patience, shorter than a
source's patience with a silent reader."""

_names: dict[str, str] = {}


@dataclass(slots=True)
class _Armed:
    name: str
    nth: int
    action: str
    sleep: Callable[[float], None]
    hits: int = 0


_armed: _Armed | None = None


class FailpointError(OSError):
    """What action `error` raises: an I/O error, as the line it stands on might meet."""


def register(name: str, meaning: str) -> str:
    """Make a name known, at import of the module that hits it; return it.

    Names are unique: a second registration with another meaning is a programming error.
    """
    if _names.setdefault(name, meaning) != meaning:
        raise ValueError(f"failpoint {name} is registered twice")
    return name


def names() -> Mapping[str, str]:
    """Every registered name and what is true at that place."""
    return dict(_names)


def hit(name: str) -> None:
    """Do what is armed for this place; nothing otherwise."""
    if _armed is not None and _armed.name == name:
        _strike(_armed)


def arm(text: str, sleep: Callable[[float], None]) -> None:
    """Arm one failpoint from `name[:nth][:action]`; an empty text disarms.

    `sleep` is what action `sleep` calls; it is given `SLEEP_SECONDS` and blocks. The name need not
    be registered yet: its module may be imported later.

    Raises:
        ConfigError: the text is not of that form.
    """
    global _armed  # noqa: PLW0603 - one process arms one point; `hit` must cost one comparison
    _armed = _parse(text, sleep) if text else None


def _parse(text: str, sleep: Callable[[float], None]) -> _Armed:
    name, *rest = text.split(":")
    armed = _Armed(name, 1, "kill", sleep)
    for part in rest:
        if part.isdecimal() and len(part) < 10 and int(part) > 0:
            armed.nth = int(part)
        elif part in ACTIONS:
            armed.action = part
        else:
            raise ConfigError(
                "PENSTOCK_FAILPOINT",
                "must be name[:nth][:action] with action kill, error or sleep",
            )
    return armed


def _strike(armed: _Armed) -> None:
    armed.hits += 1
    if armed.hits != armed.nth:
        return
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif armed.action == "error":
        raise FailpointError(f"failpoint {armed.name}")
    else:
        armed.sleep(SLEEP_SECONDS)
