"""`raygan audit` and `raygan cuts --leakage` on a tiny run: what they print, write and refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import raygan
from raygan.cli import audit as command_of_audit
from raygan.config.loading import make_config
from raygan.cuts.leakage import CutLeakage, Leakage
from raygan.errors import RunError
from raygan.names import NETWORKS
from raygan.privacy.audit import Effort, Meter
from raygan.privacy.document import ATTACKS, Audit, Row, read_audit
from raygan.privacy.subject import untrained
from raygan.report import write_report
from raygan.run.plan import make_plan
from tests.cli.command import command
from tests.federations import in_process

FEW = Effort(
    targets=16, known=24, decoder_steps=4, optimised_steps=4, probe_steps=40, correlated=16, members=16, samples=40
)


@pytest.fixture(scope="module")
def kept(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audited") / "run"
    settings = tiny_settings | {"training": {"rounds": 1, "batch_size": 8}, "clusters": {"count": 2}}
    return raygan.train(make_config(settings), path, in_process=True).path


@pytest.fixture
def run(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, and attacks that try less."""
    monkeypatch.setattr(command_of_audit, "EFFORT", FEW)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(kept, tmp_path / "run"))


def test_every_attack_at_every_cut_beside_chance(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Meter] = []
    attack = command_of_audit.audit
    monkeypatch.setattr(command_of_audit, "audit", lambda *of: bars.append(of[-1]) or attack(*of))
    outcome = command("audit", run, "--json")
    assert outcome.status == 0, outcome.err
    (bar,) = bars
    assert bar.done == bar.total > 0, "the bar is full when all is done"
    document = json.loads(outcome.out)
    assert json.loads((run / "audit.json").read_text()) == {k: v for k, v in document.items() if k != "weak"}
    rows = [Row.model_validate(row) for row in document["rows"]]
    assert {row.attack for row in rows} == set(ATTACKS)
    assert {(row.network, row.end, row.depth) for row in rows if row.attack == "labels"} == {
        ("discriminator", "head", 0), ("discriminator", "head", 1), ("discriminator", "tail", 0),
        ("discriminator", "tail", 1), ("generator", "head", 0), ("generator", "head", 1),
    }  # fmt: skip
    inversions = [row for row in rows if row.attack == "inversion" and row.domain == "domain0" and row.depth == 0]
    assert [row.attacker for row in inversions] == [
        "head, optimised images", "head, test images", "head, images of domain1", "first head, test images",
        "no head, test images",
    ]  # fmt: skip
    assert all(row.chance for row in rows)
    assert len(document["leakage"]["cuts"]) == 8
    worst = max(row.figures["ssim"] for row in rows if row.attack == "inversion" and row.depth == 1)
    told = {tuple(x["cut"]): x for x in document["leakage"]["cuts"] if x["network"] == "discriminator"}
    assert told[1, 0]["ssim"] == worst
    assert {row["attacker"] for row in document["controls"]} == {"identity head", "noise head"}
    assert any("inversion of identity head" in words for words in document["weak"]), "four steps are too few"
    assert document["pictures"] == ["domain-0.png", "domain-1.png"]
    for name in document["pictures"]:
        assert (run / "audit" / name).read_bytes().startswith(b"\x89PNG")
    page = (run / "report.html").read_text()
    assert "Privacy: what round 1 tells" in page
    assert "these attacks prove nothing" in page.lower()


def test_labels_are_told_by_heads_of_both_networks(run: Path) -> None:
    outcome = command("audit", run, "--attacks", "labels", "--json")
    rows = [row for row in json.loads(outcome.out)["rows"] if row["end"] == "head"]
    assert rows
    assert all(row["figures"]["label_accuracy"] > 0.9 > row["chance"]["majority"] for row in rows)


def test_tables_for_people(run: Path) -> None:
    outcome = command("audit", run, "--attacks", "distance_correlation,membership", "--round", 1)
    assert outcome.status == 0, outcome.err
    for words in ("distance correlation of images", "no grade", "members of the training set", "samples of G", "wrote"):
        assert words in outcome.out
    assert "images rebuilt" not in outcome.out


def test_the_noise_of_a_runs_clients_is_attacked_as_well(run: Path) -> None:
    def correlation(attacks: str) -> float:
        outcome = command("audit", run, "--attacks", attacks, "--json")
        rows = [row for row in json.loads(outcome.out)["rows"] if row["attack"] == "distance_correlation"]
        told.append(" ".join(json.loads(outcome.out)["notes"]))
        return max(row["figures"]["distance_correlation"] - row["chance"]["distance_correlation"] for row in rows)

    told: list[str] = []
    quiet = correlation("distance_correlation")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["privacy"]["activation_noise"] = 50.0
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert abs(correlation("distance_correlation,labels")) < 0.2 < quiet
    assert "without noise" in told[-1]


