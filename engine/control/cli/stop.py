"""`penstock stop`: a replication ends, and keeps what it needs to go on."""

from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Id, NoWait, Output, Url, daemon, document, say
from engine.control.client.faces import face, which
from engine.control.client.replications import REST, one, wait
from engine.control.lifecycle import Status


def stop(id: Id, no_wait: NoWait = False, output: As = Output.TEXT, url: Url = USUAL) -> None:
    """Stop a replication, which can be started again where it was.

    Waits until it has stopped; what is under way is finished first, for at most 10 s. Its slot
    keeps the source's log meanwhile: delete a replication that is not to go on.
    """
    end_with(lambda: _stop(id, url, output, no_wait=no_wait))


def _stop(id: str, url: str, output: Output, *, no_wait: bool) -> int:
    asked = daemon(url)
    found = one(asked, id)
    name, arn = str(found["identifier"]), str(found["arn"])
    rests = found["status"] in REST
    if rests:
        say(f"{name} does not run: it is {found['status']}", output)
    elif found["status"] != Status.STOPPING:
        asked.call(face(found).stop, **which(found))
    if no_wait and not rests:
        say(f"{name}  {Status.STOPPING}", output)
    elif not rests:
        wait(asked, arn, REST.__contains__, lambda status: say(f"{name}  {status}", output))
    if output is Output.JSON:
        document(one(asked, arn))
    return 0
