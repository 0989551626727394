"""`raygan cuts`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from raygan.cli import main
from raygan.config.loading import make_config
from raygan.run.plan import make_plan

PAPER = {
    "data": {"domains": [{"name": "demo_mnist", "clients": 40}, {"name": "demo_fashion_mnist", "clients": 40}]},
    "model": {"width": 1, "networks": "paper"},
    "training": {"batch_size": 64},
    "devices": {"fleet": [f"paper_device_{number}" for number in range(1, 8)]},
    "cuts": {"ga": {"population": 100, "generations": 40}},
}


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Runs `raygan cuts` on settings in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(settings: dict, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setattr(sys, "argv", ["raygan", "cuts", "config.yaml", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capfd.readouterr()

    return run


def limited(settings: dict, memory_bytes: int) -> dict:
    """The settings with a slow server, and with a large device that is fast but has this much memory."""
    large = {"flops_per_s": 1e12, "bytes_per_s": 1e9, "memory_bytes": memory_bytes}
    devices = {
        "fleet": settings["devices"]["fleet"],
        "profiles": settings["devices"]["profiles"] | {"large": large},
        "server": {"flops_per_s": 1e8, "bytes_per_s": 1e9},
    }
    return settings | {"devices": devices, "cuts": {"solver": "exact"}}


@pytest.mark.parametrize("other", [["--leakage"], ["--out", "cuts.png"]], ids=lambda other: other[0])
def test_replicas_go_alone(cuts, other: list[str]) -> None:
    status, shown, error = cuts(PAPER, "--replicas", "1,2", *other)
    assert (status, shown) == (2, "")
    assert error == f"raygan: --replicas: given with {other[0]}; give one of them\n"


def test_it_prints_the_plan_and_draws_it(cuts, tmp_path: Path) -> None:
    status, shown, _ = cuts(PAPER)
    assert status == 0
    for words in (
        "cuts (h, t) of 80 clients", "paper_device_7", "one iteration: 6.017 s", "discriminator backward",
        "genetic algorithm", "one cut for everybody", "all extra blocks on the clients",
        "slowest: paper_device_1 (client 0)", "no plan is faster than 6.017 s, this is the optimum",
        "wrote cuts.png",
    ):  # fmt: skip
        assert words in shown, words
    assert (tmp_path / "cuts.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_document_and_draws_only_when_asked(cuts, tmp_path: Path) -> None:
    status, shown, _ = cuts(PAPER, "--json", "--solver", "ga")
    document = json.loads(shown)
    assert status == 0
    assert document["solver"] == "ga"
    assert [client["client"] for client in document["clients"]] == list(range(80))
    assert sum(document["parts"].values()) == pytest.approx(document["latency_s"])
    assert document["lower_bound_s"] <= document["overlapped_s"] * 1.1
    assert document["timeline"] is None
    assert list(tmp_path.glob("*.png")) == []
    status, shown, _ = cuts(PAPER, "--json", "--out", "mine.png")
    assert json.loads(shown)["timeline"] == "mine.png"
    assert (tmp_path / "mine.png").exists()


def test_fixed_cuts_are_shown_with_their_gap(cuts, tiny_settings: dict) -> None:
    status, shown, _ = cuts(tiny_settings)
    assert status == 0
    assert "fixed (the plan)" in shown
    assert "above the optimum" in shown or "this is the optimum" in shown


def test_a_memory_limit_is_respected(cuts, tiny_settings: dict) -> None:
    _, shown, _ = cuts(limited(tiny_settings, 10**9), "--json")
    free = next(row for row in json.loads(shown)["profiles"] if row["profile"] == "large")
    least = _least_memory(cuts, tiny_settings)
    _, shown, _ = cuts(limited(tiny_settings, least), "--json")
    bound = next(row for row in json.loads(shown)["profiles"] if row["profile"] == "large")
    assert (free["generator"], free["discriminator"]) != ([0, 0], [0, 0]), "the limit forbids something"
    assert (bound["generator"], bound["discriminator"]) == ([0, 0], [0, 0])


def _least_memory(cuts, settings: dict) -> int:
    """What the error says that the device needs at least."""
    _, _, error = cuts(limited(settings, 1000))
    return int(error.split("needs at least ")[1].split(" bytes")[0].replace(",", ""))


def test_a_memory_limit_that_nothing_meets(cuts, tiny_settings: dict, tmp_path: Path) -> None:
    status, shown, error = cuts(limited(tiny_settings, 1000))
    assert status == 2
    assert shown == ""
    assert error.startswith("raygan: memory_bytes of device 'large': needs at least ")
    assert error.rstrip().endswith("bytes, has 1,000; use a smaller batch, narrower networks or more memory")
    assert list(tmp_path.glob("*.png")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--solver", "magic"], "cuts.solver: 'magic' does not fit; give 'exact', 'ga' or 'fixed'"),
        (["--out", "plan.pdf"], "--out: 'plan.pdf' is not a PNG; give a file name that ends in .png"),
        (["--out", "nowhere/plan.png"], "--out: no folder 'nowhere'; make it, or choose another --out"),
        (["--set", "cuts.time_limit_s=0"], "cuts.time_limit_s: 0 does not fit; give greater than 0"),
        (["--set", "devices.profiles.small.flops_per_s=0"], "devices.profiles.small.flops_per_s: 0"),
        (["--set", "devices.profiles.small.bytes_per_s=.nan"], "devices.profiles.small.bytes_per_s: nan"),
        (["--set", "devices.server.flops_per_s=-1"], "devices.server.flops_per_s: -1"),
    ],
)
def test_bad_input_is_one_line(cuts, tiny_settings: dict, arguments: list[str], message: str) -> None:
    status, shown, error = cuts(tiny_settings, *arguments)
    assert (status, shown, error.count("\n")) == (2, "", 1)
    assert message in error


def test_a_dry_run_says_the_latency(
    cuts, tiny_settings: dict, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _, shown, _ = cuts(tiny_settings, "--json")
    latency_s = json.loads(shown)["latency_s"]
    monkeypatch.setattr(sys, "argv", ["raygan", "train", "config.yaml", "--dry-run"])
    with pytest.raises(SystemExit):
        main()
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith(f"predicted latency of one iteration: {latency_s:.4g} s; proof (fixed, ")


def test_a_runs_cuts_are_by_client(cuts, tiny_settings: dict) -> None:
    """`cuts.json` is `Plan.to_json`, which `--json` prints with more."""
    document = make_plan(make_config(tiny_settings)).algorithm.documents["cuts"]
    assert [(row["client"], row["device"]) for row in document["clients"]] == list(
        enumerate(["small", "medium", "large"] * 2)
    )
    medium = document["clients"][1]
    assert (medium["generator"], medium["discriminator"]) == ([0, 1], [1, 0])
    busy_s = sum(medium["seconds"].values())
    assert 0 < busy_s <= document["latency_s"] * (1 + 1e-9)
    _, shown, _ = cuts(tiny_settings, "--json")
    printed = json.loads(shown)
    assert {key: printed[key] for key in document if key != "seconds"} == {
        key: value for key, value in document.items() if key != "seconds"
    }


def test_it_needs_no_ray(tmp_path: Path) -> None:
    code = "import sys, raygan.cli.cuts; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
