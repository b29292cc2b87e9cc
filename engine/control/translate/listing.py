"""What of AWS's is not carried as it was, each with why. (pure)"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One thing. `subject` names it as AWS does. With `blocks`, the replication does not run, or
    would do something else, until somebody has decided; without, it is to be known."""

    subject: str
    message: str
    blocks: bool = False

    def under(self, owner: str) -> "Note":
        """The same, named with the resource to which it belongs."""
        return Note(f"{owner}: {self.subject}", self.message, self.blocks)


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that a file refers to, and what it has to hold."""

    name: str
    holds: str
