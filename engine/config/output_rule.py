"""Rules of AWS DMS table mappings for targets that hold no tables: object-mapping (Kafka, Kinesis,
DynamoDB) and post-processing (S3). (pure)
"""

from typing import Final

from engine.config.document import Document
from engine.config.kind import Flag
from engine.config.kind_text import Text, Word
from engine.config.problems import Problems
from engine.config.rule_parts import Name
from engine.config.shape import Anything, Many, Object, Scalar, Value

MAPPED_TARGETS: Final = ("dynamodb", "kafka", "kinesis")
"""AWS's engines to which object-mapping rules belong."""

TAGGED_TARGETS: Final = ("s3",)

_TEXT: Final = Value(Text())
_PATTERN: Final = Value(Name())
_TABLES: Final = Object(required={"schema-name": _PATTERN, "table-name": _PATTERN})

_PARTITION_KEY: Final = Object(required={"value": Value(Scalar())})

_ATTRIBUTE: Final = Object(
    required={"target-attribute-name": _TEXT, "value": Anything()},
    optional={
        "attribute-type": Value(Word(("scalar", "document"))),
        "attribute-sub-type": _TEXT,
    },
)

_CONDITION: Final = Object(
    required={"expression": _TEXT},
    optional={
        "expression-attribute-values": Many(Object(required={"name": _TEXT, "value": Anything()})),
        "expression-attribute-names": Many(Object(required={"name": _TEXT, "value": Anything()})),
        "apply-during-cdc": Value(Flag()),
        "apply-during-full-load": Value(Flag()),
    },
)


def _check_key(parameters: Document, where: str, problems: Problems) -> None:
    if parameters.get("partition-key-type") != "attribute-name":
        return
    if parameters.get("partition-key-name") is None:
        problems.add(f"{where}.partition-key-name", "is missing; attribute-name needs it")


_PARAMETERS: Final = Object(
    optional={
        "partition-key-type": Value(
            Word(
                (
                    "attribute-name",
                    "schema-table",
                    "transaction-id",
                    "primary-key",
                    "constant",
                    "task-id",
                )
            )
        ),
        "partition-key-name": _TEXT,
        "partition-key": _PARTITION_KEY,
        "sort-key-name": _TEXT,
        "exclude-columns": Many(_TEXT),
        "attribute-mappings": Many(_ATTRIBUTE),
        "condition-expression": _CONDITION,
    },
    rule=_check_key,
)

OBJECT_MAPPING: Final = Object(
    required={
        "rule-action": Value(Word(("map-record-to-record", "map-record-to-document"))),
        "object-locator": _TABLES,
    },
    optional={
        "rule-target": Value(Word(("table",))),
        "target-table-name": _TEXT,
        "kafka-target-topic": _TEXT,
        "partition-key": _PARTITION_KEY,
        "mapping-parameters": _PARAMETERS,
    },
)

POST_PROCESSING: Final = Object(
    required={
        "rule-action": Value(Word(("add-tag",))),
        "object-locator": _TABLES,
        "tag-set": Many(Object(required={"key": _TEXT, "value": Value(Text(empty=True))}), 1),
    },
)
