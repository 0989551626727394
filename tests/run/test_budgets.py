"""Differentially private runs: budgets that end, resume, what is told, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from opacus.accountants import RDPAccountant

from raygan.api import resume, train
from raygan.cli.train import show_plan
from raygan.config.loading import make_config
from raygan.errors import ConfigError, StoppedError
from raygan.report import write_report
from raygan.run.budgets import Budgets
from raygan.run.events import Listener
from raygan.run.plan import make_plan
from raygan.secure.fixed_point import STEP
from raygan.wire.records import Lost, Spending
from tests.rounds import assert_same_training, rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections
from tests.run.test_resume import arrays_of_round

__all__ = ["injector"]

DP = {"epsilon": 1e6, "noise_multiplier": 1.0, "clip": 1.0, "seeded": True}
SOUND, QUICK = ("local", "fed_gan", "md_gan", "fed_split_gan"), ("fed_gan", "md_gan")


@pytest.fixture
def settings(two_clients: dict) -> dict[str, Any]:
    alone = {key: value for key, value in two_clients.items() if key not in ("clusters", "cuts")}
    training = two_clients["training"] | {"rounds": 3}
    return alone | {"algorithm": "fed_gan", "training": training, "privacy": {"dp": DP}}


def private(settings: dict, **changes: Any) -> dict[str, Any]:
    return settings | {"privacy": {"dp": {**DP, **changes}}}


class Told(Listener):
    def __init__(self, rounds: int = 10**6) -> None:
        self.faults: list[str] = []
        self._rounds = rounds

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_round(self, metrics: dict[str, Any]) -> None:
        self._rounds -= 1

    def should_stop(self) -> bool:
        return self._rounds <= 1


@pytest.mark.parametrize("algorithm", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in SOUND])
def test_a_run_tells_epsilon_of_each_client(settings: dict, tmp_path: Path, algorithm: str) -> None:
    """In its lines, in what TensorBoard writes (every number of `Run.metrics`), and in the report."""
    short = settings | {"algorithm": algorithm, "training": settings["training"] | {"rounds": 2}}
    run = train(make_config(short), tmp_path / "run", in_process=True)
    lines = rounds_of(run.path)
    assert [line["privacy"]["delta"] for line in lines] == [1e-5] * 2
    for client in "01":
        spent = [line["privacy"]["clients"][client] for line in lines]
        assert 0 < spent[0] < spent[1]
        assert run.metrics[f"privacy/clients/{client}"].tolist() == spent
    assert all("discriminator_real" not in line["statistics"] for line in lines)
    assert f"{lines[-1]['privacy']['clients']['0']:.4g}" in write_report(run.path).read_text()


def test_a_resumed_run_has_spent_what_it_had_spent(settings: dict, tmp_path: Path) -> None:
    """And is, seeded, the run that had no interruption."""
    config = make_config(settings)
    whole = train(config, tmp_path / "whole", in_process=True)
    cut = train(config, tmp_path / "cut", in_process=True, listener=Told(2))
    assert not cut.ended
    assert resume(cut.path, in_process=True).ended
    assert arrays_of_round(cut.path, 3) == arrays_of_round(whole.path, 3)
    of_both = [[line["privacy"] for line in rounds_of(run.path)] for run in (cut, whole)]
    assert of_both[0] == of_both[1]


def two_rounds(settings: dict) -> float:
    """An epsilon that lasts for two rounds of four updates, and one update more."""
    plan = make_plan(make_config(settings))
    held, steps = plan.holdings[0].num_images, plan.holdings[0].num_images // 8
    from raygan.parties.budget import epsilon_of

    return epsilon_of(1.0, 8 / held, 2 * steps + 1, 1e-5) + 1e-9


def test_the_run_ends_where_budgets_do(settings: dict, tmp_path: Path) -> None:
    """In the third of six rounds one update is left; it is scored, summed up, and has ended for whoever asks."""
    epsilon = two_rounds(settings)
    longer = settings | {"training": settings["training"] | {"rounds": 6}}
    told = Told()
    run = train(make_config(private(longer, epsilon=epsilon)), tmp_path / "run", in_process=True, listener=told)
    lines = rounds_of(run.path)
    assert len(lines) == 3
    assert lines[-1]["privacy"]["epsilon"] == pytest.approx(epsilon, abs=1e-5)
    assert lines[-1]["privacy"]["spent"] == [0, 1]
    assert sum("has spent its privacy budget" in fault for fault in told.faults) == 2
    assert "the run ends after round 3" in told.faults[-1]
    assert any("is spent in about round 3" in fault for fault in told.faults), "known before it begins"
    assert run.ended
    assert run.summary["budgets_spent"]
    assert resume(run.path, in_process=True).ended
    more = resume(run.path, changes=["training.rounds=8"], in_process=True, listener=Told())
    assert len(rounds_of(more.path)) == 3, "nothing is left to spend"


def test_a_client_whose_budget_ends_sits_out_the_rest(settings: dict, tmp_path: Path) -> None:
    """The second client has fewer images, so each of its updates spends more."""
    first, second = settings["data"]["domains"]
    unequal = settings | {"data": {"domains": [first, second | {"limit": 16}]}}
    told = Told()
    run = train(
        make_config(private(unequal, epsilon=two_rounds(settings) * 1.5)),
        tmp_path / "run",
        in_process=True,
        listener=told,
    )
    lines = rounds_of(run.path)
    assert [line["clients"] for line in lines] == [2, 2, 1]
    assert [line["privacy"]["spent"] for line in lines] == [[], [1], [1]]
    assert lines[1]["privacy"]["clients"]["1"] == lines[2]["privacy"]["clients"]["1"]


class Dies(Listener):
    """The driver dies in the second round, of which nothing is kept."""

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        if round_number == 1:
            raise KeyboardInterrupt


def test_work_that_was_lost_is_spent_all_the_same(settings: dict, tmp_path: Path) -> None:
    """Whoever received what came of it may keep it: a resumed run counts the round that was begun."""
    config = make_config(private(settings, seeded=False))
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", in_process=True, listener=Dies())
    kept = json.loads((tmp_path / "run" / "privacy.json").read_text())
    steps = kept["begun"]["0"]
    assert kept["updates"]["0"] == steps > 0
    run = resume(tmp_path / "run", in_process=True)
    kept = json.loads((run.path / "privacy.json").read_text())
    assert kept == {"updates": {"0": 4 * steps, "1": 4 * steps}, "begun": {}}
    lines = rounds_of(run.path)
    whole = train(make_config(settings), tmp_path / "whole", in_process=True)
    assert [
        line["privacy"]["clients"]["0"] > other["privacy"]["clients"]["0"]
        for line, other in zip(lines, rounds_of(whole.path), strict=True)
    ] == [False, True, True]


def test_a_run_whose_only_round_was_lost_again_and_again_stops(settings: dict, tmp_path: Path) -> None:
    config = make_config(private(settings, seeded=False, epsilon=two_rounds(settings)))

    class AtOnce(Dies):
        def on_step(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", in_process=True, listener=AtOnce())
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            resume(tmp_path / "run", in_process=True, listener=AtOnce())
    with pytest.raises(StoppedError, match="no round is done: rounds that were begun count as spent"):
        resume(tmp_path / "run", in_process=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "huscf"}, "huscf leaves, beside D, activations of its images; use one of local, fed_"),
        ({"algorithm": "central"}, "leaves, beside D, its images"),
        ({"algorithm": "ua_gan"}, "how many images of each class it holds"),
        ({"algorithm": "pfl_gan"}, "how many images of each class it holds"),
        ({"algorithm": "clustered_fed_gan"}, "the mean of its images' activations"),
        ({"algorithm": "hierarchical"}, "the mean of its images' activations"),
        ({"training": {"r1": 1.0}}, "training.r1: 1 beside privacy.dp"),
        ({"training": {"loss": "relativistic"}}, "training.loss: relativistic beside privacy.dp"),
        ({"model": {"spectral_norm": True}}, "model.spectral_norm: true beside privacy.dp"),
        ({"privacy": {"dp": {"delta": 0.1}}}, r"privacy.dp.delta: 0.1, for client-00 with \d+ images"),
        ({"privacy": {"dp": {"epsilon": 0.01}}}, r"privacy.dp.epsilon: 0.01, but one update of client-00 .* spends"),
        ({"privacy": {"dp": {"epsilon": 0}}}, "privacy.dp.epsilon"),
        ({"privacy": {"dp": {"delta": 1}}}, "privacy.dp.delta"),
        ({"privacy": {"dp": {"clip": -1}}}, "privacy.dp.clip"),
        ({"privacy": {"dp": {"noise_multiplier": 0}}}, "privacy.dp.noise_multiplier"),
        ({"privacy": {"dp": {"noise": 1}}}, "privacy.dp.noise: unknown key; use one of epsilon"),
    ],
)  # fmt: skip
def test_what_contradicts_it_is_refused(settings: dict, changes: dict, words: str) -> None:
    merged = {
        key: {**settings.get(key, {}), **value} if isinstance(value, dict) else value for key, value in changes.items()
    }
    with pytest.raises(ConfigError, match=words):
        make_plan(make_config(settings | merged))


def test_a_missing_extra_is_one_line(settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(ConfigError, match=r"privacy.dp: Opacus cannot be imported .*; install raygan\[dp\]"):
        make_plan(make_config(settings))


def test_an_algorithm_of_ones_own_must_say_what_it_discloses() -> None:
    from raygan.algorithms.base import Algorithm

    assert Algorithm.discloses == "what nobody has looked through"


@pytest.mark.slow
def test_actors_compute_the_same(small_ray: None, settings: dict, tmp_path: Path) -> None:
    config = make_config(settings)
    here, there = train(config, tmp_path / "here", in_process=True), train(config, tmp_path / "there")
    assert arrays_of_round(here.path, 3) == arrays_of_round(there.path, 3)
    assert_same_training(here.path, there.path)


def test_noised_networks_are_summed_under_masks_as_well(tiny_settings: dict, tmp_path: Path) -> None:
    """The aggregator learns the same average and each client has spent the same; the other defence costs it nothing."""
    alone = {key: value for key, value in tiny_settings.items() if key not in ("clusters", "cuts")}
    training = tiny_settings["training"] | {"rounds": 1}
    settings = alone | {"algorithm": "fed_gan", "fed_gan": None, "training": training}
    plain, masked = (
        train(make_config(settings | {"privacy": privacy}), tmp_path / f"run{len(privacy)}", in_process=True)
        for privacy in ({"dp": DP}, {"dp": DP, "secure_aggregation": True})
    )
    (line,), (expected,) = rounds_of(masked.path), rounds_of(plain.path)
    assert line["privacy"] == expected["privacy"]
    assert "MaskedState" in line["links"]["client -> aggregator"]
    assert "State" not in line["links"]["client -> aggregator"]
    arrays = [run.discriminator_states(1, 0) for run in (masked, plain)]
    for found, theirs in zip(*(blocks.values() for blocks in arrays), strict=True):
        for name, array in found.items():
            np.testing.assert_allclose(array, theirs[name], rtol=2.0**-22, atol=3 * STEP)


@pytest.mark.slow
@pytest.mark.parametrize(
    "injection",
    [
        Injection("client", "train", "after", name="client-00"),
        Injection("client", "check_in", name="client-00"),
        Injection("client", "spending", name="client-00"),
        Injection("client", "spending", "after", name="client-00"),
        Injection("client", "save", name="client-00"),
        Injection("client", "save", "after", name="client-00"),
    ],
    ids=str,
)
def test_a_client_that_is_killed_with_what_it_had_spent_neither_forgets_nor_spends_twice(
    small_ray: None, injector: FaultInjector, settings: dict, tmp_path: Path, injection: Injection
) -> None:
    """SIGKILL in the second of three rounds, once others may have seen its updates and before its file has their count.
    What it had begun counts once: as much as of the client that lived, but for a round in which it was not back yet."""
    injections = Injections(injector, {1: injection})
    apart = private(settings, seeded=False) | {"ray": settings["ray"] | {"clients_per_actor": 1}}
    run = train(make_config(apart), tmp_path / "run", listener=injections)
    assert run.ended
    assert not injector.armed
    assert injections.told("clients-00", "was lost") or injections.told("client-00", "was lost")
    steps = make_plan(run.config).holdings[0].num_images // 8
    kept = json.loads((run.path / "privacy.json").read_text())
    is_back = rounds_of(run.path)[2]["clients"] == 2
    assert kept == {"updates": {"0": (2 + is_back) * steps, "1": 3 * steps}, "begun": {}}
    told = rounds_of(run.path)[1]["privacy"]["clients"]
    assert told["0"] == told["1"] > rounds_of(run.path)[0]["privacy"]["clients"]["0"]


class Answers:
    """A backend whose workers answer at once, each for its client, or are not there."""

    def __init__(self, told: dict[int, Spending | Lost]) -> None:
        self.told = told

    @property
    def workers(self) -> dict[int, Any]:
        def ask(worker: int) -> Any:
            return SimpleNamespace(call=lambda *_: None, call_many=lambda *_: [self.told[worker]])

        return {worker: ask(worker) for worker in self.told}

    def fetch(self, answers: list[Spending | Lost]) -> list[Spending | Lost]:
        return answers


@pytest.mark.parametrize("when", ["in the round", "when it is asked"])
def test_a_lost_client_s_epsilon_is_of_all_that_it_has_begun(settings: dict, tmp_path: Path, when: str) -> None:
    config, (q, sigma, delta) = make_config(private(settings, seeded=False)), (0.1, 1.0, 1e-5)
    layout = SimpleNamespace(worker_of={0: 0, 1: 1}, workers=[SimpleNamespace(ids=(0,)), SimpleNamespace(ids=(1,))])
    answers = Answers({client: Spending(client, 0, 0.0, 1000, q) for client in (0, 1)})
    budgets = Budgets(config, layout, tmp_path / "privacy.json", answers, Told())
    budgets.restored()
    budgets.begin(SimpleNamespace(clients=(0, 1), num_steps=4))
    answers.told = {1: Spending(1, 4, 1.5, 1000, q)}
    gone = [0] if when == "in the round" else []
    if not gone:
        answers.told[0] = Lost("killed")
    lost, other = budgets.end(SimpleNamespace(lost=gone, gone=gone)).values()
    assert json.loads((tmp_path / "privacy.json").read_text()) == {"updates": {"0": 4, "1": 4}, "begun": {}}
    accountant = RDPAccountant()
    accountant.history = [(sigma, q, 4)]
    assert (lost.updates, other.updates, other.epsilon) == (4, 4, 1.5)
    assert lost.epsilon == pytest.approx(accountant.get_epsilon(delta))


def test_a_dry_run_says_when_budgets_end(settings: dict, capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(make_config(private(settings, epsilon=two_rounds(settings))))
    assert "is spent in about round 3" in capsys.readouterr().out
