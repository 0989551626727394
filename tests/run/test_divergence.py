"""Signs of training that goes wrong: each by lines made by hand, told once while it lasts; and a run that diverges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.errors import StoppedError
from raygan.run.divergence import new_signs
from raygan.run.events import Listener
from tests.rounds import rounds_of

CALM = {"discriminator_real": 0.6, "discriminator_fake": 0.4, "generator_gradient_norm": 1.0}
GOOD = {"images": 500, "label_agreement": 0.8, "classifier_fid": 10.0, "coverage": 0.7}


def lines(*rounds: dict[str, Any]) -> list[dict[str, Any]]:
    """Rounds from 1: statistics, and scores of one domain."""
    return [
        {"round": number, "statistics": CALM | one.get("statistics", {}), "scores": {"digits": GOOD | one}}
        for number, one in enumerate(rounds, start=1)
    ]


def told(*rounds: dict[str, Any]) -> list[list[str]]:
    """What each round is told."""
    every = lines(*rounds)
    return [new_signs(every[: count + 1]) for count in range(len(every))]


def statistics(**values: float) -> dict[str, Any]:
    return {"statistics": values}


def test_calm_rounds_have_no_sign() -> None:
    assert told({}, {}, {}, {}, {}) == [[]] * 5


def test_a_discriminator_that_knows_every_fake_is_told_once_while_it_lasts() -> None:
    sure = statistics(discriminator_real=0.97, discriminator_fake=0.02)
    assert told({}, sure, sure, sure, sure) == [
        [],
        [],
        [],
        [
            "round 4: D(real) is 0.97 and D(fake) 0.02: D knows almost every fake, and G learns little; "
            "try a lower training.lr.discriminator"
        ],
        [],
    ]


def test_a_discriminator_that_tells_nothing_apart_is_told() -> None:
    blind = statistics(discriminator_real=0.51, discriminator_fake=0.5)
    (*_, last) = told(blind, blind, blind)
    assert len(last) == 1
    assert "D tells nothing apart; try a higher training.lr.discriminator" in last[0]


@pytest.mark.parametrize(("norm", "words"), [(11.0, "1 in the rounds before: training diverges"), (1e-7, "nothing")])
def test_gradients_that_explode_or_vanish_are_told(norm: float, words: str) -> None:
    (*_, last) = told({}, {}, {}, statistics(generator_gradient_norm=norm))
    assert len(last) == 1
    assert last[0].startswith(f"round 4: the generator gradient norm is {norm:.2g}")
    assert words in last[0]
    assert told({}, {}, {}, statistics(generator_gradient_norm=9.0))[-1] == []


def test_a_score_that_falls_three_times_in_a_row_is_told_with_the_best_round() -> None:
    falling = [{"label_agreement": share} for share in (0.5, 0.9, 0.8, 0.7, 0.6)]
    assert told(*falling) == [
        [],
        [],
        [],
        [],
        [
            "round 5: digits: label agreement has become worse 3 times in a row, from 0.9 to 0.6; round 2 was the best; "
            "try a lower training.lr, or training.average"
        ],
    ]
    growing = [{"classifier_fid": distance} for distance in (10.0, 11.0, 12.0, 13.0)]
    assert "classifier fid has become worse" in told(*growing)[-1][0], "of which less is better"
    little = [{"label_agreement": share} for share in (0.90, 0.89, 0.88, 0.87)]
    assert told(*little)[-1] == []


def test_a_class_that_has_collapsed_is_told() -> None:
    before = {"class_coverage": {"images": 500, "0": 0.5, "1": 0.1, "2": 0.0}}
    after = {"class_coverage": {"images": 500, "0": 0.05, "1": 0.2, "2": 0.0}}
    found = told(before, after)
    assert found[0] == [], "nothing was there to collapse"
    assert found[1] == [
        "round 2: digits: samples of class 0 come near 5% of its real images: it has collapsed, or was not learnt; try "
        "training.average, a lower training.lr.generator or more images of it"
    ]
    others = {"class_coverage": {"images": 500, "0": 0.5, "1": 0.4, "2": 0.0}}
    assert len(told(others)[0]) == 1, "the others are good, and it never was"


def test_scores_of_few_images_are_not_judged() -> None:
    few = [{"images": 499, "label_agreement": share} for share in (0.9, 0.8, 0.7, 0.6)]
    assert told(*few)[-1] == []


def test_rounds_without_scores_or_statistics_have_no_sign() -> None:
    assert new_signs([]) == []
    assert new_signs([{"round": 1, "scores": {}}, {"round": 2, "scores": {}, "statistics": {}}]) == []


class Heard(Listener):
    def __init__(self) -> None:
        self.faults: list[str] = []

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


def test_a_run_that_diverges_ends_with_the_key_that_is_likely_to_blame(two_clients: dict, tmp_path: Path) -> None:
    settings = two_clients | {"training": two_clients["training"] | {"lr": 1e30}}
    blame = r"not finite.*: stopped; training has diverged: lower training.lr \(it is 1e\+30\)$"
    with pytest.raises(StoppedError, match=blame):
        train(make_config(settings), tmp_path / "run", in_process=True)


def test_signs_are_told_and_kept_with_their_round(
    two_clients: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.run.divergence.BLIND", 1.1)
    heard = Heard()
    run = train(make_config(two_clients), tmp_path / "run", in_process=True, listener=heard)
    (sign,) = (fault for fault in heard.faults if "D tells nothing apart" in fault)
    assert [line["faults"] for line in rounds_of(run.path)] == [[], [], [sign]]
