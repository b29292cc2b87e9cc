"""A database inside the process: the reference source and target.

| module | holds |
| --- | --- |
| `storage` | tables, row versions, what a transaction sees |
| `locks` | row and table locks, who waits for whom |
| `events` | what the log says of a change: replica identity, values that were not sent |
| `transaction` | one server transaction: row operations, savepoints, undo |
| `database` | the server: transactions, log, slots, snapshots, sessions |
| `rows` | the byte form of rows in a full load |
| `definitions` | a table's description, to make it elsewhere |
| `source`, `cutting` | the source connector; how the log is cut into blocks |
| `target`, `writing`, `control` | the target connector; rows as runs say; the control tables |
| `compare`, `preflight` | what `penstock compare` and `penstock check` read |
| `evolution` | a table after a schema change |
| `servers` | the servers of this process, by name |

It has real transaction semantics and neither randomness nor faults: those are a layer around it in
the simulator. It serves tests; it is not a cache nor a store, and forgets everything at exit.
"""
