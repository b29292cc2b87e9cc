"""Records as documents."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.lifecycle import Begin, Provision, StartType, Status, StopReason
from engine.control.resources.document import decode, encode
from engine.control.resources.replication import (
    Compute,
    Config,
    Face,
    Life,
    Provisioned,
    Replication,
    Times,
    Wish,
    Worker,
)
from engine.errors import StateError

texts = st.text(max_size=5)
numbers = st.floats(0, 1e12)
json = st.dictionaries(texts, st.one_of(st.none(), st.booleans(), st.integers(0, 9), texts))
replications = st.builds(
    Replication,
    config=st.builds(
        Config,
        name=texts,
        source=texts,
        target=texts,
        type=texts,
        mappings=texts,
        settings=json,
        ours=json,
        created=numbers,
        compute=st.builds(
            Compute,
            units_max=st.integers(1, 384),
            multi_az=st.booleans(),
            security_groups=st.lists(texts).map(tuple),
        ),
    ),
    life=st.builds(
        Life,
        status=st.sampled_from(Status),
        wanted=st.booleans(),
        wish=st.none()
        | st.builds(
            Wish,
            type=st.sampled_from(StartType),
            begin=st.sampled_from(Begin),
            start_time=st.none() | numbers,
        ),
        provisioned=st.none()
        | st.builds(
            Provisioned, state=st.sampled_from(Provision), units=st.integers(1, 9), at=numbers
        ),
        worker=st.none() | st.builds(Worker, pid=st.integers(1, 9), started=numbers, run=texts),
        stop_reason=st.none() | st.sampled_from(StopReason),
        failures=st.lists(texts).map(tuple),
        times=st.builds(Times, start=st.none() | numbers),
    ),
)

PLAIN = Replication(
    config=Config(
        name="orders",
        source="A",
        target="B",
        type="cdc",
        compute=Compute(units_max=4),
        mappings="{}",
    )
)


@given(replications)
def test_what_was_encoded_is_decoded_as_it_was(replication: Replication) -> None:
    assert decode(Replication, orjson.loads(orjson.dumps(encode(replication)))) == replication


def test_a_document_of_an_older_version_lacks_what_came_later() -> None:
    document = encode(PLAIN)
    del document["life"]
    del document["config"]["ours"]
    assert decode(Replication, document) == PLAIN


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("new",), 1, "unknown field `new`"),
        (("config",), None, "at `\\$.config`"),
        (("config", "compute", "units_max"), "4", "at `\\$.config.compute.units_max`"),
        (("config", "compute", "units_max"), True, "at `\\$.config.compute.units_max`"),
        (("config", "compute", "security_groups"), "sg", "compute.security_groups`"),
        (("config", "compute", "security_groups"), [1], "compute.security_groups\\[0\\]`"),
        (("config", "settings"), [], "at `\\$.config.settings`"),
        (("life", "status"), "asleep", "at `\\$.life.status`"),
        (("life", "times", "start"), "now", "at `\\$.life.times.start`"),
    ],
)
def test_what_is_no_document_of_ours_is_named(path: tuple[str, ...], value: Any, why: str) -> None:
    document = encode(PLAIN)
    part = document
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(StateError, match=why):
        decode(Replication, document)


def test_what_is_required_is_missed() -> None:
    document = encode(PLAIN)
    del document["config"]["compute"]["units_max"]
    with pytest.raises(StateError, match="required field `units_max`"):
        decode(Replication, document)


def test_a_task_is_a_replication_with_a_name_of_its_own() -> None:
    compute = Compute(units_max=1)
    config = Config(name="Orders", source="A", target="B", type="cdc", compute=compute, mappings="")
    task = Config(
        name="Orders",
        source="A",
        target="B",
        type="cdc",
        compute=compute,
        mappings="",
        instance="I",
    )
    assert (config.face, config.record_name) == (Face.CONFIG, "orders")
    assert (task.face, task.record_name) == (Face.TASK, "task:orders")
    assert config.fields == {"source": "A", "target": "B", "face": "config"}
    assert task.fields == {
        "source": "A",
        "target": "B",
        "face": "task",
        "instance": "I",
        "type": "cdc",
    }
