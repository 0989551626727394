"""A site's policy: what it refuses, what it allows, and that nothing is read before it has been asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from raygan.config import Config, site_policy
from raygan.config.loading import make_config
from raygan.data import source, survey_domain
from raygan.data.admission import Request, fixed_heads
from raygan.errors import PolicyError
from raygan.parties import evaluator
from raygan.parties.evaluator import Evaluator
from raygan.run.metrics import links
from raygan.run.plan import make_plan, planned
from raygan.run.scoring import evaluator_plan
from tests.cli.command import command

Write = Callable[..., Path]
DP = {"algorithm": "fed_gan", "privacy": {"dp": {"epsilon": 5}}}


@pytest.fixture(autouse=True)
def _no_policy_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(site_policy.VARIABLE, raising=False)
    monkeypatch.setattr(site_policy, "SYSTEM_FILE", tmp_path / "etc" / "site-policy.yaml")
    monkeypatch.setattr(site_policy, "_home", lambda: tmp_path / "home")
    monkeypatch.setattr(site_policy, "_of_ancestors", lambda: ())


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Writes a policy of which the environment tells."""

    def write(**rules: object) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(rules))
        monkeypatch.setenv(site_policy.VARIABLE, str(path))
        return path

    return write


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of data as they are opened, of which nothing is remembered."""
    found: list[str] = []
    honest = source._open
    monkeypatch.setattr(source, "_open", lambda domain, *more: found.append(domain.npz) or honest(domain, *more))
    source.clear_caches()
    return found


REFUSED = [
    (
        {"allow": {"algorithms": ["fed_gan", "local"]}},
        {},
        "allow.algorithms: huscf is asked, fed_gan, local is allowed",
    ),
    ({"allow": {"algorithms": []}}, {}, "allow.algorithms: huscf is asked, none is allowed"),
    ({"minimum_cut": 1}, {}, "minimum_cut: a head of D with h = 0 is asked, h = 1 and more is allowed"),
    (
        {"minimum_cut": 0},
        {"algorithm": "central"},
        "minimum_cut: algorithm central, which takes the images themselves,",
    ),
    ({"max_leakage": {"ssim": 0.9}}, {}, "max_leakage.ssim: cuts.max_leakage: null is asked, at most 0.9 is allowed"),
    (
        {"max_leakage": {"ssim": 0.9, "label_accuracy": 0.5}},
        {"cuts": {"leakage": "a.json", "max_leakage": {"ssim": 0.9, "label_accuracy": 0.6}}},
        "max_leakage.label_accuracy: cuts.max_leakage.label_accuracy 0.6 is asked, at most 0.5 is allowed",
    ),
    ({"max_epsilon": 4}, DP, "max_epsilon: privacy.dp.epsilon 5 is asked, at most 4 is allowed"),
    (
        {"max_epsilon": 4},
        {"algorithm": "fed_gan"},
        "max_epsilon: privacy.dp: null is asked, privacy.dp with an epsilon",
    ),
    ({"max_epsilon": 9}, {**DP, "algorithm": "huscf"}, "max_epsilon: algorithm huscf, which tells activations of its"),
    (
        {"max_epsilon": 9},
        {**DP, "privacy": {"dp": {"epsilon": 5, "seeded": True}}},
        "max_epsilon: privacy.dp.seeded: true is asked",
    ),
    (
        {"max_epsilon": 9},
        {**DP, "privacy": {"dp": {"epsilon": 5, "delta": 1e-3}}},
        "max_delta: privacy.dp.delta 0.001 is asked, at most 1e-05 is allowed",
    ),
    ({"min_images": 33}, {}, "min_images: client-00 with fewer is asked, at least 33 is allowed"),
    (
        {"require": ["secure_aggregation"]},
        {},
        "require: privacy.secure_aggregation: false is asked, true is allowed",
    ),
    (
        {"require": ["secure_aggregation", "hide_discriminator"]},
        {"privacy": {"secure_aggregation": True}},
        "require: privacy.hide_discriminator: false is asked, true is allowed",
    ),
]
ALLOWED = [
    ({"allow": {"algorithms": ["huscf"]}}, {}),
    ({"minimum_cut": 0}, {}),
    ({"minimum_cut": 1}, {"cuts": {"solver": "fixed", "fixed": {"small": {"discriminator": [1, 0]}}}}),
    ({"minimum_cut": 3}, {"algorithm": "fed_gan"}),
    ({"max_leakage": {"ssim": 0.9}}, {"cuts": {"leakage": "a.json", "max_leakage": {"ssim": 0.9}}}),
    ({"max_leakage": {"ssim": 0.1}}, {"algorithm": "local"}),
    ({"max_epsilon": 5}, DP),
    ({"max_epsilon": 9, "max_delta": 1e-3}, {**DP, "privacy": {"dp": {"epsilon": 5, "delta": 1e-3}}}),
    ({"min_images": 32}, {}),
    ({"require": ["secure_aggregation"]}, {"privacy": {"secure_aggregation": True}}),
]


@pytest.mark.parametrize(("rules", "changes", "found"), REFUSED, ids=lambda value: str(value)[:40])
def test_each_rule_refuses(
    rules: dict, changes: dict, found: str, two_clients: dict, policy: Write, opened: list[str]
) -> None:
    """In one line, before any data is opened; images must be counted to be too few."""
    path = policy(**rules)
    with pytest.raises(PolicyError) as raised:
        survey_domain(make_config(two_clients | changes), 0)
    line = str(raised.value)
    assert line.startswith(
        f"data.domains[0] (domain0): the site policy {path} on {os.uname().nodename} refuses: {found}"
    )
    assert line.endswith("; change what is asked, or ask the site's owner")
    assert bool(opened) == ("min_images" in rules)


@pytest.mark.parametrize(("rules", "changes"), ALLOWED, ids=lambda value: str(value)[:40])
def test_each_rule_allows(rules: dict, changes: dict, two_clients: dict, policy: Write) -> None:
    policy(**rules)
    assert survey_domain(make_config(two_clients | changes), 0).holdings[0].num_images == 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("", "holds no rule"),
        ("a: [", "is not YAML"),
        ("minimum_cut: -1", "minimum_cut: -1 does not fit"),
        ("minimun_cut: 1", "minimun_cut: unknown key"),
        ("allow: {algorithms: [huscv]}", "unknown name 'huscv'"),
        ("1: 2", "a key is no word"),
    ],
)
def test_a_policy_that_cannot_be_followed_refuses(
    text: str | None, found: str, two_clients: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(site_policy.VARIABLE, str(path))
    with pytest.raises(PolicyError) as raised:
        survey_domain(make_config(two_clients), 0)
    assert f"the site policy {path} on {os.uname().nodename} cannot be followed: " in str(raised.value)
    assert found in str(raised.value)


def test_a_relative_path_of_a_policy_refuses(two_clients: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(site_policy.VARIABLE, "policy.yaml")
    with pytest.raises(PolicyError, match="RAYGAN_SITE_POLICY is no whole path"):
        survey_domain(make_config(two_clients), 0)


@pytest.mark.parametrize("place", ["etc/site-policy.yaml", "home/.raygan/site-policy.yaml"])
def test_no_policy_makes_up_for_another(place: str, two_clients: dict, policy: Write, tmp_path: Path) -> None:
    """The variable's, which may be the driver's, allows all."""
    policy(minimum_cut=0)
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("minimum_cut: 2")
    with pytest.raises(PolicyError, match="h = 0 is asked, h = 2 and more is allowed"):
        survey_domain(make_config(two_clients), 0)


def test_a_link_to_nowhere_refuses(two_clients: dict, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "site-policy.yaml").symlink_to("gone")
    with pytest.raises(PolicyError, match="cannot be read"):
        survey_domain(make_config(two_clients), 0)


def test_the_variable_of_the_process_above_counts_as_well() -> None:
    """A driver's `runtime_env` changes a worker's environment, not its raylet's."""
    ask = "from raygan.config import site_policy; print(*site_policy._of_ancestors(), sep='\\n')"
    start = (
        "import os, subprocess, sys; from raygan.config.site_policy import VARIABLE; "
        f"subprocess.run([sys.executable, '-c', {ask!r}], env=os.environ | {{VARIABLE: '/driver'}})"
    )
    environment = {**os.environ, site_policy.VARIABLE: "/site"}
    told = subprocess.run([sys.executable, "-c", start], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split()[0] == "/site"


def test_nothing_is_opened_before_the_site_has_allowed_it(
    two_clients: dict, policy: Write, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the survey, a client and an evaluator; each of them is seen to open data where it is allowed."""
    monkeypatch.setattr(evaluator, "load_or_train", lambda *_: None)
    config = make_config(two_clients)
    source.clear_caches()
    plan = make_plan(config)
    scores = evaluator_plan(config, plan.shape, plan.layout.spec, None, plan.infos)
    steps: dict[str, Callable[[], object]] = {
        "survey": lambda: make_plan(config),
        "clients": lambda: plan.algorithm.parties().workers[0].make(_cpu()),
        "scores": lambda: Evaluator(scores).prepare(),
    }
    for name, step in steps.items():
        source.clear_caches()
        opened.clear()
        monkeypatch.delenv(site_policy.VARIABLE, raising=False)
        step()
        assert opened, f"{name} reads data"
        policy(allow={"algorithms": ["local"]})
        source.clear_caches()
        opened.clear()
        with pytest.raises(PolicyError, match=r"allow\.algorithms: huscf is asked"):
            step()
        assert not opened, name


def test_a_client_that_starts_again_and_is_refused_takes_no_part(two_clients: dict, policy: Write) -> None:
    """Its site has changed its policy since the run began."""
    plan = make_plan(make_config(two_clients))
    policy(minimum_cut=1)
    worker = plan.algorithm.parties().workers[0].make(_cpu(), again=True)
    told = worker.check_in()
    assert not told.num_images
    assert "minimum_cut: a head of D with h = 0 is asked" in str(told.lost[0])
    worker.begin_round(1)
    assert links([worker.traffic()])["links"] == {"site -> client": {"Images (refused)": {"records": 2, "bytes": 0}}}


@pytest.mark.parametrize("algorithm", ["fed_gan", "md_gan"])
def test_whole_discriminators_ask_as_well(algorithm: str, two_clients: dict, policy: Write) -> None:
    plan = make_plan(make_config(two_clients | {"algorithm": algorithm}))
    policy(allow={"algorithms": ["local"]})
    with pytest.raises(PolicyError, match=f"{algorithm} is asked, local is allowed"):
        plan.algorithm.parties().workers[0].make(_cpu())


def test_a_client_is_counted_where_it_loads(two_clients: dict, policy: Write) -> None:
    plan = make_plan(make_config(two_clients))
    policy(min_images=33)
    with pytest.raises(PolicyError, match="client-00 with fewer is asked, at least 33 is allowed"):
        plan.algorithm.parties().workers[0].make(_cpu())


def test_planned_cuts_are_refused_before_a_run(tiny_settings: dict, policy: Write) -> None:
    """They are known once the site has answered; no client keeps this many blocks."""
    path = policy(minimum_cut=99)
    config = make_config(tiny_settings | {"cuts": {"solver": "exact"}})
    assert fixed_heads(config, 0) == ()
    with pytest.raises(PolicyError, match="minimum_cut: a head of D with h = ") as raised, planned(config, True):
        pass
    assert f"the site policy {path} on " in str(raised.value)


def heads_of(config: Config) -> list[int]:
    return [plan.discriminator_cut[0] for plan in make_plan(config).layout.clients]


def test_cuts_are_planned_within_what_the_site_allows(
    tiny_settings: dict, policy: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either solver, with the proof among what is left; it is the plan of devices that must keep the block."""
    for solver in ("exact", "ga"):
        config = make_config(tiny_settings | {"cuts": {"solver": solver, "ga": {"population": 40, "generations": 30}}})
        monkeypatch.delenv(site_policy.VARIABLE, raising=False)
        assert 0 in heads_of(config), "which is faster"
        policy(minimum_cut=1)
        assert set(heads_of(config)) == {1}
        assert make_plan(config).algorithm.documents["cuts"]["optimal"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**tiny_settings, "cuts": {"solver": "exact"}}))
    table = json.loads(command("cuts", tmp_path / "run.yaml", "--json").out)
    assert {client["discriminator"][0] for client in table["clients"]} == {1}
    asked = ("cuts", tmp_path / "run.yaml", "--replicas", "1,2")
    one, _ = json.loads(command(*asked, "--json").out)["replicas"]
    assert one["latency_s"] == pytest.approx(table["latency_s"]), "the same cuts"
    path = policy(minimum_cut=9)
    for refused in (asked[:2], asked):
        command(*refused).assert_refused(
            f"data.domains: the site policy {path} on {os.uname().nodename} allows D's heads of h = 9 and more, and no"
        )


