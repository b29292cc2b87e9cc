import os
from pathlib import Path

import pytest

from engine.seams import machine_memory_bytes, memory_kills

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

MIB = 1 << 20


def kernel(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_groups_the_machine_s_memory_is_meant(tmp_path: Path) -> None:
    assert machine_memory_bytes(tmp_path) == PHYSICAL


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"a/b/memory.max": "max"}, None, id="no limit"),
        pytest.param({"a/b/memory.max": f"{256 * MIB}\n"}, 256 * MIB, id="its own"),
        pytest.param(
            {"a/b/memory.max": f"{256 * MIB}\n", "a/memory.max": f"{64 * MIB}\n"},
            64 * MIB,
            id="of one around it",
        ),
        pytest.param({"memory.max": f"{128 * MIB}"}, 128 * MIB, id="mounted as its own"),
    ],
)
def test_a_control_group_has_a_limit(
    tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    root = kernel(tmp_path, **{"proc/self/cgroup": "0::/a/b\n"}, **files)
    assert machine_memory_bytes(root) == (limit or PHYSICAL)


def test_a_control_group_of_the_first_kind_has_a_limit_too(tmp_path: Path) -> None:
    root = kernel(
        tmp_path,
        **{
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(512 * MIB),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        },
    )
    assert machine_memory_bytes(root) == 512 * MIB


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/a/b", {"sys/fs/cgroup/a/b/memory.events": "low 0\noom 4\noom_kill 3\n"}, 3),
        ("0::/gone", {"sys/fs/cgroup/memory.events": "oom_kill 2\n"}, 2),
        (
            "4:memory:/a",
            {"sys/fs/cgroup/memory/a/memory.oom_control": "under_oom 0\noom_kill 1\n"},
            1,
        ),
        ("0::/a", {"proc/vmstat": "pgfault 17\noom_kill 5\n"}, 5),
        ("0::/a", {"sys/fs/cgroup/a/memory.events": "torn", "proc/vmstat": "oom_kill 6\n"}, 6),
        ("0::/a", {}, None),
    ],
    ids=["v2", "v2 inside", "v1", "machine", "unreadable", "nowhere"],
)
def test_the_kernels_kills_are_those_of_the_own_group_else_of_the_machine(
    tmp_path: Path, own: str, files: dict[str, str], count: int | None
) -> None:
    for name, text in {**files, "proc/self/cgroup": f"{own}\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_kills(tmp_path) == count
