"""`penstock autoscale`, as a user starts it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from engine.capacity.law import Parameters
from engine.capacity.loads import step
from engine.capacity.simulate import simulate
from engine.capacity.trace import decision_line, head_line, sample_line

ROOT = Path(__file__).resolve().parents[3]


def autoscale(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = (sys.executable, "-c", "from engine.control.cli import main; main()")
    return subprocess.run(
        [*program, "autoscale", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def write_trace(file: Path, *, honest: bool) -> None:
    run = simulate(Parameters(), step()[590:700])
    lines = [head_line(run.parameters, 1, 0.0), *map(sample_line, run.samples)]
    first, *others = run.decisions
    first = first if honest else replace(first, units_to=4)
    file.write_bytes(b"".join([*lines, *map(decision_line, [first, *others])]))


def test_a_trace_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    write_trace(file, honest=True)
    done = autoscale("replay", str(file))
    assert done.returncode == 0, done.stderr
    assert "1 -> 2      5.8 s behind for 5 s, appliers are busy to 100%" in done.stdout
    assert done.stdout.endswith("110 samples, 8 decisions, as they were recorded\n")


def test_a_trace_that_differs_ends_with_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    write_trace(file, honest=False)
    done = autoscale("replay", "--json", str(file))
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["differences"]
    assert (found["recorded"]["units_to"], found["recomputed"]["units_to"]) == (4, 2)
    done = autoscale("replay", str(file))
    assert "recomputed:" in done.stderr
    assert "1 of them differ" in done.stdout


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    done = autoscale("replay", str(tmp_path / "absent"))
    assert done.returncode == 2
    assert "cannot be read: No such file" in done.stderr
    assert "penstock run --capacity-trace" in done.stderr
    file = tmp_path / "other"
    file.write_text("hello\n")
    done = autoscale("replay", str(file))
    assert (done.returncode, "line 1: is no line of a trace" in done.stderr) == (2, True)


def test_a_load_is_simulated_and_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    done = autoscale("simulate", "--load", "step", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    assert "unit-hours, 1.0" in done.stdout
    assert "size, units" in done.stdout
    tree = ET.fromstring(plot.read_text())
    drawn = [part.tag.rpartition("}")[2] for part in tree]
    assert drawn.count("polyline") == 2
    assert drawn.count("path") == 2
    texts = [part.text for part in tree if part.tag.endswith("text")]
    assert {"load", "size", "clairvoyant", "units", "lag, s", "0:30:00"} <= set(texts)


def test_the_parameters_of_a_replication_file_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text(
        '[replication]\nid = "r"\n[source]\nengine = "memory"\n[target]\nengine = "memory"\n'
        "[capacity]\nmin = 2\nmax = 2\n"
    )
    done = autoscale("simulate", "--load", "step", "--file", str(file), "--json")
    found = json.loads(done.stdout)
    assert (found["changes"], found["unit_hours"]) == (0, 2.0)


def test_a_load_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = autoscale("simulate", "--load", "moon")
    assert done.returncode == 2
    assert "--load: must be one of step, ramp, spike, square, sine, noisy" in done.stderr
    done = autoscale("simulate", "--plot", str(tmp_path / "absent" / "plot.svg"))
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)
