"""Kinds of records, and the types in ARNs that stand for them. (pure)

The id of a record is the last part of its ARN; of subnet groups, certificates and subscriptions it
is the name that the user gave, in lower case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.control.resources import certificate, endpoint, instance, replication
from engine.control.resources.replication import Face

REPLICATION: Final = replication.KIND
ENDPOINT: Final = endpoint.KIND
INSTANCE: Final = instance.KIND
SUBNET_GROUP: Final = "subnet_group"
CERTIFICATE: Final = certificate.KIND
SUBSCRIPTION: Final = "subscription"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a resource is stored: the kind of its record, and fields that tell it from others."""

    kind: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


OF_ARN: Final[Mapping[str, Kept]] = {
    "replication-config": Kept(REPLICATION, {"face": Face.CONFIG}),
    "task": Kept(REPLICATION, {"face": Face.TASK}),
    "endpoint": Kept(ENDPOINT),
    "rep": Kept(INSTANCE),
    "subgrp": Kept(SUBNET_GROUP),
    "cert": Kept(CERTIFICATE),
    "es": Kept(SUBSCRIPTION),
}
"""By the type in an ARN (`api.arn.Kind`); what has another type is not stored."""
