"""What a preflight found, as data."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    BLOCKS = "blocks"
    WARNS = "warns"
    TELLS = "tells"
    UNCHECKED = "unchecked"
    """The check itself could not run; it blocks nothing and proves nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. `check` is its fixed short name, `remedy` the statement or step that mends it."""

    check: str
    severity: Severity
    message: str
    remedy: str = ""
    subject: str = ""
