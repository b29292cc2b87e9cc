"""Options of a table or database, of which the character set and collation matter. (pure)"""

from typing import Final

from connectors.mysql.ddl_cursor import Cursor, UnknownFormError

QUERY_WORDS: Final = frozenset({"SELECT", "AS", "VALUES", "TABLE", "IGNORE", "REPLACE"})
"""What begins the query of CREATE TABLE ... SELECT, among or after the options."""

OPTION_WORDS: Final = frozenset(
    {
        "ALGORITHM",
        "AUTOEXTEND_SIZE",
        "AUTO_INCREMENT",
        "AVG_ROW_LENGTH",
        "CHECKSUM",
        "COMMENT",
        "COMPRESSION",
        "CONNECTION",
        "DELAY_KEY_WRITE",
        "ENCRYPTION",
        "ENGINE",
        "ENGINE_ATTRIBUTE",
        "INSERT_METHOD",
        "KEY_BLOCK_SIZE",
        "LOCK",
        "MAX_ROWS",
        "MIN_ROWS",
        "PACK_KEYS",
        "PAGE_CHECKSUM",
        "PASSWORD",
        "ROW_FORMAT",
        "SECONDARY_ENGINE",
        "SECONDARY_ENGINE_ATTRIBUTE",
        "STATS_AUTO_RECALC",
        "STATS_PERSISTENT",
        "STATS_SAMPLE_PAGES",
        "STORAGE",
        "TABLESPACE",
        "TABLE_CHECKSUM",
        "TRANSACTIONAL",
        "TYPE",
        "UNION",
    }
)
"""Options that may stand without `=`; with it any name is one, since engines have their own."""

TWO_WORDS: Final = (("DATA", "DIRECTORY"), ("INDEX", "DIRECTORY"), ("READ", "ONLY"))
"""Options whose name has two words."""


def charset_options(cursor: Cursor, *, commas: bool) -> tuple[str, str]:
    """The character set and collation among the options here, '' for what is not said.

    `commas`: they may be separated by commas, and nothing but PARTITION BY follows them; else the
    first comma ends them. Stops before PARTITION BY.

    Raises UnknownFormError for what is no list of options, a query for example.
    """
    charset = collation = ""
    while not cursor.ended and not cursor.at_words("PARTITION", "BY"):
        if cursor.at_words("REMOVE", "PARTITIONING"):
            break
        if cursor.at_symbol(","):
            if not commas:
                break
            cursor.next()
            continue
        cursor.take("DEFAULT")
        if cursor.take("CHARACTER", "SET") or cursor.take("CHARSET"):
            cursor.take_symbol("=")
            charset = cursor.charset()
        elif cursor.take("COLLATE"):
            cursor.take_symbol("=")
            collation = cursor.charset()
        else:
            _skip_option(cursor)
    return charset, collation


def _skip_option(cursor: Cursor) -> None:
    if cursor.take("START", "TRANSACTION"):  # MySQL's CREATE TABLE ... SELECT, rows follow
        return
    if cursor.token.keyword in QUERY_WORDS or cursor.at_symbol("("):
        raise UnknownFormError("SELECT")
    if cursor.at_words("WITH", "SYSTEM", "VERSIONING"):
        raise UnknownFormError("WITH SYSTEM VERSIONING")
    known = any(cursor.take(*words) for words in TWO_WORDS) or cursor.take_one(*OPTION_WORDS)
    if not known:
        cursor.name()
    if not cursor.take_symbol("=") and not known:
        raise UnknownFormError
    if cursor.at_symbol("("):
        cursor.skip_brackets()
    else:
        cursor.value()
