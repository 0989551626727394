"""Command lines that cannot be carried out: exit status 2, no traceback, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.cli.command import command


@pytest.fixture
def config(tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny configuration, alone in the current folder."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(tiny_settings))
    return file


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", ".", "--dry-run"), ".: is a folder, and what an empty name means; give the file in it, config.yaml"),
        (("train", ""), ".: is a folder, and what an empty name means"),
        (("train", "..", "--dry-run"), "..: is a folder; give a file (YAML)"),
        (("train", "config.yaml", "--out", "config.yaml/run"), "config.yaml cannot be written to"),
        (("train", "config.yaml", "--out", ""), "--out"),
        (("train", "config.yaml", "--set", ""), "no key=value"),
        (("train", "config.yaml", "--set", "=3"), "no key=value"),
        (("train", "config.yaml", "--set", "seed=2001-99-99"), "is not YAML"),
        (("train", "config.yaml", "--set", "seed=" + "[" * 3000), "is not YAML"),
        (("train", "config.yaml", "--set", "seed=!!python/name:os.system"), "is not YAML"),
        (("train", "config.yaml", "--set", "model.blocks=."), "model.blocks: '.' is no import path"),
        (("train", "config.yaml", "--set", "model.blocks=os:system"), "model.blocks"),
        (("train", "config.yaml", "--set", "model.width=1e9"), "model.width"),
        (("train", "config.yaml", "--set", "model.latent_size=100000000000"), "model.latent_size"),
        (("train", "config.yaml", "--set", "training.batch_size=10000000000"), "training.batch_size"),
        (("train", "config.yaml", "--set", "checkpoints.keep=0"), "checkpoints.keep"),
        (("train", "config.yaml", "--set", "checkpoints.best=beauty"), "checkpoints.best"),
        (("train", "config.yaml", "--set", "checkpoints.every=-1"), "checkpoints.every"),
        (("train", "config.yaml", "--set", "data.domains.0.clients=100"), "clients"),
        (("train", "config.yaml", "--set", "scenario=9"), "scenario"),
        (("train", "config.yaml", "--resume", "elsewhere"), "--resume"),
        (("train", "--resume", "elsewhere"), "no config.yaml"),
        (("train", "--resume", "config.yaml"), "no config.yaml"),
        (("train", "config.yaml", "--dry-run", "--set", "ray.address=ray://1.2.3.4:10001"), "a Ray client's address"),
        (("train", "config.yaml", "--dry-run", "--address", "127.0.0.1:1"), "no Ray cluster at '127.0.0.1:1'"),
        (
            ("train", "config.yaml", "--dry-run", "--set", "cuts={fixed: {small: {generator: [9, 0]}}}"),
            "cuts.fixed.small",
        ),
        (
            ("train", "config.yaml", "--dry-run", "--set", "cuts={fixed: {tiny: {}}}"),
            "profile 'tiny' is not in the fleet",
        ),
        (
            ("train", "config.yaml", "--dry-run", "--set", "checkpoints.storage=file:///proc/x"),
            "file:///proc/x: cannot be",
        ),
        (("train", "config.yaml", "--dry-run", "--out", "file:///proc/x"), "file:///proc/x: cannot be used"),
        (("train", "config.yaml", "--dry-run", "--out", "config.yaml/run"), "config.yaml cannot be written to"),
        (("train", "config.yaml", "--in-process", "--out", "file:///proc/x"), "file:///proc/x: cannot be used"),
        (("train", "config.yaml", "--set", "data={1: 2}"), "data.1: 1 does not fit; write keys as words"),
        (("train", "config.yaml", "--set", "data.domains=[{name: ''}]"), "data.domains.0: name is empty; name what is"),
        (("train", "config.yaml", "--set", "data.domains=[{npz: ''}]"), "data.domains.0: npz is empty; name what is"),
        (
            ("train", "config.yaml", "--set", "data.domains=[{name: ' '}]"),
            "data.domains.0: name is empty; name what is",
        ),
        (("cuts", "config.yaml", "--out", "."), "'.' is not a PNG"),
        (("cuts", "config.yaml", "--solver", "guess"), "cuts.solver"),
        (("cuts", "config.yaml", "--out", "cuts.svg"), "is not a PNG"),
        (("cuts", "config.yaml", "--out", "nowhere/cuts.png"), "no folder"),
        (("report", "config.yaml"), "no config.yaml"),
        (("sample", "nowhere", "--count", "0"), "--count: 0; give 1 to 1,000"),
        (("sample", "nowhere"), "nowhere: no config.yaml"),
    ],
)
def test_one_line(config: Path, arguments: tuple[str, ...], words: str) -> None:
    command(*arguments).assert_refused(words)
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("train", "--fly"),
        ("train", "a.yaml", "b.yaml"),
        ("train", "--set"),
        ("evaluate",),
        ("evaluate", "run", "--round", "last"),
        ("sample", "run", "--count", "many"),
        ("sample", "run", "--seed", "1.5"),
        ("report",),
        ("report", "a", "b"),
        ("report", "\x00"),
    ],
)
def test_a_command_that_is_none(config: Path, arguments: tuple[str, ...]) -> None:
    of = "arguments" if arguments in (("fly",), ("train", "--set")) else arguments[0]
    command(*arguments).assert_refused(f"raygan: {of}: ", "; see raygan", "--help")
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


def test_a_real_process_says_the_same(config: Path) -> None:
    code = "from raygan.cli import main; main()"
    line = [sys.executable, "-c", code, "train", "config.yaml", "--set", "training.roundz=3"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "raygan: training.roundz: unknown key; did you mean 'rounds'?\n"


@pytest.mark.parametrize("mode", ["--dry-run", "--in-process"])
def test_a_site_that_refuses(mode: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = config.with_name("policy.yaml")
    policy.write_text("minimum_cut: 1")
    monkeypatch.setenv("RAYGAN_SITE_POLICY", str(policy))
    found = command("train", "config.yaml", mode, "--out", "run")
    found.assert_refused(f"the site policy {policy} on ", " refuses: minimum_cut: a head of D with h = 0 is asked")
    assert not config.with_name("run").exists()


def test_a_domain_with_one_test_image_is_found_before_training(config: Path, tiny_settings: dict) -> None:
    file = Path(tiny_settings["data"]["domains"][0]["npz"])
    with np.load(file, allow_pickle=False) as arrays:
        fewer = {name: array[:1] if name.startswith("test") else array for name, array in arrays.items()}
    np.savez(config.with_name("few.npz"), **fewer)
    for mode in ("--dry-run", "--in-process"):
        found = command("train", "config.yaml", mode, "--out", "run", "--set", "data.domains.0.npz=few.npz")
        found.assert_refused("few.npz: 1 test image; give at least 2")
    assert not config.with_name("run").exists()


def test_a_dry_run_leaves_nothing_where_the_copy_would_be(config: Path, tmp_path: Path) -> None:
    assert command("train", "config.yaml", "--dry-run", "--out", f"file://{tmp_path}/copy").status == 0
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("arguments", [("train", "--verbose", "--dry-run"), ("--verbose", "cuts")])
def test_verbose_shows_the_users_own_traceback(
    config: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "raygan_test_networks", raising=False)
    networks = config.with_name("raygan_test_networks.py")
    networks.write_text("def make(spec):\n    return [][spec.channels]\n")
    change = ("--set", "model.blocks=raygan_test_networks:make", "config.yaml")
    line = (
        "raygan: model.blocks: raygan_test_networks:make failed with IndexError: list index out of range "
        "(raygan_test_networks.py, line 2); mend it\n"
    )
    found = command(*arguments, *change)
    assert (found.status, found.err.endswith(line)) == (2, True), found
    assert "    return [][spec.channels]" in found.err
    quiet = command(*(argument for argument in arguments if argument != "--verbose"), *change)
    assert (quiet.status, quiet.err) == (2, line)
    assert sorted(path.name for path in config.parent.iterdir() if path.is_file()) == [config.name, networks.name]
