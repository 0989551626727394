"""A Ray of our own is nobody else's: its token, its addresses, its process groups, its end."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from raygan.config.schema import Config
from raygan.errors import InputError
from raygan.runtime.ray.cluster import ray_with
from raygan.runtime.ray.own import TOKEN_VARIABLES, starting


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*TOKEN_VARIABLES, "_".join(("RAY", "AUTH", "MODE"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_made_for_its_owners_eyes(home: Path) -> None:
    with starting():
        token = home / ".ray" / "auth_token"
        assert (mode(token), len(token.read_text())) == (0o600, 64)
    assert [path.name for path in token.parent.iterdir()] == [token.name]


def test_a_token_that_others_can_read_is_kept_from_them(home: Path) -> None:
    token = home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("mine")
    token.chmod(0o644)
    with starting():
        assert (mode(token), token.read_text()) == (0o600, "mine")


def test_a_token_of_the_users_own_is_enough(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLES[0], "mine")
    with starting():
        assert not list(home.iterdir())


def test_a_home_that_cannot_be_written_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    with (
        pytest.raises(InputError, match=r"Ray's token cannot be written there .Not a directory.; set HOME"),
        starting(),
    ):
        pass


def test_what_is_left_after_the_driver_is_killed() -> None:
    code = "from raygan.runtime.ray import reaper; reaper.PATIENCE_S = 0.1; reaper.main()"
    left, other = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    started = psutil.Process(left.pid).create_time()
    arguments = [f"{left.pid} {started}", f"{other.pid} {started - 100}"]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE) as reaper:
        time.sleep(0.5)
        assert left.poll() is None, "the driver is there"
        assert reaper.stdin is not None
        reaper.stdin.close()
        assert left.wait(timeout=30) == -9
        assert reaper.wait(timeout=30) == 0
    assert other.poll() is None, "another process that has been given the number"
    other.kill()
    other.wait()


@pytest.mark.slow
def test_it_listens_on_the_loopback_alone_and_is_out_of_reach_of_signals_to_our_group() -> None:
    with ray_with({}, Config(), "tests"):
        processes = psutil.Process().children(recursive=True)
        addresses = {
            connection.laddr.ip
            for process in processes
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        groups = {os.getpgid(process.pid) for process in processes}
    assert len(processes) > 5
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert os.getpgid(0) not in groups
