"""AWS's `ExtraConnectionAttributes`: `name=value;name2=value2`. (pure)

Most names are those of settings members in lower camel case, and mean the same.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.config.kind import Flag, Integer, Kind
from engine.config.kind_text import Word

ALIASES: Final[Mapping[str, str]] = {
    "cleansrcmetadataonmismatch": "CleanSourceMetadataOnMismatch",
    "initstmt": "AfterConnectScript",
}
"""Attributes that are called otherwise than the member they are, in lower case."""

ONLY_ATTRIBUTES: Final[Mapping[str, str]] = {
    "ignoreopenxatransactionscheck": "prepared transactions (XA) are carried; nothing is ignored",
    "skiptablesuspensionforpartitionddl": "statements about partitions stop no table here",
}
"""Attributes without a member, in lower case, and why they are not needed."""

_TRUE: Final = frozenset({"true", "y", "yes", "1", "on"})
_FALSE: Final = frozenset({"false", "n", "no", "0", "off"})
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_attributes(text: str) -> dict[str, str]:
    """Names to values, as written; the last of the same name counts, as on AWS. What has no `=` is
    a name without a value."""
    pairs = (piece.partition("=") for piece in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def member_of(attribute: str, members: Iterable[str]) -> str:
    """The member that an attribute is, whatever its letter case; '' when it is none."""
    folded = {member.lower(): member for member in members}
    lowered = attribute.lower()
    return folded.get(ALIASES.get(lowered, lowered).lower(), "")


def typed(kind: Kind[Any], text: str) -> object:
    """An attribute's text as a member of this kind has it; the text where it does not fit."""
    lowered = text.lower()
    if isinstance(kind, Flag) and lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    if isinstance(kind, Integer) and _WHOLE.fullmatch(text):
        return int(text)
    if isinstance(kind, Word):
        return lowered.replace("_", "-")
    return text
