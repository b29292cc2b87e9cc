"""A campaign: many messages for every target, in processes of their own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.child import PROGRESS
from tests.fuzz.registry import targets
from tests.fuzz.sanitized import Build

BATCH_MESSAGES: Final = 100_000
"""Messages of one job; each job has a seed of its own, so that a replay is a matter of seconds."""

HANG_SECONDS: Final = 60.0
"""Time for one message until its reader is taken to hang, on a machine that is busy."""

STDERR_LINES: Final = 15
"""Lines shown of each end of what a process said before it died."""

ROOT: Final = Path(__file__).parents[2]


class Job(NamedTuple):
    target: str
    seed: int
    messages: int


@dataclass(frozen=True)
class Failure:
    """Something that must not happen. `command` shows it again."""

    target: str
    seed: int
    message: int
    what: str
    checked: bool = False
    """By a build with the compiler's checks."""

    @property
    def command(self) -> str:
        place = f"--target {self.target} --seed {self.seed} --message {self.message}"
        return f"python -m tests.fuzz {place}" + (" --sanitize" if self.checked else "")

    def __str__(self) -> str:
        return f"{self.what.rstrip()}\n    replay: {self.command}"


@dataclass
class Result:
    """What a campaign came to for one target. `seed` is that of its first job."""

    target: str
    seed: int
    messages: int = 0
    errors_declared: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    seconds: float = 0.0
    peak_mib: float = 0.0

    def facts(self) -> dict[str, object]:
        """For a line of JSON."""
        return {
            "target": self.target,
            "seed": self.seed,
            "messages": self.messages,
            "errors_declared": self.errors_declared,
            "failures": len(self.failures),
            "seconds": round(self.seconds, 1),
            "peak_mib": self.peak_mib,
        }


def run(
    messages: int,
    *,
    seed: int = 1,
    names: Sequence[str] = (),
    build: Build | None = None,
) -> list[Result]:
    """Decode at least that many messages, divided between the targets (all without `names`) by
    their weights, one process after the other.

    `build`: with this build of the compiled loops, see `sanitized.build`; memory is not measured
    then.
    """
    jobs = plan(messages, seed, names)
    results = {job.target: Result(job.target, seed) for job in jobs}
    for group in _grouped(jobs):
        _run_group(group, results, build)
    return list(results.values())


def plan(messages: int, seed: int, names: Sequence[str]) -> list[Job]:
    """The jobs of a campaign."""
    chosen = [targets()[name] for name in names or targets()]
    weights = sum(target.weight for target in chosen)
    jobs: list[Job] = []
    for target in chosen:
        left = -(-messages * target.weight // weights)
        number = seed
        while left > 0:
            jobs.append(Job(target.name, number, min(left, BATCH_MESSAGES)))
            left -= BATCH_MESSAGES
            number += 1
    return jobs


def _grouped(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Small jobs share a process: starting one costs as much as many thousand messages."""
    group: list[Job] = []
    for job in jobs:
        if group and sum(j.messages for j in group) + job.messages > BATCH_MESSAGES:
            yield group
            group = []
        group.append(job)
    if group:
        yield group


def _run_group(group: list[Job], results: dict[str, Result], build: Build | None) -> None:
    """One process, and another one for what is left when it dies."""
    while group:
        done, died = _run_child(group, build)
        for job, tally in zip(group, done, strict=False):
            _add(results[job.target], job, tally, checked=build is not None)
        if not died:
            return
        job, message, what = group[len(done)], died[0], died[1]
        failure = Failure(job.target, job.seed, message, what, build is not None)
        results[job.target].failures.append(failure)
        results[job.target].messages += message
        group = group[len(done) + 1 :]


def _add(result: Result, job: Job, tally: dict[str, object], *, checked: bool) -> None:
    messages, refused, seconds, peak = (
        tally[name] for name in ("messages", "refused", "seconds", "peak_mib")
    )
    assert isinstance(messages, int)
    assert isinstance(refused, int)
    assert isinstance(seconds, float)
    assert isinstance(peak, float)
    result.messages += messages
    result.errors_declared += refused
    result.seconds += seconds
    result.peak_mib = max(result.peak_mib, peak)
    findings = tally["findings"]
    assert isinstance(findings, list)
    for message, what in findings:
        result.failures.append(Failure(job.target, job.seed, message, what, checked))


Died = tuple[int, str]


def _run_child(
    jobs: Sequence[Job], build: Build | None
) -> tuple[list[dict[str, object]], Died | None]:
    """The tallies of the jobs that ended, and where and of what the process died, if it did."""
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    words = [sys.executable, "-m", "tests.fuzz.child", json.dumps(jobs)]
    with tempfile.TemporaryDirectory() as folder:
        progress, output, errors = (Path(folder) / name for name in ("progress", "out", "err"))
        progress.write_bytes(bytes(PROGRESS.size))
        words.append(str(progress))
        if build is not None:
            words.append(str(build.module))
            environment |= build.environment
        with output.open("wb") as out, errors.open("wb") as err:
            child = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=err, env=environment)
            hung = _wait(child, progress)
        done = [json.loads(line) for line in output.read_text().splitlines()]
        if child.returncode == 0:
            return done, None
        what = f"no progress for {HANG_SECONDS:.0f} s" if hung else f"it died: {child.returncode}"
        said = _shortened(errors.read_text(errors="replace").splitlines())
        message = PROGRESS.unpack(progress.read_bytes())[1]
        return done[: len(jobs) - 1], (message, "\n".join([what, *said]))


def _shortened(lines: list[str]) -> list[str]:
    """Its beginning says what, its end where."""
    if len(lines) <= 2 * STDERR_LINES:
        return lines
    return [*lines[:STDERR_LINES], "...", *lines[-STDERR_LINES:]]


def _wait(child: subprocess.Popen[bytes], progress: Path) -> bool:
    """Until it has ended; whether it had to be ended because it stood still."""
    before = b""
    while True:
        try:
            child.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            now = progress.read_bytes()
            if now == before:
                child.kill()
                child.wait()
                return True
            before = now
        else:
            return False
