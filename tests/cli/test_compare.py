"""`raygan compare` as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
import yaml

from raygan.api import train
from raygan.cli import main
from raygan.cli.compare import DEFAULT
from raygan.compare.document import check_comparison
from raygan.config.choices import ALGORITHMS
from raygan.config.loading import make_config
from raygan.search.search import read_search
from raygan.search.tuner import check_search
from tests.rounds import assert_same_training

COMMAND = [sys.executable, "-c", "from raygan.cli import main; main()", "compare"]


@pytest.fixture
def file(two_clients: dict[str, Any], tmp_path: Path) -> Path:
    """Two algorithms, one seed."""
    path = tmp_path / "tiny.yaml"
    settings = {
        "base": two_clients,
        "variants": {"local": {"algorithm": "local"}, "md_gan": {"algorithm": "md_gan"}},
        "metric": "classifier_fid",
        "mode": "min",
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "variants.new={algorithm: fedgan}"], "variants.new: algorithm: unknown name 'fedgan'"),
        (["--set", "variants.new={central: {by: all}}"], "central: keys of another algorithm than huscf"),
        (["--set", "variants.new={algorithm: md_gan, md_gan: {num_batches: 3}}"], "3 batches for 2 clients"),
        (["--set", "variants.new={algorithm: pfl_gan, pfl_gan: {local_rounds: 3}}"], "3 local rounds of 3; lower it"),
        (
            ["--set", "variants.new={algorithm: fed_gan, devices: {profiles: {small: {memory_bytes: 9}}}}"],
            "devices.profiles.small.memory_bytes: fed_gan needs",
        ),
        (["--set", "reference=best"], "reference: 'best' is no variant"),
        (["--set", "scheduler=asha"], "scheduler: it stops variants early"),
        (["--resume", "nowhere"], "--resume: given together with a comparison"),
    ],
)
def test_a_mistake_is_one_line_before_ray_starts(
    file: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", "compare", str(file), *arguments])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not ray.is_initialized()
    assert not Path("runs").exists()


def test_the_default_has_every_algorithm() -> None:
    search = read_search(DEFAULT)
    check_comparison(search)
    assert {search.config_of(point).algorithm for point in search.points()} == set(ALGORITHMS)
    assert check_search(search).num_trials == len(search.config.variants)


@pytest.mark.slow
def test_a_comparison_trains_each_variant_and_answers(file: Path, two_clients: dict, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    done = subprocess.run(
        [*COMMAND, str(file), "--out", str(out), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((out / "compare.json").read_text())
    variants = {variant["name"]: variant for variant in document["variants"]}
    assert set(variants) == {"md_gan", "local"}
    scores = [variant["scores"]["classifier_fid"]["mean"] for variant in document["variants"]]
    assert scores == sorted(scores)
    assert variants["local"]["costs"]["bytes_per_client"] == 0
    assert variants["md_gan"]["costs"]["bytes_per_client"] > 0
    assert all(variant["costs"]["round_s"] > 0 for variant in variants.values())
    assert len(pd.read_csv(out / "compare.csv")) == 2
    page = (out / "compare.html").read_text()
    assert page.count("<figcaption>") == 4, "two variants, two domains"
    alone = train(make_config(two_clients | {"algorithm": "md_gan"}), tmp_path / "alone", in_process=True)
    assert_same_training(Path(variants["md_gan"]["runs"][0]), alone.path)


@pytest.mark.slow
def test_a_killed_comparison_goes_on(file: Path, tmp_path: Path) -> None:
    """SIGKILL once the first variant has reported a round; finished trials are not run again."""
    out = tmp_path / "compared"
    command = [*COMMAND, str(file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    ends_s = time.monotonic() + 200
    while not list(out.glob("trial-*/run-1/checkpoints/round-0001")) and time.monotonic() < ends_s:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run([*COMMAND, "--resume", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Best: " in done.stdout
    assert len(json.loads((out / "compare.json").read_text())["variants"]) == 2
