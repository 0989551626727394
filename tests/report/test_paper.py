"""What a scenario's run has otherwise than the published code: all of it, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.config.loading import make_config
from raygan.report.paper import _differences

ALWAYS = [
    "clusters.feature_batches: 4 here, 1 published",
    "cuts.solver: exact here, ga published",
    "clusters.count: auto here, {} told to the published code",
    "the deal: which classes and images a client has is drawn from seed 0 here; "
    "the published code has fixed seeds of its own",
    "minibatches: passes over a client's images here, each drawn from all of them in the published code",
    "cuts: for raspberry_pi_4, jetson_nano, workstation here; the published code's are for seven devices of its own",
]


def differences(number: int, **sections: Any) -> list[str]:
    config = make_config({"scenario": number, **sections})
    record = SimpleNamespace(config=config, rounds=[{}] * config.training.rounds)
    return _differences(record, number)  # type: ignore[arg-type]


@pytest.mark.parametrize(("number", "domains"), [(1, 1), (3, 2), (6, 4)])
def test_a_scenario_as_it_is_differs_in_what_the_code_does_not_publish(number: int, domains: int) -> None:
    assert differences(number) == [line.format(domains) for line in ALWAYS]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"training": {"lr": 5e-4}}, ["training.lr: 0.0005 here, 0.0002 published"]),
        ({"training": {"r1": 2, "average": {}}}, ["training.average: {'half_life_images': 1000.0} here, None published",
                                                  "training.r1: 2.0 here, 0.0 published"]),
        ({"privacy": {"activation_noise": 0.5}}, ["privacy.activation_noise: 0.5 here, 0.0 published"]),
        ({"model": {"start_from": "runs/mine"}}, ["model.start_from: runs/mine here, None published"]),
        ({"data": {"left": [1]}}, ["data.left: [1] here, [] published"]),
        ({"devices": {"fits": "drop"}}, ["devices.fits: drop here, require published"]),
        ({"cuts": {"bodies": "clusters"}}, ["cuts.bodies: clusters here, shared published"]),
        ({"ray": {"step_deadline_s": 2}}, ["ray.step_deadline_s: 2.0 here, None published"]),
        ({"algorithm": "fed_gan", "fed_gan": {"sync_every": 2}}, ["algorithm: fed_gan here, huscf published",
                                                                  "fed_gan: {'sync_every': 2} here, None published"]),
        ({"data": {"domains": [{"name": "mnist", "clients": 20, "limit": 9}]}},
         ["data.domains.0.limit: 9 here, None published", "data.domains: 1 here, 2 published"]),
    ],
)  # fmt: skip
def test_whatever_bears_on_the_scores_is_told(sections: dict[str, Any], told: list[str]) -> None:
    usual = [line.format(2) for line in ALWAYS]
    assert sorted(set(differences(3, **sections)) - set(usual)) == sorted(told)


def test_what_bears_on_no_score_is_not_told() -> None:
    others = {
        "checkpoints": {"keep": 1},
        "ray": {"steps_ahead": 1},
        "data": {"root": "/x"},
        "cuts": {"time_limit_s": 1},
    }
    assert differences(1, **others) == differences(1)


def test_rounds_that_have_not_ended_are_told() -> None:
    record = SimpleNamespace(config=make_config({"scenario": 1}), rounds=[{}] * 3)
    assert _differences(record, 1)[-1] == "only 3 rounds have ended"  # type: ignore[arg-type]
