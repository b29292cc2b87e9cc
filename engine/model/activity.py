"""What a target's server does for our sessions (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """At one moment, how many of our sessions the server works for, and of them how many stand
    still: each is counted under one of the last three at most. The others wait for us."""

    working: int
    locked: int = 0
    """They wait for a lock that another session holds."""
    disk: int = 0
    """They wait for the server's disk."""
    sleeping: int = 0
    """They wait for nothing but time: somebody's trigger or function says so."""
