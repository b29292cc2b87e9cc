from prometheus_client.parser import text_string_to_metric_families

from engine.control.exposition import merged

OWN = """# HELP process_open_fds Files.
# TYPE process_open_fds gauge
process_open_fds 9.0
"""

WORKER = """# HELP penstock_state State.
# TYPE penstock_state gauge
penstock_state{replication="a",state="streaming"} 1.0
# HELP process_open_fds Files.
# TYPE process_open_fds gauge
process_open_fds 7.0
# HELP rows_total Rows.
# TYPE rows_total counter
rows_total{table="x}{ y"} 3.0
"""


def test_each_metric_stands_together_once() -> None:
    text = merged([("", OWN), ("a", WORKER), ("b", WORKER.replace('"a"', '"b"'))])
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert names == ["process_open_fds", "penstock_state", "rows"]
    assert text.count("# HELP process_open_fds") == 1
    fds = [(sample.labels, sample.value) for sample in families[0].samples]
    assert fds == [({}, 9.0), ({"replication": "a"}, 7.0), ({"replication": "b"}, 7.0)]
    states = [sample.labels["replication"] for sample in families[1].samples]
    assert states == ["a", "b"]
    rows = [sample.labels for sample in families[2].samples]
    assert rows == [
        {"replication": "a", "table": "x}{ y"},
        {"replication": "b", "table": "x}{ y"},
    ]


def test_a_worker_that_does_not_answer_is_left_out() -> None:
    assert merged([("", OWN), ("a", "")]) == OWN
