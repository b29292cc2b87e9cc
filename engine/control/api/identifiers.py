"""What names and tags of resources may look like. (pure)

Rules: AWS DMS API reference, at each `...Identifier` and at `Tag`. The words of the refusals are
those that DMS was seen to answer.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from engine.control.api.faults import InvalidParameterValueException

IDENTIFIER_CHARACTERS_MAX: Final = 255
"""Longest identifier of anything, in characters."""

INSTANCE_CHARACTERS_MAX: Final = 63
"""Longest identifier of a replication instance, in characters."""

RESOURCE_CHARACTERS_MAX: Final = 31
"""Longest `ResourceIdentifier`, in characters: it becomes the end of an ARN."""

TAGS_MAX: Final = 50
"""Tags of one resource, as everywhere in AWS."""

TAG_KEY_CHARACTERS_MAX: Final = 128
TAG_VALUE_CHARACTERS_MAX: Final = 256

RESERVED_TAGS: Final = ("aws:", "dms:")

_IDENTIFIER: Final = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_TAG_MARKS: Final = frozenset("_.:/=+-@")


def identifier(value: str, parameter: str, *, longest: int = IDENTIFIER_CHARACTERS_MAX) -> str:
    """An identifier as it was given: a letter, then letters, digits and single hyphens."""
    if len(value) > longest:
        raise InvalidParameterValueException(
            f"The parameter value is not valid for argument {parameter} due to its length"
            f" {len(value)} exceeds {longest}."
        )
    if _IDENTIFIER.fullmatch(value) is None:
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a"
            " letter; must contain only ASCII letters, digits, and hyphens; and must not end with a"
            " hyphen or contain two consecutive hyphens."
        )
    return value


def resource_identifier(value: str) -> str:
    """What the user wants at the end of the ARN."""
    return identifier(value, "ResourceIdentifier", longest=RESOURCE_CHARACTERS_MAX)


def instance_identifier(value: str) -> str:
    """A replication instance's identifier, which AWS keeps in lower case."""
    parameter = "ReplicationInstanceIdentifier"
    return identifier(value, parameter, longest=INSTANCE_CHARACTERS_MAX).lower()


def subnet_group_identifier(value: str) -> str:
    """A subnet group's identifier, which AWS keeps in lower case and lets hold more characters. It
    is the end of an ARN: so it begins with a letter or a digit, and ends with no space."""
    name, parameter = value.lower(), "ReplicationSubnetGroupIdentifier"
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9 ._-]{0,253}[a-z0-9._-])?", name) or name == "default":
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not valid. It must have 1 to 255 letters, digits,"
            " periods, spaces, underscores, or hyphens, begin with a letter or a digit, not end"
            ' with a space, and must not be "default".'
        )
    return name


def tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags by key, of a request's list of `Tag`."""
    found: dict[str, str] = {}
    for tag in given:
        key = tag_key(tag.get("Key", ""))
        value = tag.get("Value", "")
        if len(value) > TAG_VALUE_CHARACTERS_MAX or not _plain(value):
            raise InvalidParameterValueException(
                f"The value of the tag {key} is not valid: at most {TAG_VALUE_CHARACTERS_MAX}"
                " letters, digits, spaces and _.:/=+-@."
            )
        if key in found:
            raise InvalidParameterValueException(f"The tag key {key} was given more than once.")
        found[key] = value
    if len(found) > TAGS_MAX:
        raise InvalidParameterValueException(f"A resource can have at most {TAGS_MAX} tags.")
    return found


def tag_key(key: str) -> str:
    """A tag's key."""
    if not 1 <= len(key) <= TAG_KEY_CHARACTERS_MAX or not _plain(key):
        raise InvalidParameterValueException(
            f"A tag key is not valid: 1 to {TAG_KEY_CHARACTERS_MAX} letters, digits, spaces and"
            " _.:/=+-@."
        )
    if key.lower().startswith(RESERVED_TAGS):
        raise InvalidParameterValueException(
            f"The tag key {key} is not valid: {' and '.join(RESERVED_TAGS)} are reserved prefixes."
        )
    return key


def _plain(text: str) -> bool:
    """Letters and numbers of any script, spaces, and a few marks."""
    return all(letter.isalnum() or letter == " " or letter in _TAG_MARKS for letter in text)
