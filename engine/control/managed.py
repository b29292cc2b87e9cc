"""A run that a service manager watches: told when its worker is there, what it does, when it ends.

Ready means that the command line and the file are right and a worker runs. A load may take hours,
and what depends on this unit should not wait for it; whether rows flow is for `/readyz`.
"""

from collections.abc import Mapping

from engine.control.service_manager import READY, STOPPING, ServiceManager
from engine.control.supervisor import View
from engine.observe.redact import clean


class Managed:
    """Shows what another view shows, and tells the manager of it (implements `supervisor.View`)."""

    def __init__(self, shown: View, manager: ServiceManager) -> None:
        self._shown = shown
        self._manager = manager

    @property
    def takes_log(self) -> bool:
        """As the other one."""
        return self._shown.takes_log

    def event(self, event: Mapping[str, object]) -> None:
        """Show and tell."""
        self._shown.event(event)
        match event["event"]:
            case "started":
                self._manager.tell(READY)
            case "stopping":
                self._manager.tell(STOPPING)
            case "state":
                self._manager.status(str(event["state"]))
            case "restarting":
                self._manager.status(clean(f"the worker is started again: {event['reason']}"))

    def log_line(self, line: str) -> None:
        """Show it."""
        self._shown.log_line(line)
