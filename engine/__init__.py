"""The walk of a row, one folder a station.

| stop       | module                                | takes              | gives                  |
| ---------- | ------------------------------------- | ------------------ | ---------------------- |
| read       | connectors/postgres/stream.py         | a socket           | messages               |
| decode     | connectors/postgres/pgoutput.py       | messages           | blocks of changes      |
| capture    | engine/capture/                       | blocks             | the same, each once    |
| queue      | engine/queue/                         | blocks             | the same, in bounds    |
| route      | engine/route/                         | blocks             | a lane's segments      |
| apply      | engine/apply/, connectors/*/target.py | batches of a lane  | durable writes         |
| checkpoint | engine/checkpoint/                    | finished positions | stored, then told      |

Existing rows come through engine/load/. `pipeline.py` names the stations in order; `worker.py` is
the process they run in.
"""
