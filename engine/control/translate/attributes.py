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
    "consumemonotonicevents": "transactions with the same position are told apart",
    "ignoreopenxatransactionscheck": "prepared transactions (XA) are carried; nothing is ignored",
    "loadusingcsv": "rows are streamed into the target, not by way of files",
    "mapunboundednumericasstring": "values are carried as they are, in types that hold them",
    "skiptablesuspensionforpartitionddl": "statements about partitions stop no table here",
    "unboundedvarcharmaxsize": "texts are carried whole, whatever their length",
}
"""Attributes without a member, in lower case, and why they are not needed. Source: AWS DMS user
guide, the pages of PostgreSQL and MySQL as source and as target."""

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


def is_known(attribute: str, members: Iterable[str]) -> bool:
    """Whether it is one of these members, or one that needs none."""
    return bool(member_of(attribute, members)) or attribute.lower() in ONLY_ATTRIBUTES


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
