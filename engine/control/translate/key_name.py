"""`KmsKeyId`: the name of one of the daemon's keys, as AWS writes one. (pure)"""

import re
from typing import Final

OF_AWS: Final = "aws/dms"
"""The alias under which AWS has a key of its own: here it is the key that is used where none is
named."""

_KEY: Final = re.compile(r"(?:arn:[a-z-]+:kms:[a-z0-9-]*:[0-9]*:)?(?:alias/|key/)?(?P<name>.+)")


def plain_name(text: str) -> str:
    """The name in an id, an alias, or the ARN of one; empty for the key where none is named."""
    match = _KEY.fullmatch(text)
    name = match["name"] if match else ""
    return "" if name == OF_AWS else name
