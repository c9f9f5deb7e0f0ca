import errno
import fcntl
import hashlib
import os
import re
import socket
import stat
import subprocess
import sys
import threading

import pytest

from farzi.errors import FarziError
from farzi.files import locked, remove_leftovers, sha256, write_bytes_atomic, write_text_atomic


def test_a_file_is_written_whole_and_replaced(tmp_path):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "one\n")
    write_text_atomic(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_bytes_atomic(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_bytes_atomic(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_what_a_killed_write_left_behind_is_removed_and_nothing_else(tmp_path):
    write_text_atomic(tmp_path / "a.json", "{}")
    mine = {".mine", ".notes.tmp", ".a.json.0123abcd.tmp", ".a.json.farzi-tmp"}
    for name in (*mine, ".a.json.0123abcd.farzi-tmp", ".b.0123abcd.farzi-tmp"):
        (tmp_path / name).write_text("x")
    write_text_atomic(tmp_path / "a.json", "{}")  # the same command again
    assert set(os.listdir(tmp_path)) == {*mine, "a.json", ".b.0123abcd.farzi-tmp"}
    remove_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == {*mine, "a.json"}
    remove_leftovers(tmp_path / "nothing")


def test_what_a_living_process_writes_is_no_leftover(tmp_path):
    path = tmp_path / ".a.json.0123abcd.farzi-tmp"
    with open(path, "xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_leftovers(tmp_path)
        assert path.exists()
    remove_leftovers(tmp_path)
    assert not path.exists()


def test_links_are_followed(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("new")
    for name in ("link", "dangling"):
        write_text_atomic(tmp_path / name, name)
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "target").read_text() == "link"
    assert (tmp_path / "new").read_text() == "dangling"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="round"):
        write_text_atomic(tmp_path / "round", "")
    assert (tmp_path / "round").is_symlink()


def test_devices_and_pipes_are_written_to(tmp_path):
    write_bytes_atomic("/dev/null", b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_bytes_atomic("/dev/full", b"x")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with locked(tmp_path / "pipe"):
        write_bytes_atomic(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="socket"):
            write_bytes_atomic(tmp_path / "socket", b"x")
    assert sorted(os.listdir(tmp_path)) == ["pipe", "socket"]


@pytest.mark.parametrize("write", [lambda: write_bytes_atomic("", b""), lambda: locked("").__enter__()])
def test_an_empty_path_is_refused(write):
    with pytest.raises(FarziError, match="empty path"):
        write()


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_errors_of_the_machine_name_the_file(tmp_path, monkeypatch, number):
    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match=re.escape(f"{tmp_path / 'a'}")) as caught:
        write_bytes_atomic(tmp_path / "a", b"x")
    assert caught.value.errno == number
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "file"])
def test_a_lock_is_held_by_one_thread_and_leaves_nothing(tmp_path, name):
    path = tmp_path / name
    refused = []

    def other():
        try:
            with locked(path):
                refused.append("")
        except FarziError as error:
            refused.append(str(error))

    with locked(path), locked(path):  # a thread may take it again
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(os.listdir(tmp_path)) == 1
    other()
    assert f"process {os.getpid()} on " in refused[0]
    assert refused[1] == ""
    assert os.listdir(tmp_path) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = f"""
import os, signal
from farzi.files import locked
with locked({str(tmp_path)!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert os.listdir(tmp_path) == [".farzi-lock"]
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_who_waits_gets_the_lock_in_turn(tmp_path):
    path, seen = tmp_path / "count", []
    path.write_text("0")

    def add():
        for _ in range(20):
            with locked(path, wait=True):
                number = int(path.read_text())
                write_text_atomic(path, str(number + 1))
                seen.append(number)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(80))
    assert os.listdir(tmp_path) == ["count"]