def test_where_no_networks_are_cut_only_membership_applies(
    tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_of_audit, "EFFORT", FEW)
    settings = {k: v for k, v in tiny_settings.items() if k != "cuts"} | {
        "algorithm": "md_gan",
        "training": {"rounds": 1},
    }
    path = raygan.train(make_config(settings), tmp_path / "run", in_process=True).path
    document = json.loads(command("audit", path, "--json").out)
    assert {row["attack"] for row in document["rows"]} == {"membership"}
    assert document["leakage"] is None
    assert "md_gan cuts no networks" in document["notes"][0]
    command("cuts", path, "--leakage").assert_refused("--leakage: md_gan cuts no networks; use algorithm: huscf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--attacks", "inversoin"), "--attacks: unknown attack 'inversoin'; did you mean 'inversion'?"),
        (("--attacks", ","), "--attacks: ',' names no attack; use one of inversion"),
        (("--round", 7), "there is no round 7; choose one of: 1"),
    ],
)
def test_what_cannot_be_audited(run: Path, arguments: tuple, words: str) -> None:
    command("audit", run, *arguments).assert_refused(words)
    assert not (run / "audit.json").exists()


def test_data_that_is_gone_or_has_become_another(run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["domains"][0]["npz"] = str(tmp_path / "gone.npz")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    command("audit", run).assert_refused("gone.npz")
    shutil.copy(config["data"]["domains"][1]["npz"], tmp_path / "gone.npz")
    command("audit", run).assert_refused("is not what the run began with: other images")


@pytest.mark.slow
def test_a_site_audits_what_lies_there(run: Path, tmp_path: Path) -> None:
    """The domains of other sites are told, and what they have found before stays."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    files = [domain["npz"] for domain in config["data"]["domains"]]

    def at_site(here: int) -> dict:
        for number, domain in enumerate(config["data"]["domains"]):
            domain["labels"] = {"site": str(number)}
            domain["npz"] = files[number] if number == here else str(tmp_path / "elsewhere.npz")
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        return json.loads(command("audit", run, "--attacks", "labels", "--json").out)

    first = at_site(0)
    assert {row["domain"] for row in first["rows"]} == {"domain0"}
    assert "elsewhere is not audited: it does not lie here" in first["notes"][0]
    assert {row["domain"] for row in at_site(1)["rows"]} == {"domain0", "domain1"}


def test_a_damaged_audit_is_one_line(run: Path) -> None:
    (run / "audit.json").write_text('{"round": "x"}')
    command("report", run).assert_refused("audit.json: is damaged", "audit the run again")
    outside = Audit(
        round=1, algorithm="huscf", seed=0, effort={}, rows=(), controls=(), pictures=("domain-0.png",)
    ).model_dump(mode="json")
    (run / "audit.json").write_text(json.dumps(outside | {"pictures": ["../../secret.png"]}))
    with pytest.raises(RunError, match=r"audit.json: is damaged \(pictures.0"):
        read_audit(run)
    (run / "audit.json").write_text(json.dumps(outside))
    assert "Privacy" in write_report(run).read_text(), "a picture that is gone is left out"


def measured(run: Path, ssim_of_identity: float) -> None:
    """An audit, made up: D's deeper heads tell less of images, all heads tell all labels."""
    cuts = [CutLeakage(network, (h, t), 0.9 - 0.2 * h, 1.0) for network in NETWORKS for h in (0, 1) for t in (0, 1)]
    control = Row(
        attack="inversion",
        domain="domain0",
        attacker="identity head",
        figures={"ssim": ssim_of_identity},
        chance={"ssim_class_mean": 0.5},
    )
    made = Audit(
        round=1, algorithm="huscf", seed=0, effort={}, rows=(), controls=(control,), leakage=Leakage(tuple(cuts))
    )
    made.save(run)


def test_every_cut_with_its_seconds_and_what_it_tells(run: Path, tmp_path: Path) -> None:
    measured(run, 0.5)
    command("cuts", run, "--leakage").assert_refused(
        "--leakage: the attacks are too weak to tell (inversion of identity"
    )
    measured(run, 0.99)
    asked = ("cuts", run, "--leakage", "--solver", "exact")
    outcome = command(*asked, "--set", "cuts.max_leakage={ssim: 0.8}")
    assert outcome.status == 0, outcome.err
    for words in ("iteration s", "SSIM", "labels", "the bound costs", "wrote cuts.png"):
        assert words in outcome.out
    assert (tmp_path / "cuts.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads(command(*asked, "--json").out)["leakage"]
    assert len(rows) == 16
    assert [row["latency_s"] for row in rows] == sorted(row["latency_s"] for row in rows)
    command(*asked, "--set", "cuts.max_leakage={label_accuracy: 0.1}").assert_refused(
        "cuts.max_leakage: no cut of some device keeps", "the nearest that can be kept is"
    )


def test_the_first_head_is_the_one_that_clients_begin_with(tiny_settings: dict) -> None:
    config = make_config(tiny_settings)
    started, subject = in_process(make_plan(config)), untrained(config)
    theirs = started.states()[0].blocks["discriminator", 0]
    started.close()
    for networks in (subject.initial, subject.networks(0)):
        mine = networks.discriminator[0].state_dict()
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(tensor.numpy(), theirs[name]) for name, tensor in mine.items())
