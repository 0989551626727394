"""What libraries warn programmers of is in the log; what raygan warns of is a line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import raygan
from raygan.cli import app
from tests.cli.command import command


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of which Pillow warns: palettes with a transparency for each colour."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (folder := tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(6):
            grey = np.random.default_rng(number).integers(0, 255, (12, 12), dtype=np.uint8)
            Image.fromarray(grey).convert("P").save(folder / f"{number}.png", transparency=b"\x00\x80")
    return tmp_path / "pictures"


def test_what_libraries_warn_of_is_in_the_log(pictures: Path) -> None:
    data = f"data.domains=[{{images: {pictures}, clients: 2}}]"
    found = command("train", "--dry-run", "--set", data, "--log-file", "log.txt")
    assert (found.status, found.err) == (0, "")
    assert "DEBUG UserWarning: Palette images with Transparency" in Path("log.txt").read_text()


def test_what_raygan_warns_of_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(raygan.__file__).parent / "api.py")
    monkeypatch.setattr(app, "app", lambda: warnings.warn_explicit("a\nb", UserWarning, own, 1))
    assert command().err == "raygan: warning: a\n"


@pytest.mark.parametrize(
    "error",
    [MemoryError(), ImportError("libtorch_cpu.so: failed to map segment from shared object"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. not enough memory")],
    ids=["python", "loader", "torch"],
)  # fmt: skip
def test_too_little_memory_is_a_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    found = command()
    assert (found.status, found.err.count("\n")) == (1, 1)
    assert found.err.startswith("raygan: not enough memory (")
    assert found.err.endswith("); give it more (ulimit -v), or lower what it needs\n")


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        command()
