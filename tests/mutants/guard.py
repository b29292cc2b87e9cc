"""A guard keeps one way of losing, repeating or spoiling rows out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """`keeps_out` names the failure; `code` stands once in `file` and becomes `without`."""

    name: str
    keeps_out: str
    file: str
    code: str
    without: str
    held_by: tuple[str, ...]
