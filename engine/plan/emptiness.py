"""Target tables that must hold no row before a load begins with them. (pure)"""

from collections.abc import Sequence
from typing import Final

from engine.config.replication import Prepare, ReplicationConfig
from engine.model.relation import TableName

HINT: Final = (
    'empty them, or set [load] prepare = "truncate" (TargetTablePrepMode TRUNCATE_BEFORE_LOAD) or'
    " allow_nonempty = true"
)


def must_be_empty(config: ReplicationConfig) -> bool:
    """Whether a table with rows is refused: nothing empties it, and mixing is not allowed."""
    load = config.load
    return config.loads and load.prepare is Prepare.DO_NOTHING and not load.allow_nonempty


def refusal(tables: Sequence[TableName]) -> str:
    """What is said of tables that hold rows."""
    names = ", ".join(map(str, tables))
    return f"the target has rows in {names}; loading would mix or repeat them"
