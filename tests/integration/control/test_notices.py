"""Events on their way to those who subscribed for them: a real store, a real web server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.config.secret import Secret
from engine.config.serve import Topic
from engine.control import happenings, lease
from engine.control.happenings import Happening, SourceType
from engine.control.notices import OTHER, PAUSE_SECONDS, Notices, Posts
from engine.control.resources.document import encode
from engine.control.resources.subscription import KIND, Subscription
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.control.webhook import WebhookError, post
from engine.observe.log import Line, Log
from engine.observe.writer import as_json
from tests.integration.control.receiver import Receiver, receiving
from tests.servers.certificates import Authority

ALARMS = "arn:aws:sns:eu-west-1:123456789012:alarms"
HOOK = "/T0/s3cr3t-c4n4ry?a=b"


@dataclass
class Ticks:
    """A clock that a test moves on."""

    at: float = 0.0

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


@dataclass
class Post:
    """A store with notices of it, and the receiver of the topic `alarms`."""

    store: SqliteStore
    receiver: Receiver
    clock: Ticks = field(default_factory=Ticks)
    lines: list[Line] = field(default_factory=list[Line])

    def notices(self, **more: Topic) -> Notices:
        url = Secret(f"http://127.0.0.1:{self.receiver.port}{HOOK}")
        topics = [Topic("alarms", url, Secret("a-token")), *more.values()]
        return Notices(self.store, topics, self.clock, Log(self.lines.append, self.clock))

    async def subscribe(self, name: str = "all", **more: Any) -> None:
        async with self.store.write() as writing:
            since = await writing.now()
            made = Subscription(**{"name": name, "topic": ALARMS, "since": since, **more})
            await writing.insert(Record(KIND, name, name.lower(), encode(made)))

    async def stored(self, name: str) -> int | None:
        async with self.store.read() as reading:
            facts = await reading.facts(KIND, name)
        return facts[0].document["number"] if facts else None

    async def happen(self, happening: Happening, *ids: str) -> None:
        async with self.store.write() as writing:
            for name in ids or ("Shop",):
                await writing.add_event(happening.event(SourceType.REPLICATION, name))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with SqliteStore(tmp_path / "store.db") as store, receiving() as receiver:
        yield Post(store, receiver)


async def test_an_event_is_posted_once_in_the_form_of_sns_with_the_token(office: Post) -> None:
    await office.happen(happenings.CREATED)
    await office.subscribe()
    await office.happen(happenings.FAILED)
    notices = office.notices()
    await notices.look(None)
    await notices.look(None)
    ((first, headers, body),) = office.receiver.posted
    assert first == f"POST {HOOK} HTTP/1.1"
    assert headers["authorization"] == "Bearer a-token"
    assert headers["x-amz-sns-message-type"] == body["Type"] == "Notification"
    assert body["TopicArn"] == ALARMS
    assert body["Timestamp"].endswith("Z")
    message = orjson.loads(body["Message"])
    assert message.pop("Event Time")
    assert message == {
        "Event Source": "replication",
        "SourceId": "Shop",
        "Event Message": "DMS replication has failed.",
        "Event ID": "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html"
        "#DMS-EVENT-0078 ",
    }
    assert office.lines == []


async def test_only_what_is_subscribed_for_is_posted(office: Post) -> None:
    await office.subscribe("failures", categories=("failure",), source_type="replication")
    await office.subscribe("shop", sources=("SHOP",), source_type="replication")
    await office.subscribe("tasks", source_type="replication-task")
    await office.subscribe("off", enabled=False)
    await office.subscribe("elsewhere", topic=ALARMS.replace("alarms", "gone"))
    await office.happen(happenings.FAILED, "books")
    await office.happen(happenings.STARTED, "shop")
    await office.happen(happenings.STARTED, "books")
    await office.notices().look(None)
    assert sorted(office.receiver.messages) == [
        "DMS replication has failed.",
        "DMS replication has started.",
    ]


async def test_what_is_delivered_and_what_fails_is_counted_by_subscription(office: Post) -> None:
    for name in ("all", "gone"):
        await office.subscribe(name)
    await office.subscribe("off", enabled=False)
    await office.happen(happenings.CREATED)
    office.receiver.answers = [b"HTTP/1.1 503 Busy\r\n\r\n"] * 2
    notices = office.notices()
    await notices.look(None)
    assert notices.posts == {"all": Posts(failed=1), "gone": Posts(failed=1)}
    office.clock.at += PAUSE_SECONDS
    async with office.store.write() as writing:
        await writing.delete(KIND, "gone")
    await notices.look(None)
    assert notices.posts == {"all": Posts(delivered=1, failed=1)}


async def test_labels_are_bounded(office: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.notices.TOLD_MAX", 2)
    for name in ("a", "b", "c", "d"):
        await office.subscribe(name)
    await office.happen(happenings.CREATED)
    notices = office.notices()
    await notices.look(None)
    assert notices.posts == {
        "a": Posts(delivered=1),
        "b": Posts(delivered=1),
        OTHER: Posts(delivered=2),
    }


async def test_what_a_topic_does_not_take_comes_again_in_order_and_by_its_id(office: Post) -> None:
    await office.subscribe()
    for happening in (happenings.CREATED, happenings.STARTED, happenings.STOPPED):
        await office.happen(happening)
    office.receiver.answers = [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://example.org/\r\n\r\n",
    ]
    notices = office.notices()
    await notices.look(None)
    await notices.look(None)
    assert len(office.receiver.posted) == 2
    office.clock.at += 2
    await notices.look(None)
    office.clock.at += 2
    await notices.look(None)
    assert len(office.receiver.posted) == 3
    office.clock.at += 2
    await notices.look(None)
    created, started, stopped = (
        each.text for each in (happenings.CREATED, happenings.STARTED, happenings.STOPPED)
    )
    assert office.receiver.messages == [created, started, started, started, stopped]
    ids = [body["MessageId"] for _, _, body in office.receiver.posted]
    assert ids[1] == ids[2] == ids[3]
    assert len(set(ids)) == 3
    said = [as_json(line) for line in office.lines]
    assert ["status 503" in said[0], "status 302" in said[1], "again" in said[2]] == [True] * 3
    assert "c4n4ry" not in "".join(said)


async def test_another_start_goes_on_where_the_last_one_was(office: Post) -> None:
    await office.subscribe()
    await office.happen(happenings.CREATED)
    await office.notices().look(None)
    await office.happen(happenings.STARTED)
    await office.notices().look(None)
    assert office.receiver.messages == [happenings.CREATED.text, happenings.STARTED.text]


async def test_many_events_are_posted_in_one_look(office: Post) -> None:
    await office.subscribe()
    await office.happen(happenings.MODIFIED, *(f"r{number}" for number in range(230)))
    await office.notices().look(None)
    sources = [orjson.loads(body["Message"])["SourceId"] for _, _, body in office.receiver.posted]
    assert sources == [f"r{number}" for number in range(230)]


async def test_what_is_for_nobody_is_not_written_down_for_each_event(office: Post) -> None:
    await office.subscribe("failures", categories=("failure",))
    await office.happen(happenings.MODIFIED, *map(str, range(900)))
    await office.notices().look(None)
    assert await office.stored("failures") is None
    await office.happen(happenings.MODIFIED, *map(str, range(200)))
    notices = office.notices()
    await notices.look(None)
    assert await office.stored("failures") == 1_000
    await office.happen(happenings.FAILED)
    await notices.look(None)
    assert await office.stored("failures") == 1_101
    assert len(office.receiver.posted) == 1


async def test_one_that_is_enabled_again_is_for_what_happens_from_then_on(office: Post) -> None:
    await office.subscribe()
    await office.happen(happenings.CREATED)
    notices = office.notices()
    await notices.look(None)
    await office.happen(happenings.STARTED)
    async with office.store.write() as writing:
        record = await writing.get(KIND, "all")
        assert record is not None
        document = {**record.document, "since": await writing.now()}
        await writing.update(replace(record, document=document))
    await office.happen(happenings.STOPPED)
    await notices.look(None)
    assert office.receiver.messages == [happenings.CREATED.text, happenings.STOPPED.text]


async def test_a_topic_that_stands_holds_up_nobody_else(
    office: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.control.notices.LOOK_SECONDS", 0.01)
    async with receiving() as other:
        office.receiver.answers = [b""]
        await office.subscribe()
        await office.subscribe("other", topic=ALARMS.replace("alarms", "other"))
        await office.happen(happenings.FAILED)
        topic = Topic("other", Secret(f"http://127.0.0.1:{other.port}"))
        run = asyncio.create_task(office.notices(other=topic).run(lambda: None))
        await office.receiver.stands.wait()
        await other.until(1)
        await office.happen(happenings.STARTED)
        await other.until(2)
        assert len(office.receiver.posted) == 1
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert other.messages == [happenings.FAILED.text, happenings.STARTED.text]


async def test_a_daemon_that_lost_its_lease_notes_nothing(office: Post) -> None:
    await office.subscribe()
    await office.happen(happenings.FAILED)
    first = await lease.acquire(office.store, "a")
    assert first is not None
    await lease.acquire(office.store, "a")
    with pytest.raises(LeaseLostError):
        await office.notices().look(first.number)


async def test_without_topics_nothing_is_looked_for(office: Post) -> None:
    log = Log(office.lines.append, office.clock)
    await Notices(office.store, [], office.clock, log).run(lambda: None)


async def test_a_post_over_tls_trusts_the_authorities_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.create(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign(tmp_path, "127.0.0.1"))
    async with receiving(context) as receiver:
        url = Secret(f"https://127.0.0.1:{receiver.port}")
        with pytest.raises(WebhookError, match="certificate is not trusted"):
            await post(url, b"{}", {})
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        await post(url, b"{}", {})
        assert receiver.posted[0][0] == "POST / HTTP/1.1"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "no connection: ValueError"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "no connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + b"a\r\n" * 300, "no connection"),
        (b"x" * 100_000, "no connection"),
        (b"", "no answer within 0.1 s"),
    ],
)
async def test_whatever_comes_back_but_a_status_of_success_is_a_refusal(
    answer: bytes, said: str
) -> None:
    async with receiving() as receiver:
        receiver.answers = [answer]
        url = Secret(f"http://127.0.0.1:{receiver.port}")
        with pytest.raises(WebhookError, match=said):
            await post(url, b"{}", {}, seconds=60 if answer else 0.1)


async def test_an_interim_answer_is_waited_through() -> None:
    async with receiving() as receiver:
        receiver.answers = [b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 204 Gone\r\n\r\n"]
        await post(Secret(f"http://127.0.0.1:{receiver.port}"), b"{}", {})


async def test_where_nobody_listens_the_system_says_why() -> None:
    async with receiving() as receiver:
        port = receiver.port
    with pytest.raises(WebhookError, match="no connection"):
        await post(Secret(f"http://127.0.0.1:{port}/c4n4ry"), b"{}", {})
