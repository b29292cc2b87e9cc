"""python-mysql-replication on a server's binary log.

    python -m benchmarks.mysql_replication_reader PORT GTIDS ROWS

Prints how many rows it read and in how many seconds, from its first event on, as JSON.
"""

import json
import sys
import time

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent


def main() -> None:
    port, gtids, rows = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    stream = BinLogStreamReader(
        connection_settings={"host": "127.0.0.1", "port": port, "user": "root", "passwd": ""},
        server_id=2_000_000_000,
        is_mariadb=True,
        auto_position=gtids,
        only_events=[WriteRowsEvent],
        blocking=True,
    )
    began, count = 0.0, 0
    for event in stream:
        began = began or time.perf_counter()
        count += len(event.rows)
        if count >= rows:
            break
    print(json.dumps({"rows": count, "seconds": time.perf_counter() - began}))
    stream.close()


if __name__ == "__main__":
    main()
