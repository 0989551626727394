"""A disk that is full stops the run with one line; the last good checkpoint is intact, and the run goes on from it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import RunError
from raygan.run.checkpoints import Checkpoint
from raygan.run.events import Listener
from tests.cli.command import command
from tests.run.test_resume import Interrupt, arrays_of_round


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """A file that takes all that is left."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    return filler


class Fill(Listener):
    """Fills the disk in the third round."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.faults: list[str] = []

    def on_step(self, round_number: int, step: int, *_) -> None:
        if (round_number, step) == (2, 1):
            fill(self._place)

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


@pytest.fixture
def three(tiny_settings: dict) -> dict:
    return tiny_settings | {
        "training": tiny_settings["training"] | {"rounds": 3},
        "evaluation": {"images": 8},
    }


@pytest.mark.parametrize(
    "in_process", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["in_process", "actors"]
)
def test_the_run_stops_and_goes_on_when_there_is_room(
    three: dict, small_disk: Path, tmp_path: Path, in_process: bool, request: pytest.FixtureRequest
) -> None:
    if not in_process:
        request.getfixturevalue("small_ray")
    path = small_disk / "run"
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\); free or unlock") as stopped:
        train(make_config(three), path, in_process=in_process, listener=Fill(small_disk))
    assert "\n" not in str(stopped.value)
    assert Checkpoint(path / "checkpoints", 1).damage() is None
    assert sorted(p.name for p in (path / "checkpoints").glob("round-*")) == ["round-0001", "round-0002"]
    (small_disk / "filler").unlink()
    watcher = Interrupt(-1, 0)
    resume(path, in_process=True, listener=watcher)
    assert watcher.first_round == 2 if in_process else watcher.first_round <= 2, "scores may have been under way"
    whole = train(make_config(three), tmp_path / "whole", in_process=True)
    assert arrays_of_round(path, 3) == arrays_of_round(whole.path, 3)


def test_a_run_that_cannot_even_begin_leaves_nothing(three: dict, small_disk: Path, tmp_path: Path) -> None:
    import yaml

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(three))
    filler = fill(small_disk)
    found = command("train", tmp_path / "config.yaml", "--in-process", "--out", small_disk / "run")
    found.assert_refused("cannot be written (No space left on device); choose another --out")
    assert list(small_disk.iterdir()) == [filler]
