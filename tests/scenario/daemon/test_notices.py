"""What happens in a real daemon is told to a topic of its file, also by the daemon after it."""

import asyncio
from pathlib import Path

from tests.integration.control.receiver import receiving
from tests.scenario.daemon.serving import Serving

ARN = "arn:aws:sns:us-east-1:123456789012:alarms"


async def test_what_a_killed_daemon_did_not_tell_the_next_one_tells(tmp_path: Path) -> None:
    async with receiving() as receiver:
        environment = {"HOOK": f"http://127.0.0.1:{receiver.port}/hook", "HOOK_TOKEN": "a token"}
        config = '[topic.alarms]\nurl = "${HOOK}"\ntoken_env = "HOOK_TOKEN"\n'

        def change() -> None:
            with Serving(tmp_path, config=config, **environment) as daemon:
                dms = daemon.client()
                dms.create_event_subscription(
                    SubscriptionName="endpoints",
                    SnsTopicArn=ARN,
                    SourceType="endpoint",
                    EventCategories=["creation"],
                )
                dms.create_endpoint(
                    EndpointIdentifier="shop",
                    EndpointType="source",
                    EngineName="postgres",
                    ServerName="127.0.0.1",
                    DatabaseName="shop",
                    Username="reader",
                )
                daemon.kill()

        def go_on() -> None:
            with Serving(tmp_path, config=config, **environment) as daemon:
                daemon.until(lambda: bool(receiver.posted), "the event to be posted")
                assert "a token" not in str(daemon.lines)

        await asyncio.to_thread(change)
        await asyncio.to_thread(go_on)
    assert set(receiver.messages) == {"The endpoint has been created."}
    assert {headers["authorization"] for _, headers, _ in receiver.posted} == {"Bearer a token"}
