"""(pure) When a transaction of the log was committed, as its first event tells.

MySQL from 8.0.1 tells microseconds, by the clock of the server whose log it is. Elsewhere there is
the event's own time alone: a whole second, and the one in which the statement that committed began;
on a replica's log that is a statement of the server where it was first made.
"""

from connectors.mysql.binlog.events import Header, MariaGtidEvent, MysqlGtid


def committed_at_us(header: Header, event: MysqlGtid | MariaGtidEvent) -> int:
    """Microseconds since the Unix epoch, 0 when unknown. Of a whole second its end: an age that is
    counted from its beginning shows a second that nothing waited, and what was committed at some
    time in it was not committed up to its beginning."""
    told = event.committed_at_us if isinstance(event, MysqlGtid) else 0
    return told or (header.timestamp * 1_000_000 + 999_999 if header.timestamp else 0)
