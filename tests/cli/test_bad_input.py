"""Bad input is one clear line and exit status 2, before any actor starts and before anything is written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
import yaml

import raygan
from raygan.api import train
from raygan.cli import main
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from tests.conftest import write_domain


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_settings: dict):
    """Runs `raygan train` on the tiny configuration; returns exit status and standard error."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_settings))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["raygan", "train", str(config), *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), capsys.readouterr().err

    return run


def refused(run_cli, capsys, *arguments: str) -> str:
    status, error = run_cli(*arguments, capsys=capsys)
    assert status == 2
    assert error.count("\n") == 1, f"one line: {error}"
    assert "Traceback" not in error
    assert not ray.is_initialized()
    assert not Path("runs").exists()
    return error


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("privacy={secure_aggregation: true, sure: 1}", "privacy.sure: unknown key"),
        ("training.roundz=3", "training.roundz: unknown key; did you mean 'rounds'?"),
        ("trainin.rounds=3", "trainin: unknown key; did you mean 'training'?"),
        ("training.rounds=many", "training.rounds: 'many' does not fit; give a whole number"),
        ("devices.fleet=small", "devices.fleet: 'small' does not fit; give a list"),
        ("training.average=3", "training.average: 3 does not fit; give keys with their values"),
        ("data.domains=[3]", "data.domains.0: 3 does not fit; give keys with their values"),
        ("algorithm=MD_GAN", "algorithm: unknown name 'MD_GAN'; did you mean 'md_gan'?"),
        (
            "data.partition={natural: site, dirichlet: 1}",
            "data.partition: natural and dirichlet together; give one of them",
        ),
        ("training.lr=-1", "training.lr: -1 does not fit; give greater than 0"),
        ("training.lr=.nan", "training.lr: nan does not fit"),
        ("training.batch_size=1", "training.batch_size: 1 does not fit"),
        ("training=3", "training: 3 does not fit"),
        ("seed=-1", "seed: -1 does not fit"),
        ("model.image_size=30", "model.image_size: 30 does not fit; give a multiple of 4"),
        ("clusters.count=7", "clusters.count: 7 clusters for 6 clients; lower clusters.count"),
        ("clusters.count=0", "clusters.count: 0 does not fit; give 'auto' or"),
        (
            "cuts.fixed.small.generator=[2, 0]",
            "cuts.fixed.small.generator: cut (h, t) = (2, 0) leaves block 2",
        ),
        ("cuts.fixed.small.generator=[1]", "cuts.fixed.small.generator"),
        ("cuts.fixed.tiny.generator=[1, 0]", "cuts.fixed.tiny: profile 'tiny' is not in the fleet"),
        ("devices.fleet=[small, abacus]", "unknown profile 'abacus' in fleet; use one of"),
        ("data.domains=[]", "data.domains: [] does not fit; give at least 1"),
        ("data.domains=[{clients: 2}]", "data.domains.0: no source; give exactly one of name, npz"),
        ("data.domains=[{name: demo_mnist, npz: a.npz}]", "sources name and npz together; give exactly one"),
        ("data.domains.0.nmae=mnist", "data.domains.0.nmae: unknown key; did you mean 'name'?"),
        ("data.domains.5.clients=1", "a list of 2 entries has no '5'"),
        ("data.domains.0.clients=1000", "1000 clients"),
        ("data.partition=unfair", "data.partition: 'unfair' does not fit; give 'iid'"),
        ("data.partition={dirichlet: 0}", "data.partition.dirichlet: 0 does not fit; give greater than 0"),
        ("model.blocks=nowhere:blocks", "model.blocks: 'nowhere:blocks' cannot be imported"),
        (
            "wire.codec=morse",
            "wire.codec: 'morse' does not fit; give 'float32', 'bfloat16', 'float16' or 'int8'",
        ),
        ("wire.codec={up: int8}", "wire.codec.up: unknown key"),
        ("wire.codec={gradients_up: int7}", "wire.codec.gradients_up: 'int7' does not fit; give 'float32', 'bfloat16'"),
        ("ray.step_deadline_s=0", "ray.step_deadline_s: 0 does not fit"),
        ("ray.device=gpu", "ray.device: 'gpu' does not fit; give 'auto', 'cpu' or 'cuda'"),
        ("ray.body_gpus=-1", "ray.body_gpus: -1 does not fit"),
        ("training.rounds", "--set training.rounds: no key=value; write it as key.path=value"),
        ("training.rounds={", "is not YAML"),
        ("seed.deeper=1", "seed: {'deeper': 1} does not fit"),
        ("Training.rounds=3", "Training: unknown key; did you mean 'training'?"),
        ("training.Rounds=3", "training.Rounds: unknown key; did you mean 'rounds'?"),
        ("[x]=3", "[x]: unknown key"),
        ("data.domains.0.Name=mnist", "data.domains.0.Name: unknown key; did you mean 'name'?"),
        ("data.domains.\u00b2=3", "data.domains.\u00b2: a list of 2 entries has no '\u00b2'; give an entry's number"),
        (
            "data.domains.0.npz=~nosuchuser/a.npz",
            "~nosuchuser/a.npz: no such user here, or no home folder; write",
        ),
        ("data.root=~nosuchuser/a", "~nosuchuser/a: no such user here"),
        ("evaluation.cache=~nosuchuser/a", "~nosuchuser/a: no such user here"),
    ],
)
def test_a_bad_setting(run_cli, capsys: pytest.CaptureFixture[str], override: str, message: str) -> None:
    assert message in refused(run_cli, capsys, "--set", override)


