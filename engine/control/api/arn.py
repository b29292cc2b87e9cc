"""Resource names as AWS forms them: made, and taken apart. (pure)

`arn:<partition>:dms:<region>:<account>:<type>:<name>`. The name is drawn by AWS, or the user's
`ResourceIdentifier`; of subnet groups, certificates and subscriptions it is their own name.
"""

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.control.api.faults import InvalidParameterValueException, ResourceNotFoundFault
from engine.machine import Random

SERVICE: Final = "dms"

DRAWN_CHARACTERS: Final = 26
"""Length of a drawn name: 130 bits in base 32, as AWS draws them."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. -]{0,253}[A-Za-z0-9_.-])?")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Kind(StrEnum):
    """The type in an ARN."""

    REPLICATION = "replication-config"
    ENDPOINT = "endpoint"
    INSTANCE = "rep"
    TASK = "task"
    SUBNET_GROUP = "subgrp"
    CERTIFICATE = "cert"
    SUBSCRIPTION = "es"
    ASSESSMENT_RUN = "assessment-run"
    INDIVIDUAL_ASSESSMENT = "individual-assessment"


@dataclass(frozen=True, slots=True)
class Arn:
    """A resource's name; `str()` is its text."""

    partition: str
    region: str
    account: str
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self._owner}:{self.kind}:{self.name}"

    @property
    def _owner(self) -> str:
        return f"arn:{self.partition}:{SERVICE}:{self.region}:{self.account}"


@dataclass(frozen=True, slots=True)
class Home:
    """Whose resources a daemon holds: what comes before the type in each of its ARNs."""

    partition: str = "aws"
    region: str = "us-east-1"
    account: str = "000000000000"

    def arn(self, kind: Kind, name: str) -> str:
        """The ARN of a resource of ours."""
        return str(Arn(self.partition, self.region, self.account, kind, name))

    def name(self, text: str, *kinds: Kind, parameter: str) -> str:
        """The last part of an ARN of ours, of one of these types."""
        return self.parse(text, *kinds, parameter=parameter).name

    def parse(self, text: str, *kinds: Kind, parameter: str) -> Arn:
        """An ARN of ours, of one of these types (none: of any).

        Raises InvalidParameterValueException for what is no such ARN, ResourceNotFoundFault for one
        of another account, region or partition: nothing of theirs is here.
        """
        arn = parse(text)
        if arn is None or (kinds and arn.kind not in kinds):
            wanted = " or ".join(f"arn:aws:{SERVICE}:...:{kind}:..." for kind in kinds)
            raise InvalidParameterValueException(
                f"The parameter {parameter} is not a valid ARN{' ' if wanted else ''}{wanted}."
            )
        if (arn.partition, arn.region, arn.account) != (self.partition, self.region, self.account):
            raise ResourceNotFoundFault(f"Resource {arn} not found.")
        return arn


def parse(text: str) -> Arn | None:
    """An ARN of DMS, anybody's; None for any other text."""
    parts = text.split(":")
    if len(parts) != 7 or (parts[0], parts[2]) != ("arn", SERVICE):
        return None
    _, partition, _, region, account, kind, name = parts
    words = _WORD.fullmatch(partition) and _WORD.fullmatch(region) and _ACCOUNT.fullmatch(account)
    if not words or kind not in set(Kind) or _NAME.fullmatch(name) is None:
        return None
    return Arn(partition, region, account, Kind(kind), name)


def draw(random: Random) -> str:
    """A name nobody has: capitals and the digits 2 to 7, the first a letter, as an identifier of
    the data path begins with one too."""
    while True:
        text = base64.b32encode(random.key(20)).decode()[:DRAWN_CHARACTERS]
        if text[0].isalpha():
            return text
