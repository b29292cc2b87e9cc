"""(pure) Whether the log and the catalog speak of the same column.

Rows are decoded by the catalog's types as they were at that place of the log. Where the log tells
more than how to walk over a row, it is compared: a sign or a character set that is another one
would give wrong values without any error.
"""

from connectors.mysql.binlog.table_map import BINARY_COLLATION, MetadataColumn, TableMap
from connectors.mysql.charsets import charset_of, known, to_utf8
from connectors.mysql.types import MysqlType


def disagreement(table: TableMap, index: int, type: MysqlType) -> str:
    """What the log tells of a column that the catalog's type contradicts; empty when they agree, or
    the log tells nothing. Raises DecodeError for a description that is malformed."""
    if not table.optional:
        return ""
    told = table.described.columns[index]
    # A YEAR counts as unsigned in the log.
    if told.unsigned not in (None, type.unsigned or type.base == "year"):
        return f"the log tells that it is {'unsigned' if told.unsigned else 'signed'}"
    charset = None if told.collation is None else charset_of(told.collation)
    if charset is not None and charset != (type.charset or charset_of(BINARY_COLLATION)):
        return f"the log tells that its character set is {charset}, not {type.charset or 'binary'}"
    if told.labels is not None and _labels(told, charset) not in (None, type.labels):
        return "the log tells other labels"
    return ""


def _labels(told: MetadataColumn, charset: str | None) -> tuple[str, ...] | None:
    """The labels as text; None where their character set is not told, or unknown here."""
    if charset is None or not known(charset):
        return None
    convert = to_utf8(charset)
    texts = [convert(label) for label in told.labels or ()]
    return tuple([text.decode() for text in texts if isinstance(text, bytes)])
