"""Values of other types than a member's, which the wire refuses."""

from collections.abc import Mapping
from typing import Any, Final

WRONG: Final[Mapping[str, list[Any]]] = {
    "string": [1, 1.5, True, [], {}],
    "integer": ["1", True, [], {}, 1.5, 2**31, -(2**31) - 1, 1e300],
    "long": ["1", False, [], {}, 0.5, 2**63],
    "double": ["1", True, [], {}],
    "boolean": ["true", 1, 0, [], {}],
    "timestamp": [True, [], {}, "yesterday", 1e18],
    "blob": [1, True, [], {}, "no base64!", "YQ"],
    "list": ["a", 1, True, {}],
    "structure": ["a", 1, True, []],
}
"""Values that a member of each type must not have."""
