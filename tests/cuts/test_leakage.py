"""Cuts that tell more than a bound are not chosen, by any solver, and what cannot be kept is one line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from raygan.config.loading import make_config
from raygan.config.schema import MaxLeakage
from raygan.cuts import Device, NetworkCost, Server, plan
from raygan.cuts.leakage import Bound, CutLeakage, Leakage, read_leakage
from raygan.errors import ConfigError, CutError
from raygan.run.plan import make_plan

CUTS = [(0, 0), (0, 1), (1, 0), (1, 1)]
COST = NetworkCost(
    forward_flops=[1e6, 4e6, 2e6, 3e6, 1e5],
    backward_flops=[2e6, 8e6, 4e6, 6e6, 2e5],
    output_bytes=[4e5, 4e5, 1e5, 2e6, 1e3],
)
DEVICES = [Device("slow", 1e8, 1e6), Device("fast", 1e10, 1e7)]


def leakage(labels_at_g: float = 0.2) -> Leakage:
    """A deeper head of D tells less of images, a longer tail more of labels."""
    of_d = {(0, 0): (0.9, 0.3), (0, 1): (0.9, 0.8), (1, 0): (0.6, 0.3), (1, 1): (0.6, 0.8)}
    return Leakage(
        tuple(CutLeakage("generator", cut, 0.0, labels_at_g) for cut in CUTS)
        + tuple(CutLeakage("discriminator", cut, *of_d[cut]) for cut in CUTS)
    )


def planned(solver: str = "exact", most: MaxLeakage | None = None, **more: object):
    bound = None if most is None else Bound(most, leakage())
    server = Server(1e11, 1e8)
    return plan(generator=COST, discriminator=COST, devices=DEVICES, server=server, solver=solver, bound=bound, **more)


def best_by_trial(allowed: set[tuple[int, int]]) -> float:
    """The fastest plan whose cuts of D are allowed, of all that there are."""
    pairs = [(g, d) for g in CUTS for d in allowed]
    free = planned()
    return min(free.problem.latency(free.problem.choice_of(choice)) for choice in itertools.product(pairs, repeat=2))


@pytest.mark.parametrize("solver", ["exact", "ga"])
@pytest.mark.parametrize(
    ("most", "allowed"),
    [
        (MaxLeakage(ssim=0.7), {(1, 0), (1, 1)}),
        (MaxLeakage(label_accuracy=0.5), {(0, 0), (1, 0)}),
        (MaxLeakage(ssim=0.6, label_accuracy=0.3), {(1, 0)}),
    ],
)
def test_the_fastest_plan_that_keeps_the_bound(solver: str, most: MaxLeakage, allowed: set) -> None:
    found = planned(solver, most)
    assert {d for _, d in found.cuts} <= allowed
    assert found.latency_s == pytest.approx(best_by_trial(allowed))
    assert found.optimal or solver == "ga"
    assert found.latency_s > planned().latency_s, "the bound forbids what would be fastest"


def test_given_cuts_are_held_against_it() -> None:
    with pytest.raises(CutError, match=r"cuts of device 'slow': .* tells more than cuts.max_leakage; give another cut"):
        planned(most=MaxLeakage(ssim=0.7), cuts=[((0, 0), (0, 0)), ((0, 0), (1, 0))])
    assert planned(most=MaxLeakage(ssim=0.7), cuts=[((0, 0), (1, 0))] * 2).solver == "fixed"


def test_a_bound_that_cannot_be_kept_names_the_nearest_that_can() -> None:
    message = (
        r"cuts.max_leakage: no cut of some device keeps ssim 0.5 and label_accuracy 0.3; the nearest that can be kept is "
        r"\{ssim: 0.6, label_accuracy: 0.3\}, with G cut at \(0, 0\), D at \(1, 0\)"
    )
    with pytest.raises(CutError, match=message):
        planned(most=MaxLeakage(ssim=0.5, label_accuracy=0.3))
    assert planned(most=MaxLeakage(ssim=0.6, label_accuracy=0.3)).optimal


def test_the_generator_tells_labels_too() -> None:
    with pytest.raises(CutError, match=r"nearest that can be kept is \{ssim: 1, label_accuracy: 0.95\}"):
        Bound(MaxLeakage(label_accuracy=0.5), leakage(labels_at_g=0.95)).allows(
            (tuple(CUTS), tuple(CUTS)), planned().problem.allowed
        )


def test_a_run_is_planned_by_an_audit(tiny_settings: dict, tmp_path: Path) -> None:
    found = leakage()
    rows = [
        {"network": x.network, "cut": x.cut, "ssim": x.ssim, "label_accuracy": x.label_accuracy} for x in found.cuts
    ]
    (tmp_path / "audit.json").write_text(json.dumps({"leakage": {"cuts": rows}}))
    assert read_leakage(str(tmp_path)) == read_leakage(str(tmp_path / "audit.json")) == found
    cuts = {"solver": "exact", "max_leakage": {"ssim": 0.7}, "leakage": str(tmp_path)}
    chosen = make_plan(make_config(tiny_settings | {"cuts": cuts})).algorithm.documents["cuts"]["clients"]
    assert {client["discriminator"][0] for client in chosen} == {1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cuts.leakage: there is no audit at .*; measure it with raygan audit"),
        ("{}", "has no leakage by cut; audit with inversion and labels"),
        ('{"leakage": {"cuts": 3}}', "is damaged"),
    ],
)
def test_an_audit_that_says_nothing(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "audit.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_leakage(str(tmp_path))


def test_a_bound_needs_an_audit(tiny_settings: dict) -> None:
    settings = tiny_settings | {"cuts": {"solver": "exact", "max_leakage": {"ssim": 0.3}}}
    with pytest.raises(ConfigError, match=r"cuts\.max_leakage: nothing says how much a cut tells; set cuts.leakage"):
        make_plan(make_config(settings))


@pytest.mark.parametrize("bound", [{"ssim": 1.5}, {"label_accuracy": -0.1}, {"ssim": True}, {"psnr": 3}])
def test_bounds_out_of_range(bound: dict) -> None:
    with pytest.raises(ConfigError, match=r"cuts.max_leakage"):
        make_config({"cuts": {"max_leakage": bound}})
