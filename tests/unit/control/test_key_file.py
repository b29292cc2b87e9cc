import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control import key_file
from engine.control.vault import Key, VaultError
from engine.errors import StateError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "penstock.key"


def ids(path: Path) -> list[str]:
    return [key.id for key in key_file.read(path)]


def test_a_new_file_is_its_owners_alone(path: Path) -> None:
    key = key_file.make(path)
    assert ids(path) == [key.id]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_never_replaced(path: Path) -> None:
    key = key_file.make(path)
    with pytest.raises(FileExistsError):
        key_file.make(path)
    assert ids(path) == [key.id]
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        key_file.make(path)
    assert not path.exists()


def test_file_and_directory_are_on_the_disk_before_it_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the file is private from its first moment, whatever the umask."""
    steps: list[str] = []
    real_open, real_fsync, real_link = os.open, os.fsync, os.link

    def opened(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL
            assert mode == 0o600
            steps.append("create")
        return real_open(name, flags, mode)

    def synced(descriptor: int) -> None:
        of = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"sync {of}")
        real_fsync(descriptor)

    def linked(name: Path, other: Path) -> None:
        steps.append("name")
        real_link(name, other)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    key_file.make(path)
    assert steps == ["create", "sync file", "name", "sync directory"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644, 0o620])
def test_a_file_that_others_can_read_or_change_is_refused(path: Path, mode: int) -> None:
    key_file.make(path)
    path.chmod(mode)
    with pytest.raises(VaultError, match=rf"mode {mode:04o}.*chmod 600 .*rotate the key"):
        key_file.read(path)
    for use in (key_file.add, lambda path: key_file.drop(path, ["x"])):
        with pytest.raises(VaultError, match="by other accounts"):
            use(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_the_owner_alone_is_read(path: Path, mode: int) -> None:
    key = key_file.make(path)
    path.chmod(mode)
    assert ids(path) == [key.id]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_account_is_refused(path: Path) -> None:
    key_file.make(path)
    os.chown(path, 12_345, 0)
    with pytest.raises(VaultError, match="owner 12345"):
        key_file.read(path)


@pytest.mark.parametrize(
    ("uid", "mode", "reads"),
    [
        (0, 0o440, True),
        (0, 0o640, True),
        (0, 0o444, False),
        (0, 0o460, False),
        (7, 0o440, False),
        (7, 0o400, True),
        (8, 0o400, False),
    ],
)
def test_root_may_hand_a_file_to_the_group_of_a_service(
    uid: int, mode: int, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    found = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, uid, 7, 0, 0, 0, 0))
    if reads:
        key_file._refuse_shared(Path("k"), found)
    else:
        with pytest.raises(VaultError):
            key_file._refuse_shared(Path("k"), found)


def test_keys_are_added_behind_and_dropped(path: Path) -> None:
    first = key_file.make(path)
    second = key_file.add(path)
    third = key_file.add(path)
    assert ids(path) == [first.id, second.id, third.id]
    key_file.drop(path, [first.id, third.id, "unknown"])
    assert ids(path) == [second.id, third.id]  # the newest stays whatever is asked
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_keys_added_at_the_same_time_are_all_kept(path: Path) -> None:
    made = [key_file.make(path)]
    threads = [threading.Thread(target=lambda: made.append(key_file.add(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(path)) == sorted(key.id for key in made)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_file_as_it_was(
    path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_file.make(path)

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StateError, match="No space left"):
            key_file.add(path)
    assert ids(path) == [key.id]


def test_remarks_and_empty_lines_are_skipped() -> None:
    one, two = Key.make(), Key.make()
    text = f"# made in 2026\n\n {one.text().reveal()}  # the old one\n{two.text().reveal()}\n"
    assert [key.id for key in key_file.parse_keys(text, "x")] == [one.id, two.id]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "penstock.key holds no key.*openssl rand -base64 32"),
        ("# nothing\n", "holds no key"),
        ("# a\nhunter2hunter2", "line 2 of .*penstock.key is no key"),
        ("AAAA", "line 1 of"),
        ("A" * 43 + "!", "line 1 of"),
        ("\xff" * 44, "holds no key"),
        ("A" * 70_000, "holds no key"),
    ],
)
def test_what_is_no_key_is_refused_without_being_said(path: Path, text: str, match: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(VaultError, match=match) as refused:
        key_file.read(path)
    assert "hunter2" not in f"{refused.value!r} {refused.value}"


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    place = tmp_path / "file" / "penstock.key"
    calls: list[Callable[[Path], object]] = [key_file.add, key_file.read]
    for call in calls:
        with pytest.raises(VaultError, match=r"penstock.key cannot be read or written"):
            call(place)
    (tmp_path / "directory").mkdir(0o700)
    with pytest.raises(VaultError, match="Is a directory"):
        key_file.read(tmp_path / "directory")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(VaultError, match="holds no key"):
        key_file.read(tmp_path / "pipe")
