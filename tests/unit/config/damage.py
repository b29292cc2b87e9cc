"""Documents with something else in one of their places, for tests of what reads them."""

import copy
from typing import Any, Final

from hypothesis import strategies as st

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["${A}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def damaged(value: Any, path: list[int], change: Any) -> Any:
    """A copy with `change` in the place that `path` leads to."""
    if not path or not value or not isinstance(value, dict | list):
        return change
    made: Any = copy.copy(value)
    key = (list(value) if isinstance(value, dict) else range(len(value)))[path[0] % len(value)]
    made[key] = damaged(made[key], path[1:], change)
    return made