def test_the_heads_are_those_of_the_domains_own_profiles(tiny_settings: dict) -> None:
    one = [{**domain, "clients": 1} for domain in tiny_settings["data"]["domains"]]
    config = make_config(tiny_settings | {"data": {"domains": one}, "clusters": {}})
    assert [fixed_heads(config, index) for index in range(2)] == [(0,), (1,)]  # small's, medium's


def test_the_log_has_what_was_allowed_and_what_was_refused(two_clients: dict, policy: Write, tmp_path: Path) -> None:
    policy(minimum_cut=1, log="asked.jsonl")
    config = make_config(two_clients)
    Request(config, 1, "client-01", (2,)).admitted()
    with pytest.raises(PolicyError):
        Request(config, 0, "survey", (0, 1)).admitted()
    yes, no = map(json.loads, (tmp_path / "asked.jsonl").read_text().splitlines())
    assert (yes["decision"], yes["for"], yes["data"], yes["heads"]) == (
        "allowed", "client-01", "data.domains[1] (domain1)", [2],
    )  # fmt: skip
    assert (no["decision"], no["for"], no["key"], no["allowed"]) == (
        "refused",
        "survey",
        "minimum_cut",
        "h = 1 and more",
    )
    assert no["algorithm"] == "huscf"


def test_what_cannot_be_written_down_is_refused(two_clients: dict, policy: Write, tmp_path: Path) -> None:
    policy(minimum_cut=0, log="nowhere/asked.jsonl")
    with pytest.raises(PolicyError, match=r"the log .*nowhere/asked.jsonl of the site policy .* cannot be written"):
        survey_domain(make_config(two_clients), 0)


def _cpu() -> object:
    import torch

    return torch.device("cpu")
