"""Each role is killed in each phase of a step and of a round's end; and a storm of kills at random moments.

`pytest -m slow -s tests/run/test_fault_matrix.py` prints the tables.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import threading
import time
from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.run.events import Listener
from raygan.run.stored import Run
from tests.run.kills import KINDS, POINTS, Campaign, FaultInjector, Injection, injector

__all__ = ["injector"]

NUM_KILLS = 50


def settings_for(tiny_settings: dict, rounds: int, **ray: object) -> dict:
    training = tiny_settings["training"] | {"rounds": rounds}
    return tiny_settings | {"training": training, "ray": tiny_settings["ray"] | ray}


def every_round_is_accounted_for(run: Run, rounds: int) -> None:
    assert run.ended
    assert run.metrics["round"].tolist() == list(range(1, rounds + 1))
    assert run.clusters["round"].drop_duplicates().tolist() == list(range(1, rounds + 1))
    assert run.rounds[-1] == rounds
    assert all(scores for scores in run.records["scores"])


def recovered(campaign: Campaign, injector: FaultInjector) -> dict[Injection, float]:
    """Injection -> seconds that it cost: what its round took longer than an undisturbed one; for the evaluator, from
    the injection to the round's scores."""
    fallen = injector.fallen()
    assert len(fallen) == len(campaign.injections), f"{len(campaign.injections) - len(fallen)} injections did not fall"
    hit = {}
    for injection, moment in zip(campaign.injections, fallen, strict=True):
        hit[injection] = max(n for n, (began, _) in campaign.rounds.items() if began <= moment)
    quiet = [ended - began for n, (began, ended) in campaign.rounds.items() if n and n not in hit.values()]
    cost = {}
    for (injection, number), moment in zip(hit.items(), fallen, strict=True):
        began, ended = campaign.rounds[number]
        if injection.kind == "evaluator":
            cost[injection] = min(told for told in campaign.told_at.values() if told > moment) - moment
        else:
            cost[injection] = max(0.0, ended - began - statistics.median(quiet))
    print(f"undisturbed round: {statistics.median(quiet):.1f} s")
    return cost


def print_table(costs: dict[Injection, float]) -> None:
    print("| role | phase | tries | survived | seconds to recover |")
    print("|---|---|---|---|---|")
    for kind, point in dict.fromkeys((injection.kind, injection.point) for injection in costs):
        mine = [seconds for injection, seconds in costs.items() if (injection.kind, injection.point) == (kind, point)]
        shown = ", ".join(f"{seconds:.1f}" for seconds in mine)
        print(f"| {kind} | {point} | {len(mine)} | {len(mine)} | {shown} |", flush=True)


def fight(
    injections: list[Injection],
    settings: dict,
    folder: Path,
    injector: FaultInjector,
    monkeypatch: pytest.MonkeyPatch,
) -> Campaign:
    """A run through all injections; every round is there, and all clients are back at its end."""
    campaign = Campaign(injector, injections)
    campaign.watch_rounds(monkeypatch)
    run = train(make_config(settings_for(settings, campaign.num_rounds)), folder / "run", listener=campaign)
    every_round_is_accounted_for(run, campaign.num_rounds)
    assert run.clusters.groupby("round").size().iloc[-1] == 6, "everybody is back"
    print_table(recovered(campaign, injector))
    return campaign


@pytest.mark.slow
def test_one_of_each_role_is_killed_in_one_run(
    small_ray: None,
    injector: FaultInjector,
    tiny_settings: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    injections = [
        Injection("client", "discriminator_loss", "after"),
        Injection("body", "adversarial backward"),
        Injection("aggregator", "average"),
        Injection("evaluator", "evaluate"),
    ]
    campaign = fight(injections, tiny_settings, tmp_path, injector, monkeypatch)
    assert not [fault for fault in campaign.faults if "set aside" in fault]


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("client",), ("body",), ("aggregator", "evaluator")], ids="-".join)
def test_every_role_in_every_phase(
    small_ray: None,
    injector: FaultInjector,
    tiny_settings: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kinds: tuple[str, ...],
) -> None:
    points = [(kind, point) for kind in kinds for point in POINTS[kind]]
    few = len(points) < 5
    injections = [
        Injection(kind, point, when)
        for number, (kind, point) in enumerate(points)
        for when in (("before", "after") if few else (("before", "after")[number % 2],))
    ]
    fight(injections, tiny_settings, tmp_path, injector, monkeypatch)


class Storm(Listener):
    """Kills an actor of a random kind at a random moment, again and again, by its process id."""

    def __init__(self, injector: FaultInjector, num_kills: int, seed: int) -> None:
        self._injector, self._random = injector, random.Random(seed)
        self._progress = threading.Event()
        self._num_kills = num_kills
        self.kills: list[str] = []
        self.faults: list[str] = []

    def on_step(self, *_) -> None:
        self._progress.set()

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def start(self) -> None:
        threading.Thread(target=self._rage, daemon=True).start()

    def _rage(self) -> None:
        while len(self.kills) < self._num_kills:
            self._progress.wait()
            time.sleep(self._random.uniform(0, 5))  # rounds of two seconds: most are struck
            kind = self._random.choice(list(KINDS))
            processes = self._injector.processes(kind)
            if processes:
                os.kill(self._random.choice(processes), signal.SIGKILL)
                self.kills.append(kind)
            self._progress.clear()  # the next one falls once steps go on


@pytest.mark.slow
def test_a_storm(small_ray: None, injector: FaultInjector, tiny_settings: dict, tmp_path: Path) -> None:
    """On digits and clothes, so that what is learnt can be compared: with the same run undisturbed, and two seeds."""
    rounds, limit = 70, {"clients": 3, "limit": 768}
    domains = [{"name": "demo_mnist", **limit}, {"name": "demo_fashion_mnist", **limit}]
    settings = settings_for(tiny_settings, rounds) | {
        "data": {"domains": domains},
        "model": {"width": 0.125},
        "training": {"rounds": rounds, "lr": 1e-3},
        "evaluation": {"images": 500},
    }
    storm = Storm(injector, NUM_KILLS, seed=0)
    storm.start()
    started = time.monotonic()
    run = train(make_config(settings), tmp_path / "run", listener=storm)
    seconds = time.monotonic() - started
    every_round_is_accounted_for(run, rounds)
    assert len(storm.kills) >= NUM_KILLS
    print(json.dumps({kind: storm.kills.count(kind) for kind in KINDS}), f"{seconds:.0f} s, {rounds} rounds")
    calm = [
        train(make_config(settings | {"seed": seed}), tmp_path / f"calm{seed}", in_process=True) for seed in (0, 1, 2)
    ]
    agreements = [agreement(run) for run in calm]
    print(f"label agreement {agreement(run):.3f}, undisturbed {agreements}", flush=True)
    noise = max(agreements) - min(agreements)
    assert agreement(run) > min(agreements) - max(noise, 0.05)


def agreement(run: Run) -> float:
    """Mean label agreement over the domains, of the last five rounds."""
    scores = [list(row.values()) for row in run.records["scores"].tolist()[-5:]]
    known = [score["label_agreement"] for row in scores for score in row]
    return statistics.mean(value for value in known if value is not None)
