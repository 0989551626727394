"""Scores of a round, from records to the line of `metrics.jsonl`, by hand."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from raygan.algorithms.base import Model, RoundResult, ServerState
from raygan.config.loading import make_config
from raygan.run.metrics import command, domain_scores, round_metrics
from raygan.run.plan import make_plan
from raygan.runtime.steps import Cohort, Epochs
from raygan.wire.records import DomainScores, Evaluation

CLUSTER, DOMAINS = {0: 0, 1: 0, 2: 1, 3: 1}, {0: 0, 1: 0, 2: 0, 3: 1}


def scores_of(
    domain: int, cluster: int | None, generation: float, agreement: float, images: int = 5000, **more: object
) -> DomainScores:
    values = {"generation_score": generation, "label_agreement": agreement, **more}
    return DomainScores(domain, cluster, images, values)


def evaluation(*scores: DomainScores) -> Evaluation:
    real = scores_of(0, None, 9.5, 0.99, 1000, classifier_fid=1.0)
    return Evaluation(0, scores, (), 1.0, real=(real,))


def test_a_domains_score_is_the_mean_over_its_clients() -> None:
    useful = {"images": 30_000, "accuracy": 0.9, "precision": 0.8, "recall": 0.7, "f1": 0.6,
              "false_positive_rate": 0.01}  # fmt: skip
    table = domain_scores(
        evaluation(
            scores_of(0, 0, 3.0, 0.6, classifier_fid=30.0, usefulness=useful),
            scores_of(0, 1, 6.0, 0.9),
            scores_of(1, 1, 2.0, 0.5),
        ),
        CLUSTER,
        DOMAINS,
        ["a", "b"],
    )
    assert table["a"]["generation_score"] == pytest.approx((3 + 3 + 6) / 3)
    assert table["a"]["label_agreement"] == pytest.approx((0.6 + 0.6 + 0.9) / 3)
    assert table["a"]["classifier_fid"] == 30.0, "over the clients that have one"
    assert table["a"]["inception_fid"] is None
    assert table["a"]["images"] == 5000
    assert table["a"]["usefulness"] == {
        "images": 30_000, "accuracy": 0.9, "precision": 0.8, "recall": 0.7, "f1": 0.6, "false_positive_rate": 0.01
    }  # fmt: skip
    assert {number: entry["clients"] for number, entry in table["a"]["clusters"].items()} == {"0": 2, "1": 1}
    assert table["a"]["real"]["label_agreement"] == 0.99
    assert list(table["b"]["clusters"]) == ["1"]
    assert table["b"]["real"] is None


def test_a_cluster_that_could_not_be_scored_is_left_out() -> None:
    table = domain_scores(evaluation(scores_of(0, 1, 6.0, 0.9)), CLUSTER, DOMAINS, ["a", "b"])
    assert table["a"]["label_agreement"] == 0.9
    assert list(table["a"]["clusters"]) == ["1"]
    assert (table["b"]["label_agreement"], table["b"]["images"], table["b"]["clusters"]) == (None, None, {})


def test_a_round_that_was_not_evaluated_has_no_scores() -> None:
    assert domain_scores(None, CLUSTER, DOMAINS, ["a", "b"]) == {}


def test_a_round_names_who_was_lost_and_who_sat_out(tiny_settings: dict) -> None:
    plan = make_plan(make_config(tiny_settings | {"ray": {"clients_per_actor": 2}}))
    workers = plan.layout.workers
    epochs = Epochs(lost={1: "died"}, late={2}, absent=Counter({1: 3, 2: 1}))
    result = RoundResult(Cohort(0, 1, (0,), 1), epochs, ServerState(), {4: Model(4, (0,), {})}, seconds=1.0)
    line = json.loads(json.dumps(round_metrics(plan, result, None, (), ["told"])))
    assert line["lost_actors"] == [workers[1].name]
    assert line["absent_steps"] == {workers[1].name: 3, workers[2].name: 1}
    assert (line["lost"], line["late"]) == (2, 2)
    assert line["faults"] == ["told"]
    assert (line["round"], line["clients"], line["cluster_sizes"]) == (1, 1, {"4": 1})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["/venv/bin/raygan", "train", "my data.yaml"], "raygan train 'my data.yaml'"),
        (["/x/raygan/__main__.py", "train", "--set", "seed=1"], "raygan train --set seed=1"),
        (["raygan", "train", "--callback", "wandb={api_key: s}"], "raygan train --callback wandb"),
        (["raygan", "train", "--callback=wandb={api_key: s}"], "raygan train --callback=wandb"),
        (["/usr/bin/pytest", "tests"], None),
        (["/x/ipykernel/__main__.py", "-f"], None),
    ],
)
def test_the_command_is_told_without_what_callbacks_know(words: list[str], told: str | None) -> None:
    assert command(words) == told
