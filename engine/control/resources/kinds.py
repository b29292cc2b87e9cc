"""Kinds of records, and the types in ARNs that stand for them. (pure)

The id of a record is the last part of its ARN; of subnet groups, certificates and subscriptions it
is the name that the user gave, in lower case.
"""

from collections.abc import Mapping
from typing import Final

from engine.control.resources import endpoint, replication

REPLICATION: Final = replication.KIND
ENDPOINT: Final = endpoint.KIND
INSTANCE: Final = "instance"
TASK: Final = "task"
SUBNET_GROUP: Final = "subnet_group"
CERTIFICATE: Final = "certificate"
SUBSCRIPTION: Final = "subscription"

OF_ARN: Final[Mapping[str, str]] = {
    "replication-config": REPLICATION,
    "endpoint": ENDPOINT,
    "rep": INSTANCE,
    "task": TASK,
    "subgrp": SUBNET_GROUP,
    "cert": CERTIFICATE,
    "es": SUBSCRIPTION,
}
"""The kind of the record by the type in an ARN (`api.arn.Kind`); there is none of other types."""
