"""What the canonical text of a user-defined type says (pure). See `ColumnType.definition`."""

import json
import re
from collections.abc import Sequence
from typing import Final

_ENUM: Final = re.compile(r"\A(?:array\([^()]* = )?enum\((\[.*\]|null)\)+\Z", re.DOTALL)
"""An enum type, or an array of one: its labels as JSON."""


def enum_labels(definition: str) -> Sequence[str] | None:
    """The labels of an enum type, or of an array of one; None for anything else."""
    match = _ENUM.match(definition)
    if match is None:
        return None
    try:
        labels = json.loads(match.group(1)) or []
    except (ValueError, RecursionError):
        return None
    return labels if all(isinstance(label, str) for label in labels) else None
