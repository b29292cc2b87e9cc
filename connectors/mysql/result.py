"""What one statement gave. (pure)"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """Rows as the text protocol has them, or a count. `affected` counts rows found, whether or not
    they were changed (CLIENT_FOUND_ROWS)."""

    affected: int = 0
    warnings: int = 0
    rows: list[list[bytes | None]] = field(default_factory=list[list[bytes | None]])
