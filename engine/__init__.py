"""The walk of a row, one folder a station.

| stop       | module                                   | takes                    | gives                                   |
| ---------- | ---------------------------------------- | ------------------------ | --------------------------------------- |
| read       | connectors/postgres/stream.py            | a socket                 | messages with a position                |
| decode     | connectors/postgres/pgoutput.py          | messages                 | a block of changes                      |
| capture    | engine/capture/                          | blocks, snapshot rows    | blocks in commit order, ends marked     |
| queue      | engine/queue/                            | blocks                   | the same, bounded by bytes              |
| route      | engine/route/                            | blocks                   | target relation, lane, rows             |
| apply      | engine/apply/, connectors/*/target.py    | batches of a lane        | durable writes                          |
| checkpoint | engine/checkpoint/                       | finished positions       | stored position, then `acknowledge`     |

`pipeline.py` names the stations in order; `worker.py` is the process they run in.
"""