ONE_CLIENT = ("clusters.count=1", "data.domains=[{name: demo_mnist, clients: 1, limit: 64}]")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("md_gan.num_batches=2",), "md_gan: keys of another algorithm than huscf; set algorithm: md_gan"),
        (
            ("algorithm=md_gan", *ONE_CLIENT),
            "algorithm: md_gan with one client, whose discriminator has nowhere to go; add",
        ),
        (("algorithm=md_gan", "md_gan.num_batches=7"), "md_gan.num_batches: 7 batches for 6 clients; lower it"),
        (("algorithm=pfl_gan", "training.rounds=1"), "pfl_gan.local_rounds: 1 local rounds of 1; lower it, or raise"),
        (
            ("algorithm=pfl_gan", "pfl_gan.local_rounds=2"),
            "pfl_gan.local_rounds: 2 local rounds of 2; lower it, or raise",
        ),
        (
            ("algorithm=fed_gan", "devices.profiles.small.memory_bytes=1000"),
            "devices.profiles.small.memory_bytes: fed_gan needs ",
        ),
        (
            ("training.r1=2",),
            "training.r1: 2, but algorithm huscf cuts D: a gradient of a gradient would have to cross",
        ),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["train", "dry run"])
def test_what_an_algorithm_cannot_do(run_cli, capsys, overrides: tuple[str, ...], message: str, dry: tuple) -> None:
    assert message in refused(run_cli, capsys, *(part for key in overrides for part in ("--set", key)), *dry)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"training": {"roundz": 1}}, "training.roundz: unknown key; did you mean 'rounds'?"),
        ({"trainin": 1}, "trainin: unknown key; did you mean 'training'?"),
        ({"wire": {"": 1}}, "wire.'': unknown key; use one of codec"),
        ({"seed": -1}, "seed: -1 does not fit; give greater than or equal to 0"),
        ({"data": {1: 2}}, "data.1: 1 does not fit; write keys as words, such as seed"),
        ({"clusters": {"count": 7}}, "clusters.count: 7 clusters for 6 clients; lower clusters.count or add clients"),
        (
            {"devices": {"profiles": {"watch": {}}}},
            "devices.profiles.watch.flops_per_s: is missing; give it a value",
        ),
    ],
)
def test_python_gets_the_same_line(settings: dict, line: str) -> None:
    for make in (lambda: raygan.Config(**settings), lambda: make_config(settings)):
        with pytest.raises(ConfigError) as refused:
            make()
        assert str(refused.value) == line


def test_a_name_that_is_too_long(run_cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert "File name too long; check the path" in refused(run_cli, capsys, "--in-process", "--out", "a" * 300)


def test_python_is_told_what_belongs_there() -> None:
    for given in (None, {"seed": 1}, "config.yaml"):
        with pytest.raises(ConfigError, match=r"raygan.train: a \w+ where a Config belongs; give Config\(\)"):
            train(given)  # type: ignore[arg-type]


def test_a_gpu_that_is_not_there(run_cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    error = refused(run_cli, capsys, "--set", "ray.device=cuda")
    assert "ray.device: cuda, but this machine finds no GPU; set it to auto or cpu" in error


def test_a_missing_data_file(run_cli, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(run_cli, capsys, "--set", "data.domains.0.npz=nowhere.npz")
    assert "nowhere.npz: no such file" in error


def test_a_corrupt_data_file(run_cli, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good = write_domain(tmp_path / "domain.npz", 0)
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 0xFF
    good.write_bytes(bytes(content))
    assert "domain.npz" in refused(run_cli, capsys, "--set", f"data.domains.0.npz={good}")


def test_a_domain_without_images(run_cli, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "empty.npz"
    images, labels = np.zeros((0, 12, 12), dtype=np.uint8), np.zeros(0, dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels, classes=["a"])
    assert "empty.npz" in refused(run_cli, capsys, "--set", f"data.domains.0.npz={path}")


def test_a_missing_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", "train", "nowhere.yaml"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err
        == "raygan: nowhere.yaml: cannot be read (No such file or directory); check the file's name\n"
    )


def test_a_configuration_that_is_not_yaml(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("training: {rounds: 3")
    monkeypatch.setattr(sys, "argv", ["raygan", "train", str(broken)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "broken.yaml: is not YAML" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_not_overwritten(
    run_cli, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "run"
    kept.mkdir()
    (kept / "config.yaml").write_text("seed: 7\n")
    assert "holds a run already" in refused(run_cli, capsys, "--out", str(kept))
    assert (kept / "config.yaml").read_text() == "seed: 7\n"
    assert [path.name for path in kept.iterdir()] == ["config.yaml"]


def test_resume_goes_alone(run_cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --resume, with --set" in refused(run_cli, capsys, "--resume", "runs/mine")


def test_nothing_to_resume(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", "train", "--resume", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "no config.yaml, so this is not a run's folder" in capsys.readouterr().err


def test_a_cluster_that_is_not_there(run_cli, capsys: pytest.CaptureFixture[str]) -> None:
    status, error = run_cli("--address", "127.0.0.1:1", capsys=capsys)
    assert status == 2
    assert "no Ray cluster at '127.0.0.1:1'" in error.splitlines()[-1]
    assert not Path("runs").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["train", "dry run"])
def test_sums_that_hide_nobody_are_refused(run_cli, capsys, dry: list[str]) -> None:
    sums = ["--set", "privacy.secure_aggregation=true", "--set", "clusters.count=3"]
    error = refused(run_cli, capsys, *sums, *dry)
    assert "privacy.secure_aggregation: true, but of 2 clients there is no sum that hides each (at least 3)" in error


def test_secure_sums_without_their_extra_are_refused(run_cli, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.secure.find_spec", lambda name: None)
    error = refused(run_cli, capsys, "--set", "privacy.secure_aggregation=true", "--dry-run")
    assert "the package cryptography is not installed here; pip install 'raygan[privacy]'" in error
