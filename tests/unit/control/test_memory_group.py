"""A worker's group, in a directory that looks like the kernel's: what is written, and when."""

import os
from pathlib import Path

import pytest

from engine.control.memory_group import WATCHING, NotDelegatedError, WorkerMemory

GIB = 1 << 30

PID = str(os.getpid())


class Tree:
    """Files as the kernel has them; a process that moves is only written down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "sys/fs/cgroup/system.slice/penstock.service"
        self.home.mkdir(parents=True)
        (root / "proc/self").mkdir(parents=True)
        self.membership("0::/system.slice/penstock.service")
        self.controllers("cpu memory pids")
        self.members(PID)
        (self.home / "cgroup.subtree_control").write_text("")
        (self.home / WATCHING).mkdir()
        (self.home / WATCHING / "cgroup.procs").write_text("")

    def membership(self, line: str) -> None:
        (self.root / "proc/self/cgroup").write_text(f"{line}\n")

    def controllers(self, names: str) -> None:
        (self.home / "cgroup.controllers").write_text(f"{names}\n")

    def members(self, *pids: str) -> None:
        (self.home / "cgroup.procs").write_text("\n".join(pids))

    def read(self, name: str) -> str:
        return (self.home / name).read_text()

    def claim(self) -> WorkerMemory:
        return WorkerMemory.claim(lambda units: units * GIB, 4, self.root)

    def begin(self, memory: WorkerMemory, monkeypatch: pytest.MonkeyPatch) -> Path:
        """What `mkdir` makes in the kernel's tree is not empty."""
        made: list[Path] = []
        plain = Path.mkdir

        def mkdir(path: Path, *rest: object, **more: object) -> None:
            plain(path)
            made.append(path)
            for name in ("cgroup.procs", "memory.max", "memory.high"):
                (path / name).write_text("")
            (path / "memory.events").write_text("low 0\nhigh 3\nmax 1\noom 0\noom_kill 0\n")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "mkdir", mkdir)
            memory.begin()
        (group,) = made
        return group


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_who_watches_moves_aside_and_lets_its_children_be_held(tree: Tree) -> None:
    tree.claim()
    assert tree.read(f"{WATCHING}/cgroup.procs") == PID
    assert tree.read("cgroup.subtree_control") == "+memory"


def test_a_worker_begins_with_the_largest_budget_and_is_held_to_what_it_tells(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tree.claim()
    group = tree.begin(memory, monkeypatch)
    assert group.parent == tree.home
    assert (group / "memory.high").read_text() == str(4 * GIB)
    assert (group / "memory.max").read_text() == str(4 * GIB + GIB // 2)
    memory.take(4711)
    assert (group / "cgroup.procs").read_text() == "4711"
    for name in ("memory.high", "memory.max"):
        (group / name).write_text("")
    memory.resize(1)
    assert (group / "memory.high").read_text() == str(GIB)
    assert (group / "memory.max").read_text() == str(GIB + GIB // 8)
    assert memory.kills() == 0
    (group / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert memory.kills() == 1


def test_every_worker_has_a_group_of_its_own(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tree.claim()
    first = tree.begin(memory, monkeypatch)
    for file in first.iterdir():
        file.unlink()  # the kernel's files are no hindrance to its removal
    memory.end()
    assert not first.exists()
    assert memory.kills() is None
    assert tree.begin(memory, monkeypatch) != first


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda t: t.membership("4:memory:/x"), "no control groups of version 2"),
        (lambda t: t.membership("0::/elsewhere"), "No such file"),
        (lambda t: t.controllers("cpu pids"), "no memory controller"),
        (lambda t: t.members(PID, "1"), "other processes"),
        (lambda t: t.members("1"), "other processes"),
        (lambda t: (t.home / "cgroup.subtree_control").unlink(), "No such file"),
    ],
)
def test_what_is_not_ours_is_left_as_it_is(tree: Tree, spoil: "object", why: str) -> None:
    assert callable(spoil)
    spoil(tree)
    with pytest.raises(NotDelegatedError, match=why):
        tree.claim()
    children = tree.home / "cgroup.subtree_control"
    assert not children.exists() or "+" not in children.read_text()


def test_what_the_kernel_refuses_later_leaves_the_worker_to_itself(tree: Tree) -> None:
    memory = tree.claim()
    (tree.home / f"penstock-worker-{PID}-1").mkdir()
    memory.begin()
    memory.take(1)
    memory.resize(2)
    assert memory.kills() is None
    memory.end()


def test_the_tree_is_left_as_it_was(tree: Tree) -> None:
    memory = tree.claim()
    tree.members("")
    (tree.home / "cgroup.subtree_control").write_text("")
    memory.release()
    assert tree.read("cgroup.subtree_control") == "-memory"
    assert tree.read("cgroup.procs") == PID
